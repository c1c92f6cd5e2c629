"""The error of the energy that hwbench computes from a meter's readings, over simulated loads and
sensors.

Run it as `python tests/bench/energy_sensors.py [LOADS]`; `make bench` prints the table too.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hwbench.meters.energy import readings_of

sys.path.insert(0, str(Path(__file__).parent.parent))
import sensor_models as models

LOADS = 2000
COVERAGE = 0.95
LONG_S = 5.0

SHAPES = models.SHAPES | {"square, step not given": models.square_of_unknown_step}
"""The last shows why the step has to be known: a sensor in step with a load does not see it."""

Row = tuple[float, float, float]
"""A window's length (s), the error and the uncertainty of its energy as shares of the truth."""


def one_load(
    shape: models.Shape, generator: np.random.Generator
) -> Iterator[tuple[str, Row | None]]:
    """A load in a window of 1 to 30 s, as each sensor measures it; None if it has no value."""
    window_s = 30 ** generator.random()
    load, step_s = models.draw(shape, generator, window_s)
    truth = float(load.joules(window_s) - load.joules(0.0))
    times_s = models.reading_times(generator, window_s)
    end_ns = models.BEGIN_NS + round(window_s * 1e9)
    for name, model in models.MODELS.items():
        trace = models.make_trace(
            {model.source: (times_s, model.read(load, times_s, generator.random()))}
        )
        energy = readings_of(trace, [model.source], models.BEGIN_NS, end_ns, {}, step_s)[0]
        told = energy.value is not None
        yield (
            name,
            (window_s, energy.value / truth - 1, energy.uncertainty / truth) if told else None,
        )


def study(loads: int, seed: int = 1) -> dict[tuple[str, str], list[Row | None]]:
    """By load and sensor, a row for each load."""
    found: dict[tuple[str, str], list[Row | None]] = {}
    for label, shape in SHAPES.items():
        generator = np.random.default_rng(seed)
        for _ in range(loads):
            for name, row in one_load(shape, generator):
                found.setdefault((label, name), []).append(row)
    return found


def median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def summary(rows: list[Row | None]) -> dict[str, float]:
    """Shares: covered, median error and uncertainty over all windows and over those of LONG_S or
    more, without a value."""
    window_s, error, uncertainty = (
        np.array([row for row in rows if row is not None]).reshape(-1, 3).T
    )
    long = window_s >= LONG_S
    return {
        "coverage": float((np.abs(error) <= uncertainty).sum() / max(1, len(error))),
        "error": median(np.abs(error[long])),
        "uncertainty": median(uncertainty[long]),
        "short_error": median(np.abs(error[~long])),
        "short_uncertainty": median(uncertainty[~long]),
        "blank": sum(row is None for row in rows) / len(rows),
    }


def report(loads: int = LOADS) -> Iterator[str]:
    wanted = f"coverage to be {COVERAGE:.0%} or more"
    yield f"energy of {loads} loads each, windows of 1 to 30 s ({wanted})"
    yield f"  {'':53} {'':>8} {'5 s or more: median':>24} {'shorter: median':>22}"
    heads = f"{'error':>12} {'± given':>11} {'error':>12} {'± given':>9}"
    yield f"  {'load, sensor':53} {'covered':>8} {heads} {'blank':>7}"
    for (label, name), rows in study(loads).items():
        s = summary(rows)
        below = "" if s["coverage"] >= COVERAGE else "  BELOW"
        long = f"{s['error']:>12.2%} {s['uncertainty']:>11.2%}"
        short = f"{s['short_error']:>12.2%} {s['short_uncertainty']:>9.2%}"
        figures = f"{s['coverage']:>8.1%} {long} {short} {s['blank']:>7.1%}"
        yield f"  {label + ', ' + name:53} {figures}{below}"


if __name__ == "__main__":
    for line in report(int(sys.argv[1]) if len(sys.argv) > 1 else LOADS):
        print(line, flush=True)
