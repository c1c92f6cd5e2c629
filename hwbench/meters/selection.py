"""Which meters are opened, and what each could measure here: the best way to know of each part of
the machine."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

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
    """Stands for a part of the machine that nothing measures here, and says why."""

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
    """The meters of energy here: of these GPUs, and of the processors by the first way that works.
    What should be measured and cannot be has a meter that says why.

    A GPU is named as its maker's driver does: NVIDIA's by its UUID, AMD's by its PCI address. None:
    all that there are.
    """
    nvidia = None if gpus is None else [gpu for gpu in gpus if ":" not in gpu]
    amd = None if gpus is None else [gpu for gpu in gpus if ":" in gpu]
    of_gpus: list[Meter | None] = [nvml.open_meter(nvidia), amdsmi.open_meter(amd)]
    if gpus and not any(of_gpus):
        of_gpus = [Silent((nvml.sources() if nvidia else amdsmi.sources(gpus=amd))[0], "gpu")]
    ways: list[Callable[[], Meter | None]] = [
        rapl.open_meter,
        perf.open_meter,
        powermetrics.open_meter,
    ]
    ways.append(partial(estimate.open_meter, tdp_w))
    of_processors = next(filter(None, (way() for way in ways)), None) or Silent(
        rapl.sources()[0], "package:0"
    )
    return [meter for meter in (*of_gpus, of_processors) if meter]


def all_sources(tdp_w: float | None = None) -> list[Source]:
    """A line or more for every meter: what it measures here, or why not and the cure."""
    return [
        *nvml.sources(),
        *amdsmi.sources(),
        *rapl.sources(),
        *perf.sources(),
        *powermetrics.sources(),
        *estimate.sources(tdp_w),
        *host.sources(),
    ]
