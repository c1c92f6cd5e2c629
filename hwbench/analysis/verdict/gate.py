"""The gate: does a candidate hold its baseline? Tables in, a status for each row and one outcome
for all out.

A regression is a row whose interval leaves no change out, whose estimate passes the threshold (or
this machine's floor, if that is higher), and that stays significant among all rows judged at once
(Holm 1979). Nothing passes that has not been judged.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from hwbench import stats
from hwbench.analysis.metrics.summary import HIGHER_IS_BETTER
from hwbench.analysis.outcomes import cases
from hwbench.analysis.verdict import compare
from hwbench.analysis.verdict.comparable import invalid
from hwbench.analysis.verdict.rules import Rules
from hwbench.records import FAILED
from hwbench.tables.labels import of_label
from hwbench.tables.reader import RunTables

Status = Literal[
    "regression", "failed", "missing", "incomparable", "inconclusive", "new", "skipped", "pass"
]
STATUSES: dict[Status, str] = {
    "regression": "worse than the threshold allows, beyond doubt",
    "failed": "the case failed in the candidate, or its figures are invalid",
    "missing": "the candidate has no figure where the baseline has one",
    "incomparable": "there can be no verdict",
    "inconclusive": "more processes would tell",
    "new": "only the candidate has it",
    "skipped": "neither side has the figure",
    "pass": "no worse than the threshold allows",
}
"""What a row means for the gate, from the worst down."""

FAILING: frozenset[Status] = frozenset({"regression", "failed", "missing"})
UNDECIDED: frozenset[Status] = frozenset({"incomparable", "inconclusive"})

Outcome = Literal["fail", "no verdict", "pass"]
EXIT: dict[Outcome, int] = {"pass": 0, "fail": 1, "no verdict": 3}

LEVEL = 1 - stats.CONFIDENCE
GATE_COLUMNS = [*compare.JUDGED, "status"]
EMPTY = pd.DataFrame(columns=GATE_COLUMNS)
"""The table of a candidate without a baseline."""


def hold(
    baseline: Sequence[RunTables],
    candidate: RunTables,
    rules: Rules,
    floors: Mapping[tuple[str, str], float] | None = None,
    across_devices: bool = False,
) -> pd.DataFrame:
    """The candidate against its baseline: a row (GATE_COLUMNS) for each case and metric, worst status
    first."""
    table = require_significance(
        compare.judge_runs(baseline, candidate, rules, floors, across_devices)
    )
    broken, unmeasured = _broken(candidate), _unmeasured(baseline)
    rows = [
        row | (broken.get(row["case_id"]) or {"status": _status(row, row["case_id"] in unmeasured)})
        for row in table.to_dict("records")
    ]
    return _worst_first(pd.DataFrame(rows, columns=GATE_COLUMNS))


def require_significance(table: pd.DataFrame) -> pd.DataFrame:
    """A table of `compare.judge_runs` whose verdicts are `beyond_doubt` among all its rows; `reason`
    tells where not."""
    words = np.array(beyond_doubt(list(table.verdict), table.p.to_numpy(np.float64)), dtype=object)
    reason = f"not beyond doubt among {table.p.notna().sum()} rows judged at once"
    return table.assign(reason=table.reason.where(words == table.verdict, reason), verdict=words)


def beyond_doubt(verdicts: Sequence[str], p_values: stats.Numbers) -> list[str]:
    """The verdicts of rows judged at once: `faster` and `slower` become `inconclusive` where Holm's
    p is above 5 %.

    Rows without a p-value (NaN) were not tested and do not count.
    """
    p = np.asarray(p_values, np.float64)
    tested = np.isfinite(p)
    adjusted = np.ones(len(p))
    adjusted[tested] = stats.holm(p[tested])
    doubtful = adjusted > LEVEL
    return [
        "inconclusive" if word in ("faster", "slower") and doubt else word
        for word, doubt in zip(verdicts, doubtful, strict=True)
    ]


def outcome(table: pd.DataFrame, strict: bool = False) -> Outcome:
    """What all rows come to. An inconclusive row passes and is told, unless `strict`. No rows are
    no verdict."""
    found = set(table.status)
    if found & FAILING:
        return "fail"
    undecided = UNDECIDED if strict else UNDECIDED - {"inconclusive"}
    return "no verdict" if found & undecided or not found & {"pass", "inconclusive"} else "pass"


def summary(table: pd.DataFrame) -> str:
    """How many rows have each status, from the worst down: "1 regression, 3 pass"."""
    counts = table.status.value_counts()
    return ", ".join(f"{counts[status]} {status}" for status in STATUSES if status in counts)


def subject(baseline: Sequence[RunTables], candidate: RunTables) -> str:
    """What is held against what: "candidate c of DEVICE against baseline a, b"."""
    names = ", ".join(run.run_id for run in baseline) or "nothing"
    return f"candidate {candidate.run_id} of {candidate.device.name} against baseline {names}"


def overall(table: pd.DataFrame) -> str:
    """The verdict over all rows that were judged: what only one side has, or neither, does not
    count."""
    return compare.overall(list(table.verdict[~table.status.isin(("new", "skipped"))]))


def confirm(table: pd.DataFrame, again: pd.DataFrame, processes: int) -> pd.DataFrame:
    """`table` after its regressions were measured once more in `processes` fresh processes and
    judged as `again`.

    A regression that the second measurement does not show is inconclusive. Where it cannot tell
    there is no verdict: few noisy processes must not clear what more of them found. One that it
    could not judge stays.
    """
    second = {(row["case_id"], row["metric"]): row for row in again.to_dict("records")}
    rows = table.to_dict("records")
    for row in rows:
        if row["status"] == "regression":
            told = second.get(
                (row["case_id"], row["metric"]),
                {"status": "missing", "reason": "not measured again"},
            )
            row |= _second_opinion(row, told, processes)
    return _worst_first(pd.DataFrame(rows, columns=GATE_COLUMNS))


def _second_opinion(
    row: Mapping[str, Any], told: Mapping[str, Any], processes: int
) -> dict[str, Any]:
    """What becomes of a regression when its second measurement is `told`."""
    if told["status"] == "regression":
        return {"reason": f"confirmed by {processes} fresh processes: ratio {told['ratio']:.4f}"}
    if told["status"] == "pass" or (
        told["status"] == "inconclusive" and not _passes_threshold(told)
    ):
        doubt = f"{processes} fresh processes do not confirm it: ratio {told['ratio']:.4f}"
        return {"status": "inconclusive", "verdict": "inconclusive", "reason": doubt}
    if told["status"] == "inconclusive":
        doubt = f"{processes} fresh processes cannot tell: ratio {told['ratio']:.4f}; use a larger --confirm"
        return {"status": "incomparable", "verdict": "inconclusive", "reason": doubt}
    return {"reason": f"not confirmed: {told['reason']}"}


def _passes_threshold(row: Mapping[str, Any]) -> bool:
    """Whether the estimate is worse than the threshold allows."""
    worse = 1 / row["ratio"] if row["metric"] in HIGHER_IS_BETTER else row["ratio"]
    return bool(worse > 1 + row["threshold"])


def rolling(heads: pd.DataFrame, label: str, n: int, candidate: RunTables) -> list[Path]:
    """The folders of the last `n` runs with a label, of those on the candidate's device if there
    are any.

    `heads` are the `runs` rows of all runs with their `folder` (store.read_heads). The candidate
    itself is left out.
    """
    others = of_label(heads, label)
    here = others = others[others.run_id != candidate.run_id]
    for column in ("device_kind", "device_name"):
        here = here[here[column] == candidate.runs[column].iloc[0]]
    chosen = here if len(here) else others
    return list(chosen.folder.tail(n))


def _broken(candidate: RunTables) -> dict[str, dict[str, str]]:
    """Status and reason of each case of the candidate whose figures, if there are any, must not
    pass."""
    found: dict[str, tuple[Status, str]] = {
        case_id: ("failed", f"candidate: invalid: {code}")
        for case_id, code in invalid(candidate).items()
    }
    for case in cases(candidate).itertuples():
        if case.outcome in FAILED:
            found[case.case_id] = "failed", f"candidate: {case.outcome}: {case.reason}"
        elif case.outcome == "missing":
            found[case.case_id] = "missing", "candidate: planned and not measured"
    return {
        case_id: {"status": status, "verdict": "missing", "reason": reason}
        for case_id, (status, reason) in found.items()
    }


def _unmeasured(baseline: Sequence[RunTables]) -> set[str]:
    """The cases that the baseline planned and never measured, because they failed or it died: not
    new ones."""
    outcomes: dict[str, set[str]] = {}
    for run in baseline:
        for case in cases(run).itertuples():
            outcomes.setdefault(case.case_id, set()).add("ok" if case.processes else case.outcome)
    return {case_id for case_id, found in outcomes.items() if not found & {"ok", "unsupported"}}


def _status(row: Mapping[str, Any], unmeasured: bool) -> Status:
    """The status of a judged row of a case that came out ok or unsupported in the candidate.
    `unmeasured`: the baseline planned it and has no figure at all."""
    if unmeasured:
        return "incomparable"
    if row["verdict"] == "missing":
        sides = (math.isfinite(row["baseline"]), math.isfinite(row["candidate"]))
        return "missing" if sides[0] else "new" if sides[1] else "skipped"
    if row["verdict"] == "incomparable":
        return "incomparable"
    if row["verdict"] == "slower":
        return "regression"
    if row["verdict"] == "inconclusive" and math.isnan(row["p"]):
        return "incomparable"
    return "inconclusive" if row["verdict"] == "inconclusive" and _may_be_worse(row) else "pass"


def _may_be_worse(row: Mapping[str, Any]) -> bool:
    """Whether the interval reaches a change for the worse that the threshold does not allow."""
    limit = 1 + row["threshold"]
    if row["metric"] in HIGHER_IS_BETTER:
        return bool(row["ci_low"] <= 1 / limit)
    return bool(row["ci_high"] >= limit)


def _worst_first(table: pd.DataFrame) -> pd.DataFrame:
    rank = table.status.map(list(STATUSES).index).to_numpy(np.int64)
    return table.iloc[np.argsort(rank, kind="stable")].reset_index(drop=True)
