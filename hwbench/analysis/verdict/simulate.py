"""The gate on processes whose truth is known: how often it cries wolf, and how small a slow-down it
finds.

The processes are a run's own, dealt out to two sides at random: what the sides differ by is noise. Or they are made
up: a step of a process takes m · e^(b + w), where b is what the process was started with and w is first-order
autoregressive noise between its steps, both normal with about the coefficients of variation asked for. Either way
medians of processes go through the same `stats.change`, `compare.verdict` and `gate.beyond_doubt` as a real run's.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from hwbench import stats
from hwbench.analysis import metrics
from hwbench.analysis.metrics.rates import RATES
from hwbench.analysis.metrics.steps import timed_samples
from hwbench.analysis.verdict.compare import verdict
from hwbench.analysis.verdict.gate import beyond_doubt
from hwbench.stats import Array
from hwbench.tables.reader import RunTables

SLOWDOWNS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.10)
"""What is injected into the candidate; 0 makes A/A pairs."""

TWO_HALVES = 4
"""Processes that make two halves of two, the fewest that have an interval."""

WORDS = ("slower", "same", "inconclusive", "faster")
POWER_COLUMNS = ["slowdown", "pairs", *WORDS, "slower_low", "slower_high"]


@dataclass(frozen=True)
class Noise:
    """How processes vary: coefficients of variation between and within them, and the lag-1
    autocorrelation of steps."""

    process_cv: float = 0.01
    within_cv: float = 0.003
    lag1: float = 0.5
    processes: int = 5
    samples: int = 50

    def __str__(self) -> str:
        return (
            f"{self.processes} processes × {self.samples} steps, CV {self.process_cv:.2%} between processes and "
            f"{self.within_cv:.2%} within, lag-1 autocorrelation {self.lag1:.2f}"
        )


def noise_of(run: RunTables) -> dict[str, Noise]:
    """How the steps of each case of a run varied, by the case's label; cases of one process, or of
    one step, are left out."""
    cases = metrics.cases(run).set_index("case_id")
    timed = timed_samples(run).groupby(["case_id", "process"]).size().groupby("case_id").median()
    found = {}
    for row in metrics.spread(run).itertuples():
        case = cases.loc[row.case_id]
        if case.processes > 1:
            lag1 = 0.0 if math.isnan(row.lag1) else min(max(row.lag1, 0.0), 0.99)
            noise = Noise(
                row.between_cv, row.within_cv, lag1, int(case.processes), int(timed[row.case_id])
            )
            if all(map(math.isfinite, (noise.process_cv, noise.within_cv))):
                found[str(case.label)] = noise
    return found


def steps(noise: Noise, runs: int, generator: np.random.Generator) -> Array:
    """Step times in seconds, shape (runs, processes, samples), around 1 s."""
    shape = (runs, noise.processes, noise.samples)
    between = generator.normal(0, noise.process_cv, (*shape[:2], 1))
    shocks = generator.normal(0, noise.within_cv, shape)
    shocks[..., 1:] *= math.sqrt(1 - noise.lag1**2)
    within = lfilter([1], [1, -noise.lag1], shocks)
    times: Array = np.exp(between + within)
    return times


def power(
    noise: Noise,
    pairs: int,
    threshold: float,
    seed: int = 0,
    slowdowns: Sequence[float] = SLOWDOWNS,
    floor: float = 0.0,
) -> pd.DataFrame:
    """A row (POWER_COLUMNS) for each slow-down: the shares of the verdicts, `slower` with its interval
    (Clopper–Pearson).

    At a slow-down of 0 `slower` is the share of false alarms, above it the power.
    """
    generator = np.random.default_rng(seed)

    def draw() -> tuple[Array, Array]:
        baseline, candidate = (np.median(steps(noise, pairs, generator), axis=2) for _ in range(2))
        return baseline, candidate

    return _power(draw, pairs, (threshold, floor), slowdowns)


def dealt_power(
    times: Array, pairs: int, threshold: float, seed: int = 0, floor: float = 0.0
) -> pd.DataFrame:
    """As `power`, of a run's own processes by their times: each pair deals them out to two halves
    at random.

    There are no more pairs than there are ways to deal. They share their processes, so the interval
    is of these and not of the machine for all time.
    """
    generator, half = np.random.default_rng(seed), len(times) // 2
    pairs = min(pairs, math.comb(len(times), half))

    def draw() -> tuple[Array, Array]:
        dealt = generator.permuted(np.tile(times, (pairs, 1)), axis=1)
        return dealt[:, :half], dealt[:, half : 2 * half]

    return _power(draw, pairs, (threshold, floor), SLOWDOWNS)


def times_of(run: RunTables) -> dict[str, tuple[str, Array]]:
    """By case_id, the metric that the gate judges first and what each process came to, as a time: a
    rate's inverse. Cases with too few processes for two halves are left out."""
    found = {}
    for case_id, values in metrics.per_process(run).groupby("case_id", sort=False):
        metric = next((name for name in RATES if name in set(values.metric)), "step_s_p50")
        x = values[values.metric == metric].value.to_numpy(np.float64)
        if len(x) >= TWO_HALVES and (x > 0).all() and np.isfinite(x).all():
            found[str(case_id)] = metric, 1 / x if metric in metrics.HIGHER_IS_BETTER else x
    return found


def _power(
    draw: Callable[[], tuple[Array, Array]],
    pairs: int,
    limits: tuple[float, float],
    slowdowns: Sequence[float],
) -> pd.DataFrame:
    """The table of `power` at these limits, threshold and floor; `draw` gives the processes'
    medians of both sides, each of shape (pairs, processes)."""
    rows = []
    for slowdown in slowdowns:
        baseline, candidate = draw()
        words = [
            _judged(a, b, *limits)[0]
            for a, b in zip(baseline, candidate * (1 + slowdown), strict=True)
        ]
        bound = stats.share_interval(words.count("slower"), pairs)
        shares = {word: words.count(word) / pairs for word in WORDS}
        rows.append(
            {
                "slowdown": slowdown,
                "pairs": pairs,
                **shares,
                "slower_low": bound.low,
                "slower_high": bound.high,
            }
        )
    return pd.DataFrame(rows, columns=POWER_COLUMNS)


def family(noise: Noise, rows: int, pairs: int, threshold: float, seed: int = 0) -> stats.Interval:
    """The share of A/A pairs of runs with any false alarm among `rows` metrics that are judged at
    once."""
    generator = np.random.default_rng(seed)
    alarms = 0
    for _ in range(pairs):
        baseline, candidate = (np.median(steps(noise, rows, generator), axis=2) for _ in range(2))
        judged = [_judged(a, b, threshold) for a, b in zip(baseline, candidate, strict=True)]
        alarms += "slower" in beyond_doubt([word for word, _ in judged], [p for _, p in judged])
    return stats.share_interval(alarms, pairs)


def untold(
    noise: Noise, process_cv: float, pairs: int, threshold: float, seed: int = 0
) -> stats.Interval:
    """Of the pairs, A/A and slowed by up to the threshold, called neither faster nor slower: the
    share called inconclusive and not the same, with processes that vary by `process_cv`."""
    table = power(
        replace(noise, process_cv=process_cv),
        pairs,
        threshold,
        seed,
        (0.0, threshold / 2, threshold),
    )
    counts = (table[["same", "inconclusive"]].mul(table.pairs, axis=0)).round().sum()
    return stats.share_interval(int(counts.inconclusive), int(counts.sum()))


def _judged(
    baseline: Array, candidate: Array, threshold: float, floor: float = 0.0
) -> tuple[str, float]:
    change = stats.change(baseline, candidate)
    return verdict(change, threshold, higher_is_better=False, floor=floor), change.p
