"""The statistics of hwbench: arrays in, small records out. No tables, no files, no random numbers.

The process is the unit. Steps of one process share what its start fixed (memory layout, clocks,
neighbours), so they say little about the next start. Positive quantities are worked on as
logarithms, where a ratio is a difference and noise that multiplies becomes noise that adds. Blank
is NaN: where the data cannot say, nothing is said.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# its functions alone: scipy.stats takes a second to import, in every process
from scipy import special

from hwbench.stats.series import Array, Numbers, effective_n_below, finite, inflation, lag1

CONFIDENCE = 0.95

SHOWS_ITSELF = 6
"""With so many times the fewest independent samples, a series shows its own autocorrelation. Of
shorter ones those that seem independent by chance have intervals that are too narrow
(tests/bench/intervals.py): enough to stop on, since nothing is claimed by that, and not to
report."""

RUNS_TO_TELL = 3
"""Two runs say next to nothing of how runs differ: t has one degree of freedom."""


@dataclass(frozen=True)
class Interval:
    """An estimate and its two-sided confidence interval, NaN where there is none; `n` values went
    into it."""

    value: float
    low: float
    high: float
    n: int

    @property
    def relative_half_width(self) -> float:
        """Half the interval's width over the estimate; infinite where there is no interval or it is
        not positive."""
        half = (self.high - self.low) / 2
        return half / self.value if math.isfinite(half) and self.value > 0 else math.inf


@dataclass(frozen=True)
class Change:
    """A candidate against its baseline: the ratio of their centers, its interval, and how surely it
    is not 1.

    `p` is two-sided. All are NaN where a side has too few values to say.
    """

    ratio: float
    low: float
    high: float
    p: float


def median_interval(values: Numbers, confidence: float = CONFIDENCE) -> Interval:
    """The median over processes with Student's t interval of their logs.

    The interval is exact where the logs are normal, from two values on: a percentile bootstrap over
    five would cover far less than it says. Of processes of two kinds, fast and slow, the median may
    lie outside what Student says of the center; the interval then reaches to it. Values that are
    not all positive are taken as they are.
    """
    x = finite(values)
    if not len(x):
        return Interval(math.nan, math.nan, math.nan, 0)
    y, back = _logs(x)
    mean, half = float(y.mean()), _t_half_width(y, confidence)
    median, low, high = float(np.median(x)), back(mean - half), back(mean + half)
    if math.isnan(half):
        return Interval(median, math.nan, math.nan, len(x))
    return Interval(median, min(low, median), max(high, median), len(x))


def center(values: Numbers) -> float:
    """What `change` takes a side for: the geometric mean of its processes, the median where one is
    not positive."""
    x = finite(values)
    if not len(x):
        return math.nan
    return _exp(float(np.log(x).mean())) if (x > 0).all() else float(np.median(x))


def change(baseline: Numbers, candidate: Numbers, confidence: float = CONFIDENCE) -> Change:
    """Candidate over baseline, from the values of their processes: Welch's t on the logs (Welch
    1947).

    The ratio is of geometric means, so that it is the same either way round. Needs two positive
    values on each side; where neither side varies at all, the difference is exact and p is 0 or 1.
    """
    a, b = finite(baseline), finite(candidate)
    if not len(a) or not len(b) or (a <= 0).any() or (b <= 0).any():
        return Change(math.nan, math.nan, math.nan, math.nan)
    a, b = np.log(a), np.log(b)
    difference = float(b.mean() - a.mean())
    if len(a) < 2 or len(b) < 2:
        return Change(_exp(difference), math.nan, math.nan, math.nan)
    va, vb = float(a.var(ddof=1)) / len(a), float(b.var(ddof=1)) / len(b)
    return _t_change(difference, va + vb, _welch_df(va, len(a), vb, len(b)), confidence)


def change_from_runs(
    baseline: Sequence[Numbers], candidate: Numbers, confidence: float = CONFIDENCE
) -> Change:
    """As `change`, against several runs of a baseline, each with the values of its processes.

    Runs differ by what their processes have in common: the day, the neighbours, the heat. From
    RUNS_TO_TELL runs on the candidate is also held against the prediction interval for one more
    such run (Student's t on the runs' mean logs, s²(1 + 1/N), N − 1 degrees of freedom), and the
    less certain of the two answers is given.
    """
    pooled = change(
        np.concatenate([finite(run) for run in baseline]) if baseline else [], candidate, confidence
    )
    if math.isnan(pooled.p) or len(baseline) < RUNS_TO_TELL:
        return pooled
    means = np.array([np.log(finite(run)).mean() for run in baseline])
    n = len(means)
    predicted = _t_change(
        math.log(pooled.ratio), float(means.var(ddof=1)) * (1 + 1 / n), n - 1, confidence
    )
    return max(pooled, predicted, key=lambda one: one.p)


def paired_change(baseline: Numbers, candidate: Numbers, confidence: float = CONFIDENCE) -> Change:
    """As `change`, of pairs measured next to each other: what both share (a drift of the machine)
    cancels."""
    a, b = np.asarray(baseline, np.float64), np.asarray(candidate, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"pairs need as many values on either side, not {len(a)} and {len(b)}")
    good = np.isfinite(a) & np.isfinite(b) & (a > 0) & (b > 0)
    d = np.log(b[good]) - np.log(a[good])
    if len(d) < 2:
        ratio = _exp(float(d.mean())) if len(d) else math.nan
        return Change(ratio, math.nan, math.nan, math.nan)
    return _t_change(float(d.mean()), float(d.var(ddof=1)) / len(d), len(d) - 1, confidence)


def quantile_interval(
    samples: Numbers, q: float, confidence: float = CONFIDENCE, times: float = 1
) -> Interval:
    """The q-quantile of one process's steps with its order-statistic interval, autocorrelation
    allowed for.

    The ends are fractional order statistics (Hutson 1999), so that the interval does not cover more
    than it says where ranks are few, of the effective number of samples: what counts is how the
    steps below the quantile follow each other, not how the steps themselves do. They are looked up
    at the same share of all samples. No interval where there are no such ranks: with independent
    samples below 6 for p50, 36 for p90, 72 for p95 and 368 for p99; nor below so many `times` that
    number, see SHOWS_ITSELF.
    """
    x = np.sort(finite(samples))
    if not len(x):
        return Interval(math.nan, math.nan, math.nan, 0)
    value = float(np.quantile(x, q))
    n = min(effective_n_below(finite(samples), value), len(x) / inflation(lag1(samples), q))
    tail = (1 - confidence) / 2
    if max(q, 1 - q) ** min(n, len(x) / times) > tail:
        return Interval(value, math.nan, math.nan, len(x))
    ends = np.quantile(x, [(_rank(p, n, q) - 0.5) / n for p in (1 - tail, tail)], method="hazen")
    return Interval(value, float(ends[0]), float(ends[1]), len(x))


def holm(p_values: Numbers) -> Array:
    """Holm's adjusted p-values (1979): reject those below α and the family errs with probability at
    most α."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p)
    scaled = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1)
    return adjusted


def share_interval(hits: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """A share of n trials with its Clopper–Pearson interval (1934)."""
    tail = (1 - confidence) / 2
    low = float(special.betaincinv(hits, n - hits + 1, tail)) if hits else 0.0
    high = float(special.betaincinv(hits + 1, n - hits, 1 - tail)) if hits < n else 1.0
    return Interval(hits / n, low, high, n)


def _rank(p: float, n: float, q: float) -> float:
    """The fractional rank, of n, whose order statistic lies at or below the q-quantile with
    probability p."""
    low, high = 0.0, n + 1
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (
            (middle, high) if special.betainc(middle, n + 1 - middle, q) > p else (low, middle)
        )
    return low


def _logs(x: Array) -> tuple[Array, Callable[[float], float]]:
    """The values as logs with the way back, where all are positive; else as they are."""
    return (np.log(x), _exp) if (x > 0).all() else (x, float)


def _exp(x: float) -> float:
    """As math.exp, infinite where no float is large enough: values may lie hundreds of orders of
    magnitude apart."""
    return math.inf if x > 709 else math.exp(x)  # NaN stays NaN


def _t_half_width(y: Array, confidence: float) -> float:
    if len(y) < 2:
        return math.nan
    t = float(special.stdtrit(len(y) - 1, (1 + confidence) / 2))
    return t * float(y.std(ddof=1)) / math.sqrt(len(y))


def _welch_df(va: float, na: int, vb: float, nb: int) -> float:
    total = va + vb
    return total**2 / (va**2 / (na - 1) + vb**2 / (nb - 1)) if total else math.inf


def _t_change(difference: float, variance: float, df: float, confidence: float) -> Change:
    error = math.sqrt(variance)
    if error == 0:
        ratio = _exp(difference)
        return Change(ratio, ratio, ratio, 0.0 if difference else 1.0)
    half = float(special.stdtrit(df, (1 + confidence) / 2)) * error
    p = 2 * float(special.stdtr(df, -abs(difference) / error))
    return Change(_exp(difference), _exp(difference - half), _exp(difference + half), p)
