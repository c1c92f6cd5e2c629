"""Which meters are opened, and what each could measure here: the best way to know of each part of the machine."""

from collections.abc import Sequence

from hwbench.meters import Meter, Source, amdsmi, estimate, host, nvml, perf, powermetrics, rapl


def open_meters(gpus: Sequence[str] | None, tdp_w: float | None = None) -> list[Meter]:
    """The meters of energy that work here: of these GPUs (UUID or PCI address; None: of all), and of the processors by
    the first way that works."""
    gpu_meters: list[Meter | None] = []
    if gpus is None or gpus:
        gpu_meters = [nvml.open_meter(gpus), amdsmi.open_meter(gpus)]
    of_processors: Meter | None = (
        rapl.open_meter() or perf.open_meter() or powermetrics.open_meter() or estimate.open_meter(tdp_w)
    )
    return [meter for meter in (*gpu_meters, of_processors) if meter]


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
