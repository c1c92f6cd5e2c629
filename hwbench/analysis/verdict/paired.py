"""The verdict on pairs of processes that were measured in turns."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from hwbench import stats
from hwbench.analysis.metrics.summary import HIGHER_IS_BETTER, per_process
from hwbench.analysis.verdict import comparable, gate, judgement
from hwbench.analysis.verdict.rules import Rules
from hwbench.tables.run import RunTables

Values = Mapping[tuple[str, str], pd.Series]
"""By case_id and metric, the value of each process."""


def judge_pairs(
    baseline: RunTables, candidate: RunTables, metrics: Sequence[str], threshold: float
) -> pd.DataFrame:
    """As judgement.judge_runs, of two runs that recording.pairs made: processes of the same number
    are a pair.

    A row is faster or slower only if that is significant among all rows (Holm), as in the gate:
    `hwbench ab` has an exit status too.
    """
    baseline, candidate = comparable.with_one_kind_of_peak([baseline, candidate])
    rules = Rules(tuple(metrics), threshold)
    table = judgement.judge_runs([baseline], candidate, rules, one_machine=True)
    values = [_values(run) for run in (baseline, candidate)]
    rows = [_judge_pair(row, values) for row in table.to_dict("records")]
    return gate.require_significance(pd.DataFrame(rows, columns=judgement.JUDGED))


def _values(run: RunTables) -> Values:
    groups = per_process(run).groupby(["case_id", "metric"])
    return {key: group.set_index("process").value for key, group in groups}


def _judge_pair(row: dict[str, Any], values: Sequence[Values]) -> dict[str, Any]:
    """A row of judgement.judge_runs with the change and the verdict of its pairs."""
    if row["verdict"] in ("missing", "incomparable") or math.isnan(row["ratio"]):
        return row
    sides = [side[row["case_id"], row["metric"]] for side in values]
    pairs = pd.concat(sides, axis=1, join="inner").to_numpy()
    change = stats.paired_change(pairs[:, 0], pairs[:, 1])
    row |= {"ratio": change.ratio, "ci_low": change.low, "ci_high": change.high, "p": change.p}
    if math.isnan(change.p):
        reason = "one pair only: measure with --pairs 6 or more"
        return row | {"verdict": "incomparable", "reason": reason}
    word = judgement.verdict(change, row["threshold"], row["metric"] in HIGHER_IS_BETTER)
    reason = row["reason"] if word == row["verdict"] else ""
    return row | {"verdict": word, "reason": reason}
