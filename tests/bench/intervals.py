"""The coverage of the 95 % intervals that hwbench reports, over simulated data sets.

Run it as `python tests/bench/intervals.py [DATA_SETS]`; `make bench` prints the table too.
"""

import math
import sys
from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats as distributions
from scipy.signal import lfilter

from hwbench import stats
from hwbench.recording.rounds import FEWEST_TO_STOP

DATA_SETS = 2000
LOW, HIGH = 0.93, 0.98
CV = 0.01
PRECISION = 0.01
"""Precision of the rule that adds processes (hwbench.recording.rounds)."""


def normal_steps(generator: np.random.Generator, sets: int, n: int, rho: float) -> np.ndarray:
    """Standard normal, lag-1 autocorrelation `rho`, shape (sets, n)."""
    shocks = generator.normal(size=(sets, n))
    shocks[:, 1:] *= math.sqrt(1 - rho**2)
    return lfilter([1], [1, -rho], shocks, axis=1)


def covered(intervals: list, truth: float) -> tuple[float, float]:
    """The share of intervals that hold the truth, and the share of data sets that have an interval
    at all."""
    known = [interval for interval in intervals if math.isfinite(interval.low)]
    return sum(i.low <= truth <= i.high for i in known) / max(1, len(known)), len(known) / len(
        intervals
    )


def of_medians(n: int) -> Callable:
    def run(generator, sets):
        return covered(
            [stats.median_interval(x) for x in np.exp(CV * generator.normal(size=(sets, n)))], 1.0
        )

    return run


def of_added_processes(least: int, most: int) -> Callable:
    """Processes are added until the interval is narrow enough: the stopping rule looks at the
    interval it reports."""

    def run(generator, sets):
        found = []
        for x in np.exp(CV * generator.normal(size=(sets, most))):
            n = max(least, FEWEST_TO_STOP)
            while n < most and stats.median_interval(x[:n]).relative_half_width > PRECISION:
                n += 1
            found.append(stats.median_interval(x[:n]))
        return covered(found, 1.0)

    return run


def of_budgets(cases: int, spare: int, least: int = 3, most: int = 10) -> Callable:
    """Runs of so many cases under a budget: after `least` processes each, `spare` more go to the
    widest, one by one."""

    def run(generator, sets):
        found = []
        for x in np.exp(CV * generator.normal(size=(max(1, sets // cases), cases, most))):
            taken = [least] * cases
            for _ in range(spare):
                widths = [
                    stats.median_interval(row[:n]).relative_half_width
                    for row, n in zip(x, taken, strict=True)
                ]
                unsure = [taken[i] < FEWEST_TO_STOP or widths[i] > PRECISION for i in range(cases)]
                wanted = [i for i in range(cases) if taken[i] < most and unsure[i]]
                if not wanted:
                    break
                taken[max(wanted, key=widths.__getitem__)] += 1
            found += [stats.median_interval(row[:n]) for row, n in zip(x, taken, strict=True)]
        return covered(found, 1.0)

    return run


def of_changes(na: int, nb: int, cv_b: float = CV) -> Callable:
    def run(generator, sets):
        a = np.exp(CV * generator.normal(size=(sets, na)))
        b = 1.03 * np.exp(cv_b * generator.normal(size=(sets, nb)))
        return covered([stats.change(*pair) for pair in zip(a, b, strict=True)], 1.03)

    return run


def of_pairs(n: int) -> Callable:
    def run(generator, sets):
        drift = np.exp(0.05 * generator.normal(size=(sets, n)))
        a, b = (drift * np.exp(CV * generator.normal(size=(sets, n))) for _ in range(2))
        return covered([stats.paired_change(*pair) for pair in zip(a, 1.03 * b, strict=True)], 1.03)

    return run


def of_quantiles(q: float, n: int, rho: float, lognormal: bool = False) -> Callable:
    def run(generator, sets):
        x = normal_steps(generator, sets, n, rho)
        z = float(distributions.norm.ppf(q))
        x, truth = (
            (np.exp(0.3 * x), math.exp(0.3 * z)) if lognormal else (1 + 0.003 * x, 1 + 0.003 * z)
        )
        return covered(
            [stats.quantile_interval(row, q, times=stats.SHOWS_ITSELF) for row in x], truth
        )

    return run


def studies() -> dict[str, Callable]:
    """By name, a function of a seeded generator and a number of data sets that returns the
    coverage."""
    found = {f"median of {n} processes": of_medians(n) for n in (3, 4, 5, 6, 8, 10)}
    found["median of 3 to 10 processes, added until precise"] = of_added_processes(3, 10)
    found["median of 5 to 10 processes, added until precise"] = of_added_processes(5, 10)
    found |= {
        f"10 cases of 3 processes, {n} more to the widest": of_budgets(10, n)
        for n in (0, 5, 20, 40)
    }
    found |= {f"change, {n} and {n} processes": of_changes(n, n) for n in (2, 3, 5, 10)}
    found["change, 3 and 10 processes"] = of_changes(3, 10)
    found["change, 5 and 5 processes, CV 1 % and 3 %"] = of_changes(5, 5, 0.03)
    found |= {f"paired change, {n} pairs": of_pairs(n) for n in (3, 5, 10)}
    sizes_of = {
        0.5: (30, 36, 50, 400),
        0.9: (200, 220, 1000),
        0.95: (400, 440, 1000),
        0.99: (2000, 2300, 4000),
    }
    for q, sizes in sizes_of.items():
        for rho in (0.0, 0.5):
            found |= {
                f"p{100 * q:.0f} of {n} steps, lag-1 {rho}": of_quantiles(q, n, rho) for n in sizes
            }
    found["p90 of 300 lognormal steps, lag-1 0.5"] = of_quantiles(0.9, 300, 0.5, lognormal=True)
    return found


def report(sets: int = DATA_SETS) -> Iterator[str]:
    wanted = f"to lie between {LOW:.0%} and {HIGH:.0%}"
    yield f"coverage of 95 % intervals over {sets} data sets each ({wanted})"
    for name, study in studies().items():
        share, known = study(np.random.default_rng(1), sets)
        blank = "" if known == 1 else f"  ({1 - known:.1%} blank)"
        outside = "" if LOW <= share <= HIGH or not known else "  OUTSIDE"
        yield f"  {name:50} {f'{share:.1%}' if known else 'blank':>6}{blank}{outside}"


if __name__ == "__main__":
    for line in report(int(sys.argv[1]) if len(sys.argv) > 1 else DATA_SETS):
        print(line, flush=True)
