"""What is known of NVIDIA's power sensors: how often they are read, over how long they average, how
far off they were.

Yang: Z. Yang, K. Adamek, W. Armour, "Part-time Power Measurements: nvidia-smi's Lack of Attention",
2024, arXiv 2312.02741, who measured over 70 boards, some against an external meter. NVML: NVIDIA's
NVML API reference, nvmlDeviceGetPowerUsage: from Ampere on, but for GA100, a mean over 1 s.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Sensor:
    """Seconds: between two updates, and over which `power.draw.instant` and `power.draw` are means.

    A mean over less than the time between updates leaves the rest unseen: 25 of 100 ms is a
    quarter.
    """

    update_s: float
    instant_s: float
    average_s: float
    source: str


BY_CAPABILITY = {
    (7, 0): Sensor(0.02, 0.01, 0.01, "Volta: Yang"),
    (7, 5): Sensor(0.1, 0.1, 0.1, "Turing: Yang"),
    (8, 0): Sensor(0.1, 0.025, 0.025, "GA100, as in A100 and A30: Yang"),
    (8, 6): Sensor(0.1, 0.1, 1.0, "Ampere but for GA100: Yang; NVML"),
    (8, 9): Sensor(0.1, 0.1, 1.0, "Ada: Yang; NVML"),
    (9, 0): Sensor(0.1, 0.025, 1.0, "GH100, as in H100, H200 and GH200: Yang; NVML"),
}
"""By CUDA compute capability: unlike NVML's name of the architecture, it tells GA100 from the rest
of Ampere."""

UNKNOWN = Sensor(0.1, 0.025, 1.0, "nothing published: the worst of the others")
"""For Blackwell, what comes after it, and what came before Volta. Worst means: the smallest part of
the time seen, and the longest mean."""

MEASURED_GAINS = (
    (re.compile(r"(NVIDIA )?A100(-PCIe| 80GB PCIe).*", re.IGNORECASE), 0.06),  # -5.8 % (Yang)
    (re.compile(r"(NVIDIA )?GeForce RTX 4090"), 0.06),  # -5.3 % (Yang)
    (re.compile(r"(NVIDIA )?GeForce RTX 3090"), 0.06),  # -5.6 % (Yang)
)
"""By how much of itself the power of a board was off against an external meter, by the whole name
of the board."""


def sensor_of(capability: tuple[int, int] | None) -> Sensor:
    """The sensor of a GPU of this compute capability; `UNKNOWN` where nothing is published, or None
    is known."""
    return UNKNOWN if capability is None else BY_CAPABILITY.get(capability, UNKNOWN)


def gain_of(name: str) -> float | None:
    """By which share the power of the board `name` may be off as a whole; None where nobody has
    published it.

    NVIDIA warrants 5 % for Fermi and Kepler alone, so nothing is made up for the others.
    """
    return next((gain for pattern, gain in MEASURED_GAINS if pattern.fullmatch(name)), None)
