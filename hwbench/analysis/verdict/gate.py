"""The gate: whether a candidate is as good as its baseline. A status for each row and one outcome
for all.

A regression is a row whose 95 % interval excludes 1.0 and whose ratio exceeds the threshold (or
this machine's noise floor, if that is higher). It must stay significant among all rows judged at
once (Holm 1979). Nothing passes that has not been judged.
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
from hwbench.analysis.verdict import judgement
from hwbench.analysis.verdict.comparable import invalidating_codes
from hwbench.analysis.verdict.rules import Rules
from hwbench.records import FAILED
from hwbench.tables.labels import of_label
from hwbench.tables.run import RunTables, identity_of

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
"""What each status means, the worst first."""

FAILING: frozenset[Status] = frozenset({"regression", "failed", "missing"})
UNDECIDED: frozenset[Status] = frozenset({"incomparable", "inconclusive"})

Outcome = Literal["fail", "no verdict", "pass"]
EXIT: dict[Outcome, int] = {"pass": 0, "fail": 1, "no verdict": 3}

LEVEL = 1 - stats.CONFIDENCE
GATE_COLUMNS = [*judgement.JUDGED, "status"]
EMPTY = pd.DataFrame(columns=GATE_COLUMNS)
"""The table of a candidate without a baseline."""


def hold(
    baseline: Sequence[RunTables],
    candidate: RunTables,
    rules: Rules,
    floors: Mapping[tuple[str, str], float] | None = None,
    across_devices: bool = False,
) -> pd.DataFrame:
    """Judge the candidate against its baseline: a row (GATE_COLUMNS) for each case and metric, the
    worst status first. The arguments are those of judgement.judge_runs."""
    table = require_significance(
        judgement.judge_runs(baseline, candidate, rules, floors, across_devices)
    )
    broken, unmeasured = _broken(candidate), _unmeasured(baseline)
    rows = []
    for row in table.to_dict("records"):
        case_id = row["case_id"]
        status = {"status": _status(row, case_id in unmeasured)}
        rows.append(row | broken.get(case_id, status))
    return _worst_first(pd.DataFrame(rows, columns=GATE_COLUMNS))


def require_significance(table: pd.DataFrame) -> pd.DataFrame:
    """Make `faster` and `slower` inconclusive in a table of judgement.judge_runs where they are not
    significant among all its rows (beyond_doubt); `reason` then says so."""
    words = np.array(beyond_doubt(list(table.verdict), table.p.to_numpy(np.float64)), dtype=object)
    reason = f"not beyond doubt among {table.p.notna().sum()} rows judged at once"
    return table.assign(reason=table.reason.where(words == table.verdict, reason), verdict=words)


def beyond_doubt(verdicts: Sequence[str], p_values: stats.Numbers) -> list[str]:
    """The verdicts of rows judged at once: `faster` and `slower` become `inconclusive` where the
    p-value adjusted by Holm is above 5 %. Rows without a p-value (NaN) do not count."""
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
    """The outcome of all rows. An inconclusive row passes unless `strict`. A table without rows has
    no verdict."""
    statuses = set(table.status)
    if statuses & FAILING:
        return "fail"
    undecided = UNDECIDED if strict else UNDECIDED - {"inconclusive"}
    judged = statuses & {"pass", "inconclusive"}
    return "pass" if judged and not statuses & undecided else "no verdict"


def summary(table: pd.DataFrame) -> str:
    """How many rows have each status, from the worst down: "1 regression, 3 pass"."""
    counts = table.status.value_counts()
    return ", ".join(f"{counts[status]} {status}" for status in STATUSES if status in counts)


def subject(baseline: Sequence[RunTables], candidate: RunTables) -> str:
    """Which runs are compared: "candidate c of DEVICE against baseline a, b"."""
    names = ", ".join(run.run_id for run in baseline) or "nothing"
    return f"candidate {candidate.run_id} of {candidate.device.name} against baseline {names}"


def overall(table: pd.DataFrame) -> str:
    """The verdict over all rows that both sides have."""
    return judgement.overall(list(table.verdict[~table.status.isin(("new", "skipped"))]))


def confirm(table: pd.DataFrame, again: pd.DataFrame, processes: int) -> pd.DataFrame:
    """Update `table` with the second measurement of its regressions: `processes` fresh processes of
    each, judged as `again`.

    A regression that the second measurement does not show becomes inconclusive. If the second
    measurement is inconclusive there is no verdict: few noisy processes must not clear what more
    of them found. A regression without a second judgement stays.
    """
    second = {(row["case_id"], row["metric"]): row for row in again.to_dict("records")}
    unmeasured = {"status": "missing", "reason": "not measured again"}
    rows = table.to_dict("records")
    for row in rows:
        if row["status"] == "regression":
            row |= _confirm(second.get((row["case_id"], row["metric"]), unmeasured), processes)
    return _worst_first(pd.DataFrame(rows, columns=GATE_COLUMNS))


def _confirm(second: Mapping[str, Any], processes: int) -> dict[str, Any]:
    """The columns of a regression that its second measurement changes."""
    fresh = f"{processes} fresh processes"
    if second["status"] == "regression":
        return {"reason": f"confirmed by {fresh}: ratio {second['ratio']:.4f}"}
    if second["status"] not in ("pass", "inconclusive"):
        return {"reason": f"not confirmed: {second['reason']}"}
    if second["status"] == "inconclusive" and _exceeds_threshold(second):
        status = "incomparable"
        reason = f"{fresh} cannot tell: ratio {second['ratio']:.4f}; use a larger --confirm"
    else:
        status = "inconclusive"
        reason = f"{fresh} do not confirm it: ratio {second['ratio']:.4f}"
    return {"status": status, "verdict": "inconclusive", "reason": reason}


def _exceeds_threshold(row: Mapping[str, Any]) -> bool:
    """Whether the ratio is worse than the threshold allows."""
    worse = 1 / row["ratio"] if row["metric"] in HIGHER_IS_BETTER else row["ratio"]
    return bool(worse > 1 + row["threshold"])


def rolling(heads: pd.DataFrame, label: str, n: int, candidate: RunTables) -> list[Path]:
    """The folders of the last `n` runs with a label: those that are known to be of the candidate's
    device if there are any, else those of all devices.

    `heads` are the `runs` rows of all runs with their `folder` (tables.read_heads). The candidate
    itself is left out.
    """
    labelled = of_label(heads, label)
    others = labelled[labelled.run_id != candidate.run_id]
    is_here = [identity_of(row).is_known_to_be(candidate.identity) for row in others.itertuples()]
    here = others[np.array(is_here, dtype=bool)]
    chosen = here if len(here) else others
    return list(chosen.folder.tail(n))


def _broken(candidate: RunTables) -> dict[str, dict[str, str]]:
    """By case_id, the status, verdict and reason of the candidate's cases whose figures, if there
    are any, must not pass."""
    broken: dict[str, dict[str, str]] = {}
    for case_id, code in invalidating_codes(candidate).items():
        broken[case_id] = {"status": "failed", "reason": f"candidate: invalid: {code}"}
    for case in cases(candidate).itertuples():
        if case.outcome in FAILED:
            reason = f"candidate: {case.outcome}: {case.reason}"
            broken[case.case_id] = {"status": "failed", "reason": reason}
        elif case.outcome == "missing":
            reason = "candidate: planned and not measured"
            broken[case.case_id] = {"status": "missing", "reason": reason}
    return {case_id: {"verdict": "missing"} | columns for case_id, columns in broken.items()}


def _unmeasured(baseline: Sequence[RunTables]) -> set[str]:
    """The case_ids that the baseline planned and never measured: they failed, or it was cut
    short. A candidate that has them has nothing new."""
    outcomes: dict[str, set[str]] = {}
    for run in baseline:
        for case in cases(run).itertuples():
            outcomes.setdefault(case.case_id, set()).add("ok" if case.processes else case.outcome)
    answers = {"ok", "unsupported"}
    return {case_id for case_id, of_runs in outcomes.items() if not of_runs & answers}


def _status(row: Mapping[str, Any], unmeasured: bool) -> Status:
    """The status of a judged row of a case that came out ok or unsupported in the candidate.
    `unmeasured`: the baseline planned it and has no figure at all."""
    if unmeasured or row["verdict"] == "incomparable":
        return "incomparable"
    if row["verdict"] == "missing":
        if math.isfinite(row["baseline"]):
            return "missing"
        return "new" if math.isfinite(row["candidate"]) else "skipped"
    if row["verdict"] == "slower":
        return "regression"
    if row["verdict"] != "inconclusive":
        return "pass"
    if math.isnan(row["p"]):
        return "incomparable"
    return "inconclusive" if _may_be_worse(row) else "pass"


def _may_be_worse(row: Mapping[str, Any]) -> bool:
    """Whether the interval reaches beyond the threshold on the side that is worse."""
    limit = 1 + row["threshold"]
    if row["metric"] in HIGHER_IS_BETTER:
        return bool(row["ci_low"] <= 1 / limit)
    return bool(row["ci_high"] >= limit)


def _worst_first(table: pd.DataFrame) -> pd.DataFrame:
    rank = table.status.map(list(STATUSES).index).to_numpy(np.int64)
    return table.iloc[np.argsort(rank, kind="stable")].reset_index(drop=True)
