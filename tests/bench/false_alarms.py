"""How often a counter and a power sensor that are both honest are said to disagree, over simulated
loads and sensors.

Run it as `python tests/bench/false_alarms.py [LOADS]`.
"""

import sys
from collections.abc import Iterator

import energy_sensors
import numpy as np
import sensor_models as models

from hwbench.meters.agreement import disagreements
from hwbench.meters.energy import readings_of

LOADS = 600
SENSORS = [name for name in models.MODELS if "counter" not in name and "RAPL" not in name]
COUNTER = models.MODELS["NVML counter 100"]


def one_load(shape: models.Shape, name: str, generator: np.random.Generator) -> bool | None:
    """Whether they are said to disagree on a load in a window of 1 to 30 s; None if one of them has
    no answer."""
    window_s = 30 ** generator.random()
    load, step_s = models.draw(shape, generator, window_s)
    times_s = models.reading_times(generator, window_s)
    pair = (COUNTER, models.MODELS[name])
    shown = {one.source: (times_s, one.read(load, times_s, generator.random())) for one in pair}
    end_ns = models.BEGIN_NS + round(window_s * 1e9)
    trace = models.make_trace(shown)
    readings = readings_of(trace, list(shown), models.BEGIN_NS, end_ns, {}, step_s)
    if "energy_residual" not in {reading.quantity for reading in readings}:
        return None
    return bool(disagreements(readings))


def share(label: str, name: str, loads: int, seed: int = 1) -> float:
    """The share of loads of this shape on which counter and sensor are said to disagree."""
    generator = np.random.default_rng(seed)
    found = [one_load(energy_sensors.SHAPES[label], name, generator) for _ in range(loads)]
    return float(np.mean([one for one in found if one is not None]))


def report(loads: int = LOADS) -> Iterator[str]:
    yield f"counter and sensor said to disagree, in % of {loads} honest loads"
    for name in SENSORS:
        shares = [f"{label} {share(label, name, loads):.2%}" for label in energy_sensors.SHAPES]
        yield f"  {name}: {', '.join(shares)}"


if __name__ == "__main__":
    for line in report(int(sys.argv[1]) if len(sys.argv) > 1 else LOADS):
        print(line, flush=True)
