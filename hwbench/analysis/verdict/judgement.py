"""A candidate judged against its baseline: a table of ratios, intervals and verdicts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
import pandas as pd

from hwbench import stats
from hwbench.analysis.metrics.energy import ENERGY, why_unknown
from hwbench.analysis.metrics.rates import RATES
from hwbench.analysis.metrics.summary import HIGHER_IS_BETTER, per_process
from hwbench.analysis.outcomes import cases
from hwbench.analysis.verdict import comparable
from hwbench.analysis.verdict.comparable import Obstacles
from hwbench.analysis.verdict.rules import Rules
from hwbench.tables.run import RunTables

Verdict = Literal["faster", "slower", "same", "inconclusive", "missing", "incomparable"]

EXTRA = ("goodput_requests_per_s", "ttft_s_p50", "tpot_s_p50", "memory_peak_bytes")
"""Judged besides a case's throughput unless metrics are named. Its other rates and its step time
repeat what its first rate says."""

UNKNOWN = stats.Change(math.nan, math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Judgement:
    """One case and metric of a candidate against its baseline.

    `baseline` and `candidate` are the stats.center of the processes' values, `ratio` is candidate /
    baseline with its 95 % interval and the p-value of no change. `floor` is NaN where unknown.
    `reason` says why there is no verdict, or what may be behind a change.
    """

    case_id: str
    label: str
    workload: str
    metric: str
    unit: str
    baseline: float
    candidate: float
    ratio: float
    ci_low: float
    ci_high: float
    p: float
    threshold: float
    floor: float
    verdict: Verdict
    reason: str


JUDGED = [column.name for column in fields(Judgement)]


def judge_runs(
    baseline: Sequence[RunTables],
    candidate: RunTables,
    rules: Rules = Rules(),  # noqa: B008 - frozen
    floors: Mapping[tuple[str, str], float] | None = None,
    across_devices: bool = False,
    one_machine: bool = False,
) -> pd.DataFrame:
    """Judge a candidate against its baseline: a row (JUDGED, see Judgement) for each case and
    metric of either side.

    `rules` say what is judged and what change matters. The differences between several baseline
    runs count as noise (stats.change_from_runs). `floors` holds, by case_id and metric, the change
    that this machine's noise alone can make: a smaller one is inconclusive. `across_devices` and
    `one_machine` as in comparable.Obstacles.
    """
    *baseline, candidate = comparable.with_one_kind_of_peak([*baseline, candidate])
    runs = [*baseline, candidate]
    sides = [_sides(baseline), _sides([candidate])]
    planned = pd.concat([cases(run) for run in runs]).drop_duplicates("case_id")
    obstacles = Obstacles(baseline, candidate, across_devices, one_machine)
    doubts = comparable.doubts(baseline, candidate)
    rows = []
    for case in planned.itertuples():
        by_metric = [side.get(case.case_id, {}) for side in sides]
        for metric in _metrics_to_judge(rules, case.workload, by_metric):
            pair = _Pair(
                metric,
                baseline=by_metric[0].get(metric, _Side()),
                candidate=by_metric[1].get(metric, _Side()),
                threshold=rules.threshold_of(case.workload, metric),
                floor=(floors or {}).get((case.case_id, metric), 0.0),
            )
            absent = _why_absent(case.case_id, pair, runs)
            obstacle = obstacles.of(case.case_id, metric)
            rows.append(_judge(case, pair, absent, obstacle, doubts.get(case.case_id, "")))
    return pd.DataFrame(rows, columns=JUDGED)


def verdict(
    change: stats.Change, threshold: float, higher_is_better: bool, floor: float = 0.0
) -> Verdict:
    """Name a change. `threshold` t is relative and reaches from 1/(1 + t) to 1 + t.

    same: the whole interval lies within the threshold. faster, slower: the interval excludes 1.0
    and the ratio exceeds the threshold, and the `floor` of noise where that is higher. All else is
    inconclusive: more processes, or a quieter machine, would tell. A floor makes nothing the same.
    """
    reach, least = math.log1p(threshold), math.log1p(max(threshold, floor))
    if math.isnan(change.low) or math.isnan(change.high):
        return "inconclusive"
    low, high, estimate = (
        math.log(x) if x else -math.inf for x in (change.low, change.high, change.ratio)
    )
    if -reach < low and high < reach:
        return "same"
    if low <= 0 <= high or abs(estimate) < least:
        return "inconclusive"
    return "faster" if (estimate > 0) == higher_is_better else "slower"


def overall(verdicts: Sequence[str]) -> str:
    """The verdict over many rows: the first of slower, missing, incomparable, inconclusive, faster
    that any of them has; missing without rows."""
    for word in ("slower", "missing", "incomparable", "inconclusive", "faster"):
        if word in verdicts:
            return word
    return "same" if len(verdicts) else "missing"


@dataclass
class _Side:
    """What one side measured of a metric: for each of its runs that has any, the values of its
    processes."""

    unit: str = ""
    runs: list[list[float]] = field(default_factory=list)

    @property
    def values(self) -> list[float]:
        return [value for run in self.runs for value in run]


@dataclass(frozen=True)
class _Pair:
    """Both sides of one case and metric, and what change matters."""

    metric: str
    baseline: _Side
    candidate: _Side
    threshold: float
    floor: float

    def change(self) -> stats.Change:
        if not np.isfinite([*self.baseline.values, *self.candidate.values]).all():
            return UNKNOWN
        return stats.change_from_runs(self.baseline.runs, self.candidate.values)

    def verdict(self, change: stats.Change, floor: float) -> Verdict:
        return verdict(change, self.threshold, self.metric in HIGHER_IS_BETTER, floor)


def _sides(runs: Sequence[RunTables]) -> dict[str, dict[str, _Side]]:
    """By case_id and metric."""
    sides: dict[str, dict[str, _Side]] = {}
    for run in runs:
        groups = per_process(run).groupby(["case_id", "metric", "unit"], sort=False)
        for (case_id, metric, unit), group in groups:
            by_metric = sides.setdefault(case_id, {})
            by_metric.setdefault(metric, _Side(unit)).runs.append(list(group.value))
    return sides


def _metrics_to_judge(
    rules: Rules, workload: str, sides: Sequence[Mapping[str, _Side]]
) -> list[str]:
    """The metrics named, else the case's throughput (or step time) and EXTRA, where a side has
    them; and those that a rule names for its workload."""
    known = {metric for side in sides for metric in side}
    first = next((metric for metric in (*RATES, "step_s_p50") if metric in known), RATES[0])
    chosen = rules.metrics or [first, *(metric for metric in EXTRA if metric in known)]
    return list(dict.fromkeys([*chosen, *rules.added(workload)]))


def _judge(case: Any, pair: _Pair, absent: str, obstacle: str, doubts: str) -> Judgement:
    """The row of a case (of `outcomes.cases`). `absent` says why a side has no value, `obstacle`
    why the two cannot be compared, `doubts` what was noted against either; "" for nothing."""
    change, word, reason = _conclude(pair, absent, obstacle)
    return Judgement(
        case_id=case.case_id,
        label=case.label,
        workload=case.workload,
        metric=pair.metric,
        unit=pair.baseline.unit or pair.candidate.unit,
        baseline=stats.center(pair.baseline.values),
        candidate=stats.center(pair.candidate.values),
        ratio=change.ratio,
        ci_low=change.low,
        ci_high=change.high,
        p=change.p,
        threshold=pair.threshold,
        floor=pair.floor or math.nan,
        verdict=word,
        reason=reason or _remark(pair, change, word, doubts),
    )


def _conclude(pair: _Pair, absent: str, obstacle: str) -> tuple[stats.Change, Verdict, str]:
    """The change, its verdict, and why there is none."""
    if absent:
        return UNKNOWN, "missing", absent
    if obstacle:
        return UNKNOWN, "incomparable", obstacle
    change = pair.change()
    if not any(pair.baseline.values) and not any(pair.candidate.values):
        return change, "same", "zero on both sides"
    if math.isnan(change.ratio):
        reason = "a value is zero, negative or not a number: there is no ratio"
        return change, "incomparable", reason
    few = "one process on a side has no interval: take 3 or more (--processes, files to import)"
    return change, pair.verdict(change, pair.floor), few if math.isnan(change.p) else ""


def _remark(pair: _Pair, change: stats.Change, word: Verdict, doubts: str) -> str:
    """What a reader of this verdict should know: that only the machine's noise forbids a clearer
    one, and what was noted in either run. `same` needs no remark."""
    if word not in ("faster", "slower", "inconclusive"):
        return ""
    remarks = [doubts] if doubts else []
    if pair.verdict(change, floor=0.0) != word:
        remarks.insert(0, f"within this machine's noise of {pair.floor:.0%} (hwbench noise)")
    return "; ".join(remarks)


def _why_absent(case_id: str, pair: _Pair, runs: Sequence[RunTables]) -> str:
    """Why a side has no value, with the side's name; "" if both have one. The candidate is the last
    of the runs."""
    if not pair.baseline.runs:
        return f"baseline: {_why_no_value(case_id, pair.metric, runs[:-1])}"
    if not pair.candidate.runs:
        return f"candidate: {_why_no_value(case_id, pair.metric, runs[-1:])}"
    return ""


def _why_no_value(case_id: str, metric: str, runs: Sequence[RunTables]) -> str:
    """The outcome of the case, or that it was not measured, or that its runs lack the metric."""
    stored = pd.concat([run.measurements for run in runs])
    failed = stored[(stored.case_id == case_id) & (stored.outcome != "ok")]
    if len(failed):
        return f"{failed.outcome.iloc[0]}: {failed.reason.iloc[0]}"
    if case_id not in set(stored.case_id):
        return "not measured"
    reasons = [reason for run in runs for reason in why_unknown(run)] if metric in ENERGY else []
    return f"no such figure ({reasons[0]})" if reasons else "no such figure"
