"""What is published about NVIDIA's power sensors: their update interval, averaging time and error.

Yang: Z. Yang, K. Adamek, W. Armour, "Part-time Power Measurements: nvidia-smi's Lack of Attention",
2024, arXiv 2312.02741, who measured over 70 boards, some against an external meter. NVML: NVIDIA's
NVML API reference, nvmlDeviceGetPowerUsage: a mean over 1 s from Ampere on, except for GA100.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Sensor:
    """Seconds between two updates, and the averaging times of `power.draw.instant` and
    `power.draw`.

    An averaging time shorter than the update leaves the rest unseen: 25 of 100 ms is a quarter.
    """

    update_s: float
    instant_s: float
    average_s: float
    source: str


BY_CAPABILITY = {
    (7, 0): Sensor(0.02, 0.01, 0.01, "Volta: Yang"),
    (7, 5): Sensor(0.1, 0.1, 0.1, "Turing: Yang"),
    (8, 0): Sensor(0.1, 0.025, 0.025, "GA100, as in A100 and A30: Yang"),
    (8, 6): Sensor(0.1, 0.1, 1.0, "Ampere except GA100: Yang; NVML"),
    (8, 9): Sensor(0.1, 0.1, 1.0, "Ada: Yang; NVML"),
    (9, 0): Sensor(0.1, 0.025, 1.0, "GH100, as in H100, H200 and GH200: Yang; NVML"),
}
"""By CUDA compute capability, which distinguishes GA100 from the rest of Ampere; NVML's name of the
architecture does not."""

UNKNOWN = Sensor(0.1, 0.025, 1.0, "nothing published: the worst of the others")
"""For Blackwell, its successors, and everything before Volta. Worst: the smallest part of the time
seen, and the longest averaging time."""

MEASURED_GAINS = (
    (re.compile(r"(NVIDIA )?A100(-PCIe| 80GB PCIe).*", re.IGNORECASE), 0.06),  # -5.8 % (Yang)
    (re.compile(r"(NVIDIA )?GeForce RTX 4090"), 0.06),  # -5.3 % (Yang)
    (re.compile(r"(NVIDIA )?GeForce RTX 3090"), 0.06),  # -5.6 % (Yang)
)
"""The relative error of a board's power against an external meter, by the full name of the
board."""


def sensor_of(capability: tuple[int, int] | None) -> Sensor:
    """The sensor of a GPU of this compute capability; UNKNOWN if nothing is published or the
    capability is None."""
    return UNKNOWN if capability is None else BY_CAPABILITY.get(capability, UNKNOWN)


def gain_of(name: str) -> float | None:
    """The relative error of the power of the board `name` as a whole; None if none is published.

    NVIDIA states 5 % for Fermi and Kepler only; that is not assumed for others.
    """
    for pattern, gain in MEASURED_GAINS:
        if pattern.fullmatch(name):
            return gain
    return None
