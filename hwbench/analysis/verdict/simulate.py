"""The gate on processes of known truth: how often it gives a false alarm, and how small a slow-down
it finds.

The processes are those of a run, dealt out to two sides at random: the sides differ by noise alone.
Or they are simulated: a step of a process takes m · e^(b + w), where b is an offset of the process
and w is first-order autoregressive noise between its steps. Both are normal with about the
coefficients of variation asked for. Either way the medians of processes go through the same
`stats.change`, `judgement.verdict` and `gate.beyond_doubt` as those of a real run.
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
from hwbench.analysis.verdict.gate import beyond_doubt
from hwbench.analysis.verdict.judgement import verdict
from hwbench.stats import Array
from hwbench.tables.run import RunTables

SLOWDOWNS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.10)
"""By how much the candidate is slowed; 0 makes A/A pairs."""

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
            f"{self.processes} processes × {self.samples} steps, "
            f"CV {self.process_cv:.2%} between processes and {self.within_cv:.2%} within, "
            f"lag-1 autocorrelation {self.lag1:.2f}"
        )


def noise_of(run: RunTables) -> dict[str, Noise]:
    """How the steps of each case of a run varied, by the case's label; cases of one process, or of
    one step, are left out."""
    cases = metrics.cases(run).set_index("case_id")
    timed = timed_samples(run).groupby(["case_id", "process"]).size().groupby("case_id").median()
    noises = {}
    for row in metrics.spread(run).itertuples():
        case = cases.loc[row.case_id]
        if case.processes < 2 or not math.isfinite(row.between_cv + row.within_cv):
            continue
        lag1 = 0.0 if math.isnan(row.lag1) else min(max(row.lag1, 0.0), 0.99)
        steps_each = int(timed[row.case_id])
        noise = Noise(row.between_cv, row.within_cv, lag1, int(case.processes), steps_each)
        noises[str(case.label)] = noise
    return noises


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
    """A row (POWER_COLUMNS) for each slow-down: the share of each verdict, that of `slower` with
    its 95 % interval (Clopper–Pearson).

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
    """As `power`, from the times of a run's own processes: each pair deals them out to two halves
    at random.

    There are no more pairs than there are ways to deal. All pairs share the same processes, so the
    interval is about these processes, not about the machine in general.
    """
    generator, half = np.random.default_rng(seed), len(times) // 2
    pairs = min(pairs, math.comb(len(times), half))

    def draw() -> tuple[Array, Array]:
        dealt = generator.permuted(np.tile(times, (pairs, 1)), axis=1)
        return dealt[:, :half], dealt[:, half : 2 * half]

    return _power(draw, pairs, (threshold, floor), SLOWDOWNS)


def times_of(run: RunTables) -> dict[str, tuple[str, Array]]:
    """By case_id, the metric that the gate judges first and its value of each process, as a time:
    of a rate the inverse. Cases with too few processes for two halves are left out."""
    times = {}
    for case_id, values in metrics.per_process(run).groupby("case_id", sort=False):
        metric = next((name for name in RATES if name in set(values.metric)), "step_s_p50")
        x = values[values.metric == metric].value.to_numpy(np.float64)
        if len(x) >= TWO_HALVES and (x > 0).all() and np.isfinite(x).all():
            times[str(case_id)] = metric, 1 / x if metric in metrics.HIGHER_IS_BETTER else x
    return times


def _power(
    draw: Callable[[], tuple[Array, Array]],
    pairs: int,
    limits: tuple[float, float],
    slowdowns: Sequence[float],
) -> pd.DataFrame:
    """The table of `power` at these limits, threshold and floor. `draw` gives the medians of the
    processes of both sides, each of shape (pairs, processes)."""
    rows = []
    for slowdown in slowdowns:
        baseline, candidate = draw()
        sides = zip(baseline, candidate * (1 + slowdown), strict=True)
        words = [_judge(a, b, *limits)[0] for a, b in sides]
        bound = stats.share_interval(words.count("slower"), pairs)
        shares = [words.count(word) / pairs for word in WORDS]
        rows.append([slowdown, pairs, *shares, bound.low, bound.high])
    return pd.DataFrame(rows, columns=POWER_COLUMNS)


def false_alarm_share(
    noise: Noise, rows: int, pairs: int, threshold: float, seed: int = 0
) -> stats.Interval:
    """The share of A/A pairs of runs with any false alarm among `rows` metrics judged at once."""
    generator = np.random.default_rng(seed)
    alarms = 0
    for _ in range(pairs):
        baseline, candidate = (np.median(steps(noise, rows, generator), axis=2) for _ in range(2))
        judgements = [_judge(a, b, threshold) for a, b in zip(baseline, candidate, strict=True)]
        words, p_values = zip(*judgements, strict=True)
        alarms += "slower" in beyond_doubt(words, p_values)
    return stats.share_interval(alarms, pairs)


def undecided_share(
    noise: Noise, process_cv: float, pairs: int, threshold: float, seed: int = 0
) -> stats.Interval:
    """How often the gate cannot tell, with processes that vary by `process_cv`: of the pairs
    without a change, or with one up to the threshold, that are called neither faster nor slower,
    the share that is called inconclusive instead of the same."""
    slowdowns = (0.0, threshold / 2, threshold)
    table = power(replace(noise, process_cv=process_cv), pairs, threshold, seed, slowdowns)
    counts = table[["same", "inconclusive"]].mul(table.pairs, axis=0).round().sum()
    return stats.share_interval(int(counts.inconclusive), int(counts.sum()))


def _judge(
    baseline: Array, candidate: Array, threshold: float, floor: float = 0.0
) -> tuple[str, float]:
    change = stats.change(baseline, candidate)
    return verdict(change, threshold, higher_is_better=False, floor=floor), change.p
