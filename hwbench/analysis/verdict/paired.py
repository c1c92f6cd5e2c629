"""The verdict on pairs that were measured in turns."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from hwbench import stats
from hwbench.analysis.metrics.summary import HIGHER_IS_BETTER, per_process
from hwbench.analysis.verdict import comparable, compare, gate
from hwbench.analysis.verdict.rules import Rules
from hwbench.tables.reader import RunTables


def judge_pairs(
    baseline: RunTables, candidate: RunTables, metrics: Sequence[str], threshold: float
) -> pd.DataFrame:
    """As `compare.judge_runs`, of two runs that `measure_pairs` made: processes of one number are a
    pair.

    A row is faster or slower only if that stays significant among all rows (Holm), as in the gate:
    there is an exit status on it.
    """
    baseline, candidate = comparable.with_one_kind_of_peak([baseline, candidate])
    table = compare.judge_runs([baseline], candidate, Rules(tuple(metrics), threshold))
    values = [
        {
            key: group.set_index("process").value
            for key, group in per_process(run).groupby(["case_id", "metric"])
        }
        for run in (baseline, candidate)
    ]
    rows = [_paired(row, values) for row in table.to_dict("records")]
    return gate.require_significance(pd.DataFrame(rows, columns=compare.JUDGED))


def _paired(
    row: dict[str, Any], values: Sequence[Mapping[tuple[str, str], pd.Series]]
) -> dict[str, Any]:
    """A row of `compare.judge_runs` with what the pairs say instead."""
    if row["verdict"] in ("missing", "incomparable") or math.isnan(row["ratio"]):
        return row
    sides = [side[row["case_id"], row["metric"]] for side in values]
    pairs = pd.concat(sides, axis=1, join="inner").to_numpy()
    change = stats.paired_change(pairs[:, 0], pairs[:, 1])
    numbers = {"ratio": change.ratio, "ci_low": change.low, "ci_high": change.high, "p": change.p}
    if math.isnan(change.p):
        return (
            row
            | numbers
            | {"verdict": "incomparable", "reason": "one pair only: measure with --pairs 6 or more"}
        )
    word = compare.verdict(change, row["threshold"], row["metric"] in HIGHER_IS_BETTER)
    return (
        row | numbers | {"verdict": word, "reason": row["reason"] if word == row["verdict"] else ""}
    )
