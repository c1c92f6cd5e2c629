"""The gate beside other methods, on the same simulated data: false alarms and power.

Run it as `python tests/bench/gate_power.py [PAIRS [FIGURE.svg]]`; `make bench` prints the tables
too.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats as distributions

from hwbench import stats
from hwbench.analysis.verdict import simulate
from hwbench.analysis.verdict.judgement import verdict
from hwbench.report.figures.gate_power import gate_power

PAIRS = 1000
THRESHOLD = 0.02
LEVEL = 0.05
NOISE = simulate.Noise()

Alarms = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Baselines and candidates, shape (pairs, processes, samples), to whether each pair is called
slower."""


def gate_of(threshold: float) -> Alarms:
    def alarms(baseline, candidate):
        pairs = zip(np.median(baseline, axis=2), np.median(candidate, axis=2), strict=True)
        return np.array(
            [verdict(stats.change(a, b), threshold, False) == "slower" for a, b in pairs]
        )

    return alarms


def means_of_all(baseline, candidate):
    """pytest-benchmark --benchmark-compare-fail=mean:5%."""
    return candidate.mean((1, 2)) > 1.05 * baseline.mean((1, 2))


def means_of_one_process(baseline, candidate):
    return means_of_all(baseline[:, :1], candidate[:, :1])


def mann_whitney(baseline, candidate):
    """google/benchmark's compare.py: two-sided, of all samples."""
    a, b = (side.reshape(len(side), -1) for side in (baseline, candidate))
    p = distributions.mannwhitneyu(b, a, axis=1, method="asymptotic").pvalue
    return (p < LEVEL) & (np.median(b, axis=1) > np.median(a, axis=1))


def t_test(baseline, candidate):
    """pyperf compare_to: Student's, two-sided, of all values."""
    a, b = (side.reshape(len(side), -1) for side in (baseline, candidate))
    found = distributions.ttest_ind(b, a, axis=1)
    return (found.pvalue < LEVEL) & (found.statistic > 0)


METHODS: dict[str, Alarms] = {
    "hwbench gate, 2 %": gate_of(0.02),
    "hwbench gate, 5 %": gate_of(0.05),
    "mean:5%, all samples": means_of_all,
    "mean:5%, one process": means_of_one_process,
    "pooled Mann-Whitney": mann_whitney,
    "pooled t-test": t_test,
}


def comparison(pairs: int, noise: simulate.Noise = NOISE, seed: int = 0) -> pd.DataFrame:
    """The share of pairs called slower: a row a method, a column for each slow-down."""
    generator = np.random.default_rng(seed)
    columns = {}
    for slowdown in simulate.SLOWDOWNS:
        baseline, candidate = (simulate.steps(noise, pairs, generator) for _ in range(2))
        columns[slowdown] = [
            alarms(baseline, candidate * (1 + slowdown)).mean() for alarms in METHODS.values()
        ]
    return pd.DataFrame(columns, index=list(METHODS))


def report(pairs: int = PAIRS) -> Iterator[str]:
    yield f"pairs called slower, {pairs} each; {NOISE}"
    table = comparison(pairs)
    yield " " * 24 + "".join(f"{f'+{s:.0%}' if s else 'A/A':>9}" for s in table.columns)
    for method, row in table.iterrows():
        yield f"  {method:22}" + "".join(f"{share:9.1%}" for share in row)
    undecided = simulate.undecided_share(NOISE, 0.03, pairs, THRESHOLD)
    pairs_alike = f"of {undecided.n} pairs that it cannot tell apart"
    yield f"process CV 3 %: {pairs_alike}, {undecided.value:.1%} are inconclusive, not same"
    for threshold in (THRESHOLD, 0.001):
        alarms = simulate.false_alarm_share(NOISE, 30, pairs, threshold)
        yield (
            f"30 metrics at once, threshold {threshold:.1%}: {alarms.value:.1%} of A/A runs with "
            f"any false alarm (95 % interval {alarms.low:.1%} to {alarms.high:.1%})"
        )


def figure(pairs: int = PAIRS) -> str:
    """The figure in docs/images."""
    slowdowns = (0.0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05)
    curves = {
        f"processes vary by {cv:.1%}": simulate.power(
            replace(NOISE, process_cv=cv), pairs, THRESHOLD, 0, slowdowns
        )
        for cv in (0.005, 0.01, 0.03)
    }
    return gate_power(
        curves, THRESHOLD, f"5 processes × 50 steps a side, threshold 2 %, {pairs} pairs a point"
    )


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    for line in report(count):
        print(line, flush=True)
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_text(figure(count), encoding="utf-8")
