"""Runs side by side, and a candidate judged against its baseline: tables in, tables out.

Cases meet by `case_id`, which leaves the device out, so the same case on CPU and on GPU is one case here. Whatever a
run did not measure keeps its place in the table, with the outcome that says why.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from hwbench import stats
from hwbench.metrics import THROUGHPUT, cases, per_process
from hwbench.reasons import INVALIDATING
from hwbench.rules import Rules
from hwbench.store import RunTables

HEADLINE = (
    "tokens_per_s",
    "flops_per_s",
    "bytes_per_s",
    "step_s_p50",
    "ttft_s_p50",
    "tpot_s_p50",
    "memory_peak_bytes",
)
"""The metrics that are set side by side, in this order."""

NOT_PLANNED = "not in this run"
"""The outcome of a case that a run was not asked for."""

COLUMNS = ["case_id", "label", "metric", "unit", "run", "outcome", "validity", "value", "ratio"]


def side_by_side(cases: Sequence[pd.DataFrame], metrics: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Several runs as one table: a row for each case, headline metric and run.

    `cases` and `metrics` hold what `metrics.cases` and `metrics.summarize` say of each run; the first is the base.
    Columns: case_id, label, metric, unit, run (position, from 0), outcome, validity, value, ratio. `ratio` is the value
    over the base's: NaN where either is unknown, zero or invalid. A case that nowhere was measured has one row a run,
    its metric null. Cases keep the order in which the runs name them.
    """
    outcomes = _stacked(cases, ["case_id", "label", "outcome"])
    headline = [table[table.metric.isin(HEADLINE)] for table in metrics]
    values = _stacked(headline, ["case_id", "metric", "unit", "validity", "value"]).astype({"value": "float64"})
    table = _grid(outcomes, values, len(cases))
    table = table.merge(outcomes.drop(columns="label"), on=["case_id", "run"], how="left")
    table = table.merge(values, on=["case_id", "metric", "unit", "run"], how="left")
    table = table.assign(outcome=table.outcome.fillna(NOT_PLANNED))
    return table.assign(ratio=_ratio(table))[COLUMNS]


def shared(table: pd.DataFrame) -> list[str]:
    """The case_ids of `side_by_side` that at least two runs have a figure for, in the table's order."""
    runs = table.dropna(subset="value").groupby("case_id", sort=False).run.nunique()
    return [str(case_id) for case_id in runs[runs >= 2].index]


def presence(table: pd.DataFrame) -> pd.DataFrame:
    """What each run has of each case: index case_id in the table's order, a column a run, cells the outcome."""
    wide = table.drop_duplicates(["case_id", "run"]).pivot(index="case_id", columns="run", values="outcome")
    return wide.reindex(table.case_id.drop_duplicates())


def _stacked(tables: Sequence[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """The tables one below the other, each row with the position of its run."""
    return pd.concat([table[columns].assign(run=run) for run, table in enumerate(tables)], ignore_index=True)


def _grid(outcomes: pd.DataFrame, values: pd.DataFrame, runs: int) -> pd.DataFrame:
    """Every case with each metric that any run has for it and every run."""
    known = outcomes.drop_duplicates("case_id")[["case_id", "label"]].assign(order=lambda t: range(len(t)))
    pairs = values[["case_id", "metric", "unit"]].drop_duplicates()
    pairs = known.merge(pairs.assign(rank=pairs.metric.map(HEADLINE.index)), on="case_id", how="left")
    grid = pairs.merge(pd.DataFrame({"run": range(runs)}), how="cross")
    return grid.sort_values(["order", "rank", "run"], ignore_index=True).drop(columns=["order", "rank"])


def _ratio(table: pd.DataFrame) -> pd.Series:
    usable = table.value.where((table.value > 0) & (table.validity != "invalid"))
    return usable / usable.where(table.run == 0).groupby([table.case_id, table.metric], dropna=False).transform("max")


Verdict = Literal["faster", "slower", "same", "inconclusive", "missing", "incomparable"]

RATES = [metric for metric, _ in THROUGHPUT.values()]
HIGHER_IS_BETTER = frozenset({*RATES, "mfu_achievable"})
"""Of every other metric, less is better."""

EXTRA = ("ttft_s_p50", "tpot_s_p50", "memory_peak_bytes")
"""What is judged besides a case's throughput unless metrics are named. Its other rates and its step time say the same
as its first rate over again."""

JUDGED = [
    "case_id", "label", "workload", "metric", "unit", "baseline", "candidate", "ratio", "ci_low", "ci_high", "p",
    "threshold", "verdict", "reason",
]  # fmt: skip


UNKNOWN = stats.Change(math.nan, math.nan, math.nan, math.nan)


def judge(
    baseline: Sequence[RunTables],
    candidate: RunTables,
    rules: Rules = Rules(),  # noqa: B008 - frozen
    floors: Mapping[tuple[str, str], float] | None = None,
    across_devices: bool = False,
) -> pd.DataFrame:
    """A row (JUDGED) for each case and metric of either side: what it came to, the ratio candidate / baseline with its
    95 % interval, and the verdict.

    `rules` say what is judged and what change matters. Of several baseline runs, what they differ by among themselves
    counts as noise (stats.change_from_runs).
    `floors` holds, by case_id and metric, what this machine's noise alone can do; the threshold of a row is never below
    it. `reason` says why there is no verdict.
    """
    sides = [_sides(baseline), _sides([candidate])]
    known = pd.concat([cases(run) for run in (*baseline, candidate)]).drop_duplicates("case_id")
    strangers = "" if across_devices else _strangers(baseline, candidate)
    doubts = _doubts(baseline, candidate)
    rows = []
    for case in known.itertuples():
        found = [side.get(case.case_id, {}) for side in sides]
        for metric in _wanted(rules, case.workload, found):
            floor = (floors or {}).get((case.case_id, metric), 0.0)
            limit = max(rules.threshold_of(case.workload, metric), floor)
            row = {"case_id": case.case_id, "label": case.label, "workload": case.workload, "metric": metric}
            both = [side.get(metric, _Side()) for side in found]
            absent = _absent(case.case_id, [*baseline, candidate], both)
            rows.append(row | _judged(both, metric, limit, absent, strangers or doubts.get(case.case_id, "")))
    return pd.DataFrame(rows, columns=JUDGED)


def verdict(change: stats.Change, threshold: float, higher_is_better: bool) -> Verdict:
    """What a change amounts to. `threshold` is relative and works alike in both directions: 1/(1 + t) to 1 + t.

    same: the whole interval lies within the threshold. faster, slower: the interval leaves no change out and the
    estimate passes the threshold. All else is inconclusive: more processes would tell.
    """
    reach = math.log1p(threshold)
    if math.isnan(change.low) or math.isnan(change.high):
        return "inconclusive"
    low, high, estimate = (math.log(x) if x else -math.inf for x in (change.low, change.high, change.ratio))
    if -reach < low and high < reach:
        return "same"
    if low <= 0 <= high or abs(estimate) < reach:
        return "inconclusive"
    return "faster" if (estimate > 0) == higher_is_better else "slower"


def overall(verdicts: Sequence[str]) -> str:
    """The verdict over many rows: the first of slower, missing, incomparable, inconclusive, faster that is there."""
    order = ("slower", "missing", "incomparable", "inconclusive", "faster")
    return next((word for word in order if word in verdicts), "same" if len(verdicts) else "missing")


@dataclass
class _Side:
    """What a side measured of a metric: for each of its runs that has any, the values of its processes."""

    unit: str = ""
    runs: list[list[float]] = field(default_factory=list)

    @property
    def values(self) -> list[float]:
        return [value for run in self.runs for value in run]


def _sides(runs: Sequence[RunTables]) -> dict[str, dict[str, _Side]]:
    """By case_id and metric."""
    found: dict[str, dict[str, _Side]] = {}
    for run in runs:
        for (case_id, metric, unit), group in per_process(run).groupby(["case_id", "metric", "unit"], sort=False):
            found.setdefault(case_id, {}).setdefault(metric, _Side(unit)).runs.append(list(group.value))
    return found


def _wanted(rules: Rules, workload: str, sides: Sequence[Mapping[str, Any]]) -> list[str]:
    """The metrics to judge of a case: those named, else its throughput (or step time) and EXTRA, where a side has them;
    and those that a rule names for its workload."""
    there = {metric for side in sides for metric in side}
    first = next((metric for metric in (*RATES, "step_s_p50") if metric in there), RATES[0])
    chosen = rules.metrics or [first, *(metric for metric in EXTRA if metric in there)]
    return list(dict.fromkeys([*chosen, *rules.added(workload)]))


def _judged(sides: Sequence[_Side], metric: str, threshold: float, absent: str, strange: str) -> dict[str, Any]:
    """The columns of a row from `unit` on. `absent` and `strange` say why there can be no verdict, or nothing."""
    baseline, candidate = sides[0].values, sides[1].values
    usable = not (absent or strange) and np.isfinite([*baseline, *candidate]).all()
    change = stats.change_from_runs(sides[0].runs, candidate) if usable else UNKNOWN
    word, reason = verdict(change, threshold, metric in HIGHER_IS_BETTER), ""
    if absent or strange:
        word, reason = ("missing", absent) if absent else ("incomparable", strange)
    elif not any(baseline) and not any(candidate):
        word, reason = "same", "zero on both sides"
    elif math.isnan(change.ratio):
        word, reason = "incomparable", "a value is zero, negative or not a number: there is no ratio"
    elif math.isnan(change.p):
        reason = "one process on a side: measure with --processes 3 or more"
    return {
        "unit": sides[0].unit or sides[1].unit,
        "baseline": stats.median_interval(baseline).value,
        "candidate": stats.median_interval(candidate).value,
        "ratio": change.ratio,
        "ci_low": change.low,
        "ci_high": change.high,
        "p": change.p,
        "threshold": threshold,
        "verdict": word,
        "reason": reason,
    }


def _absent(case_id: str, runs: Sequence[RunTables], sides: Sequence[_Side]) -> str:
    """Why a case has no value on a side: the outcome there, or that it was not asked for. Empty if both have one."""
    for name, its, side in zip(("baseline", "candidate"), (runs[:-1], runs[-1:]), sides, strict=True):
        if not side.runs:
            stored = pd.concat([run.measurements for run in its])
            failed = stored[(stored.case_id == case_id) & (stored.outcome != "ok")]
            if len(failed):
                return f"{name}: {failed.outcome.iloc[0]}: {failed.reason.iloc[0]}"
            return f"{name}: no such figure" if case_id in set(stored.case_id) else f"{name}: not measured"
    return ""


def invalid(run: RunTables) -> dict[str, str]:
    """By case_id, the code of the note for which a case's figures mean nothing."""
    measured = run.measurements[run.measurements.outcome == "ok"]
    codes = [
        (case_id, str(note).partition(":")[0])
        for case_id, notes in zip(measured.case_id, measured.notes, strict=True)
        for note in json.loads(notes)
    ]
    return {case_id: code for case_id, code in codes if code in INVALIDATING}


def _doubts(baseline: Sequence[RunTables], candidate: RunTables) -> dict[str, str]:
    """By case_id, which side's figures mean nothing and why."""
    sides = [("candidate", candidate), *(("baseline", run) for run in baseline)]
    return {case_id: f"{name}: invalid: {code}" for name, run in sides for case_id, code in invalid(run).items()}


def _strangers(baseline: Sequence[RunTables], candidate: RunTables) -> str:
    """Why the runs cannot be compared at all: another device, or another kind of clock. Empty if they can."""
    for run in baseline:
        for column, what in (("device_kind", "device"), ("device_name", "device")):
            ours, theirs = run.runs[column].iloc[0], candidate.runs[column].iloc[0]
            if ours != theirs:
                return f"another {what}: {ours} against {theirs}"
        clocks = [set(side.measurements.timer_kind.dropna()) for side in (run, candidate)]
        if all(clocks) and clocks[0] != clocks[1]:
            return f"another clock: {', '.join(sorted(clocks[0]))} against {', '.join(sorted(clocks[1]))}"
    return ""
