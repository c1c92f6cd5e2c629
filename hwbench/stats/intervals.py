"""Confidence intervals of medians, ratios and quantiles. No random numbers.

The process is the unit. Steps of one process share what its start fixed (memory layout, clocks,
foreign load), so they say little about the next start. Positive quantities are analysed as
logarithms: a ratio becomes a difference, and noise that multiplies becomes noise that adds. NaN
means that the data are too few to tell.
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
"""With so many times the fewest independent samples, a series shows its own autocorrelation. A
shorter series may seem independent by chance; its interval is then too narrow
(tests/bench/intervals.py). That is good enough for a stopping rule, and not for a report."""

RUNS_TO_TELL = 3
"""The fewest runs that show how runs differ: with two, t has one degree of freedom."""


@dataclass(frozen=True)
class Interval:
    """An estimate from `n` values and its two-sided confidence interval, NaN where there is
    none."""

    value: float
    low: float
    high: float
    n: int

    @property
    def relative_half_width(self) -> float:
        """Half the interval's width over the estimate; infinite without an interval or a positive
        estimate."""
        half = (self.high - self.low) / 2
        return half / self.value if math.isfinite(half) and self.value > 0 else math.inf


@dataclass(frozen=True)
class Change:
    """A candidate against its baseline: the ratio of their centers, its interval, and the two-sided
    p-value of a ratio of 1. NaN where a side has too few values."""

    ratio: float
    low: float
    high: float
    p: float


def median_interval(values: Numbers, confidence: float = CONFIDENCE) -> Interval:
    """The median over processes with Student's t interval of their logs.

    The interval is exact if the logs are normal, from two values on; a percentile bootstrap of five
    values would cover far less than it claims. If processes are of two kinds, fast and slow, the
    median may lie outside the t interval, which is then extended to it. Values that are not all
    positive are analysed without logs.
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
    """The center of a side, of which `change` takes the ratio: the geometric mean of its processes;
    the median if one is not positive."""
    x = finite(values)
    if not len(x):
        return math.nan
    return _exp(float(np.log(x).mean())) if (x > 0).all() else float(np.median(x))


def change(baseline: Numbers, candidate: Numbers, confidence: float = CONFIDENCE) -> Change:
    """The change from baseline to candidate, from the values of their processes: Welch's t on the
    logs (Welch 1947).

    The ratio is of geometric means, so that swapping the sides inverts it. Needs two positive
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

    Runs differ by conditions that their processes share: the day, foreign load, heat. With
    RUNS_TO_TELL runs or more, the candidate is also compared with the prediction interval for one
    more such run (Student's t on the runs' mean logs, s²(1 + 1/N), N − 1 degrees of freedom); the
    less certain of the two changes is returned.
    """
    values = np.concatenate([finite(run) for run in baseline]) if baseline else np.empty(0)
    pooled = change(values, candidate, confidence)
    if math.isnan(pooled.p) or len(baseline) < RUNS_TO_TELL:
        return pooled
    means = np.array([np.log(finite(run)).mean() for run in baseline])
    n = len(means)
    variance = float(means.var(ddof=1)) * (1 + 1 / n)
    predicted = _t_change(math.log(pooled.ratio), variance, n - 1, confidence)
    return max(pooled, predicted, key=lambda one: one.p)


def paired_change(baseline: Numbers, candidate: Numbers, confidence: float = CONFIDENCE) -> Change:
    """As `change`, of pairs measured next to each other: conditions that both share (a drift of the
    machine) cancel."""
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
    """The q-quantile of one process's steps with its order-statistic interval, which allows for
    autocorrelation.

    The ends are fractional order statistics (Hutson 1999) of the effective number of samples; with
    whole ranks a short series would cover more than it claims. The effective number is that of the
    series "at or below the quantile", not of the steps themselves. The ends are looked up at the
    same share of all samples. There is no interval without such ranks: with fewer independent
    samples than 6 for p50, 36 for p90, 72 for p95 and 368 for p99, each `times` as many (see
    SHOWS_ITSELF).
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
    """Holm's adjusted p-values (1979): rejecting those below α, the probability of any error is at
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
        if special.betainc(middle, n + 1 - middle, q) > p:
            low = middle
        else:
            high = middle
    return low


def _logs(x: Array) -> tuple[Array, Callable[[float], float]]:
    """The logs of the values and the inverse function; if not all are positive, the values."""
    return (np.log(x), _exp) if (x > 0).all() else (x, float)


def _exp(x: float) -> float:
    """As math.exp, but infinite instead of an OverflowError: values may lie hundreds of orders of
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
