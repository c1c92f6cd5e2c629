"""How often hwbench's histories show a change that is not there, and how many real ones they find.

Run it as `python tests/bench/change_points.py [HISTORIES]`: simulated histories of one case, a
value a run.
"""

import sys
from collections.abc import Callable, Iterator

import numpy as np
from scipy.signal import lfilter

from hwbench.stats.change_points import change_points

HISTORIES = 1000
CV = 0.02
STEP = 1.05


def noise(
    generator: np.random.Generator, runs: int, cv: float = CV, rho: float = 0.0
) -> np.ndarray:
    """Log-normal values around 1 whose neighbours correlate by `rho`."""
    shocks = generator.normal(size=runs)
    shocks[1:] *= np.sqrt(1 - rho**2)
    return np.exp(cv * lfilter([1], [1, -rho], shocks))


def heavy(generator: np.random.Generator, runs: int) -> np.ndarray:
    """As noise, with the tails of Student's t of three degrees of freedom."""
    return np.exp(CV * generator.standard_t(3, size=runs) / np.sqrt(3))


def stepped(runs: int, *at: int, size: float = STEP, cv: float = CV) -> Callable:
    """Up at the first place, down again at the second."""
    levels = np.ones(runs)
    for place in at:
        levels[place:] = size if levels[place - 1] == 1 else 1
    return lambda generator: levels * noise(generator, runs, cv)


def with_outlier(runs: int, at: int, size: float, then: Callable | None = None) -> Callable:
    def draw(generator):
        values = then(generator) if then else noise(generator, runs)
        values[at] *= size
        return values

    return draw


QUIET = {
    **{f"A/A, {n} runs, CV 2 %": lambda g, n=n: noise(g, n) for n in (10, 20, 40, 100, 200)},
    "A/A, 40 runs, CV 5 %": lambda g: noise(g, 40, 0.05),
    "A/A, 40 runs, CV 2 %, heavy tails (t3)": lambda g: heavy(g, 40),
    "A/A, 40 runs, CV 2 %, lag-1 0.3": lambda g: noise(g, 40, rho=0.3),
    "A/A, 40 runs, CV 2 %, lag-1 0.6": lambda g: noise(g, 40, rho=0.6),
    "one run 30 % slow in the middle of 40": with_outlier(40, 20, 0.7),
    "one run 30 % slow, last but one of 40": with_outlier(40, 38, 0.7),
    "the last run of 40 10 × as fast": with_outlier(40, 39, 10.0),
    "the last run of 200 10 × as fast": with_outlier(200, 199, 10.0),
}
"""Histories without a change of level."""

CHANGED = {
    "+5 % in the middle of 40": (stepped(40, 20), [20]),
    "+5 % in the middle of 20": (stepped(20, 10), [10]),
    "+3 % in the middle of 40": (stepped(40, 20, size=1.03), [20]),
    "+5 % for the last 5 of 40": (stepped(40, 35), [35]),
    "+10 % for the last 3 of 40": (stepped(40, 37, size=1.1), [37]),
    "+10 % for the last 4 of 12": (stepped(12, 8, size=1.1), [8]),
    "+5 % in the middle of 40, one run 30 % slow": (
        with_outlier(40, 8, 0.7, stepped(40, 20)),
        [20],
    ),
    "+5 % from 15 to 25 of 40": (stepped(40, 15, 25), [15, 25]),
    "+5 % from 60 to 80 of 200": (stepped(200, 60, 80), [60, 80]),
}
"""Histories with changes, and where they are."""


def report(histories: int = HISTORIES) -> Iterator[str]:
    yield f"share of {histories} histories without a change of level that show one"
    for name, draw in QUIET.items():
        generator = np.random.default_rng(1)
        alarms = [bool(change_points(draw(generator))) for _ in range(histories)]
        yield f"  {name:50} {np.mean(alarms):6.1%}"
    heads = "all found, each within 2 runs and none besides; how far off in runs, median and p95"
    yield f"changes at CV {CV:.0%}: {heads}"
    for name, (draw, places) in CHANGED.items():
        generator = np.random.default_rng(1)
        found = [list(change_points(draw(generator))) for _ in range(histories)]
        full = [np.abs(np.subtract(cuts, places)) for cuts in found if len(cuts) == len(places)]
        near = sum(bool((far <= 2).all()) for far in full)
        off = np.concatenate(full) if full else np.array([np.nan])
        share = f"{len(full) / histories:6.1%} {near / histories:6.1%}"
        yield f"  {name:50} {share} {np.median(off):4.0f} {np.quantile(off, 0.95):4.0f}"
    yield "a drift of +10 % over 40 runs: shown as so many steps"
    generator, ramp = np.random.default_rng(1), np.linspace(1, 1.1, 40)
    steps = [len(change_points(ramp * noise(generator, 40))) for _ in range(histories)]
    yield "  " + ", ".join(f"{n}: {np.mean(np.equal(steps, n)):.1%}" for n in sorted(set(steps)))


if __name__ == "__main__":
    for line in report(int(sys.argv[1]) if len(sys.argv) > 1 else HISTORIES):
        print(line, flush=True)
