"""Which meters are opened: the best one that works for each part of the machine."""

from collections.abc import Iterator, Mapping, Sequence

from hwbench.meters import (
    Counter,
    EnergySource,
    Meter,
    Signal,
    Source,
    amdsmi,
    estimate,
    host,
    nvml,
    perf,
    powermetrics,
    rapl,
)


class Silent:
    """A meter for a part of the machine that nothing can measure here: it has only the reason."""

    def __init__(self, source: Source, scope: str) -> None:
        signal = Signal(source.meter, scope, "energy", "J")
        self.name = source.meter
        self.energy: Sequence[EnergySource] = [Counter(signal)]
        self.failures = {signal: ". Cure: ".join(filter(None, (source.reason, source.cure)))}

    def read(self) -> Iterator[Mapping[Signal, float]]:
        return iter(())

    def close(self) -> None:
        pass


def open_meters(gpus: Sequence[str] | None, tdp_w: float | None = None) -> list[Meter]:
    """The meters of energy of these GPUs, and the first meter of the processors that works. A part
    that cannot be measured has a meter with the reason.

    GPUs have their names in their maker's driver: NVIDIA's a UUID, AMD's a PCI address. None: all
    GPUs of the machine.
    """
    nvidia = None if gpus is None else [gpu for gpu in gpus if ":" not in gpu]
    amd = None if gpus is None else [gpu for gpu in gpus if ":" in gpu]
    of_gpus: list[Meter | None] = [nvml.open_meter(nvidia), amdsmi.open_meter(amd)]
    if gpus and not any(of_gpus):
        first, *_ = nvml.sources() if nvidia else amdsmi.sources(gpus=amd)
        of_gpus = [Silent(first, "gpu")]
    return [meter for meter in (*of_gpus, _open_processors(tdp_w)) if meter]


def _open_processors(tdp_w: float | None) -> Meter:
    """The first meter of the processors that works."""
    for module in (rapl, perf, powermetrics):
        meter: Meter | None = module.open_meter()
        if meter:
            return meter
    return estimate.open_meter(tdp_w) or Silent(rapl.sources()[0], "package:0")


def all_sources(tdp_w: float | None = None) -> list[Source]:
    """A line or more for every meter: what it measures here, or the reason why not and the cure."""
    return [
        *nvml.sources(),
        *amdsmi.sources(),
        *rapl.sources(),
        *perf.sources(),
        *powermetrics.sources(),
        *estimate.sources(tdp_w),
        *host.sources(),
    ]
