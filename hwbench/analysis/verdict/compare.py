"""A candidate judged against its baseline: tables in, a table of ratios, intervals and verdicts
out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from hwbench.tables.reader import RunTables

Verdict = Literal["faster", "slower", "same", "inconclusive", "missing", "incomparable"]

EXTRA = ("goodput_requests_per_s", "ttft_s_p50", "tpot_s_p50", "memory_peak_bytes")
"""What is judged besides a case's throughput unless metrics are named. Its other rates and its step
time say the same as its first rate over again."""

JUDGED = [
    "case_id", "label", "workload", "metric", "unit", "baseline", "candidate", "ratio", "ci_low", "ci_high", "p",
    "threshold", "floor", "verdict", "reason",
]  # fmt: skip


UNKNOWN = stats.Change(math.nan, math.nan, math.nan, math.nan)


def judge_runs(
    baseline: Sequence[RunTables],
    candidate: RunTables,
    rules: Rules = Rules(),  # noqa: B008 - frozen
    floors: Mapping[tuple[str, str], float] | None = None,
    across_devices: bool = False,
) -> pd.DataFrame:
    """A row (JUDGED) for each case and metric of either side: what it came to (stats.center of its
    processes, so that the two make the ratio), the ratio candidate / baseline with its 95 %
    interval, and the verdict.

    `rules` say what is judged and what change matters. Of several baseline runs, what they differ by among themselves
    counts as noise (stats.change_from_runs). `floors` holds, by case_id and metric, what this machine's noise alone can
    do: no smaller change is called one. `reason` says why there is no verdict, or what may be behind a change.
    """
    *baseline, candidate = comparable.with_one_kind_of_peak([*baseline, candidate])
    sides = [_sides(baseline), _sides([candidate])]
    known = pd.concat([cases(run) for run in (*baseline, candidate)]).drop_duplicates("case_id")
    obstacles, doubts = (
        Obstacles(baseline, candidate, across_devices),
        comparable.doubts(baseline, candidate),
    )
    rows = []
    for case in known.itertuples():
        found = [side.get(case.case_id, {}) for side in sides]
        for metric in _wanted(rules, case.workload, found):
            both = [side.get(metric, _Side()) for side in found]
            limits = (
                rules.threshold_of(case.workload, metric),
                (floors or {}).get((case.case_id, metric), 0.0),
            )
            absent = _absent(case.case_id, metric, [*baseline, candidate], both)
            row = {
                "case_id": case.case_id,
                "label": case.label,
                "workload": case.workload,
                "metric": metric,
            }
            row |= _judged(both, metric, limits, absent, obstacles.of(case.case_id, metric))
            rows.append(
                row | {"reason": row["reason"] or _remark(row, doubts.get(case.case_id, ""))}
            )
    return pd.DataFrame(rows, columns=JUDGED)


def verdict(
    change: stats.Change, threshold: float, higher_is_better: bool, floor: float = 0.0
) -> Verdict:
    """What a change amounts to. `threshold` is relative and works alike in both directions: 1/(1 +
    t) to 1 + t.

    same: the whole interval lies within the threshold. faster, slower: the interval leaves no change out and the
    estimate passes the threshold, and the `floor` of noise where that is higher. All else is inconclusive: more
    processes, or a quieter machine, would tell. A floor never makes anything the same.
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
    that is there."""
    order = ("slower", "missing", "incomparable", "inconclusive", "faster")
    return next(
        (word for word in order if word in verdicts), "same" if len(verdicts) else "missing"
    )


@dataclass
class _Side:
    """What a side measured of a metric: for each of its runs that has any, the values of its
    processes."""

    unit: str = ""
    runs: list[list[float]] = field(default_factory=list)

    @property
    def values(self) -> list[float]:
        return [value for run in self.runs for value in run]


def _sides(runs: Sequence[RunTables]) -> dict[str, dict[str, _Side]]:
    """By case_id and metric."""
    found: dict[str, dict[str, _Side]] = {}
    for run in runs:
        for (case_id, metric, unit), group in per_process(run).groupby(
            ["case_id", "metric", "unit"], sort=False
        ):
            found.setdefault(case_id, {}).setdefault(metric, _Side(unit)).runs.append(
                list(group.value)
            )
    return found


def _wanted(rules: Rules, workload: str, sides: Sequence[Mapping[str, Any]]) -> list[str]:
    """The metrics to judge of a case: those named, else its throughput (or step time) and EXTRA,
    where a side has them; and those that a rule names for its workload."""
    there = {metric for side in sides for metric in side}
    first = next((metric for metric in (*RATES, "step_s_p50") if metric in there), RATES[0])
    chosen = rules.metrics or [first, *(metric for metric in EXTRA if metric in there)]
    return list(dict.fromkeys([*chosen, *rules.added(workload)]))


def _judged(
    sides: Sequence[_Side], metric: str, limits: tuple[float, float], absent: str, strange: str
) -> dict[str, Any]:
    """The columns of a row from `unit` on. `limits` are threshold and floor; `absent` and `strange`
    say why there can be no verdict, or nothing."""
    baseline, candidate = sides[0].values, sides[1].values
    usable = not (absent or strange) and np.isfinite([*baseline, *candidate]).all()
    change = stats.change_from_runs(sides[0].runs, candidate) if usable else UNKNOWN
    word, reason = verdict(change, limits[0], metric in HIGHER_IS_BETTER, limits[1]), ""
    if absent or strange:
        word, reason = ("missing", absent) if absent else ("incomparable", strange)
    elif not any(baseline) and not any(candidate):
        word, reason = "same", "zero on both sides"
    elif math.isnan(change.ratio):
        word, reason = (
            "incomparable",
            "a value is zero, negative or not a number: there is no ratio",
        )
    elif math.isnan(change.p):
        reason = "one process on a side: measure with --processes 3 or more"
    return {
        "unit": sides[0].unit or sides[1].unit,
        "baseline": stats.center(baseline),
        "candidate": stats.center(candidate),
        "ratio": change.ratio,
        "ci_low": change.low,
        "ci_high": change.high,
        "p": change.p,
        "threshold": limits[0],
        "floor": limits[1] or math.nan,
        "verdict": word,
        "reason": reason,
    }


def _remark(row: Mapping[str, Any], doubts: str) -> str:
    """What a reader of this verdict should know: that only noise forbids a clearer one, and what
    was noted in either run. `same` needs no remark."""
    if row["verdict"] not in ("faster", "slower", "inconclusive"):
        return ""
    unfloored = stats.Change(row["ratio"], row["ci_low"], row["ci_high"], row["p"])
    told = verdict(unfloored, row["threshold"], row["metric"] in HIGHER_IS_BETTER)
    floor = (
        f"within this machine's noise of {row['floor']:.0%} (hwbench noise)"
        if told != row["verdict"]
        else ""
    )
    return "; ".join(filter(None, [floor, doubts]))


def _absent(case_id: str, metric: str, runs: Sequence[RunTables], sides: Sequence[_Side]) -> str:
    """Why a case has no value on a side: the outcome there, or that it was not asked for. Empty if
    both have one."""
    for name, its, side in zip(
        ("baseline", "candidate"), (runs[:-1], runs[-1:]), sides, strict=True
    ):
        if not side.runs:
            stored = pd.concat([run.measurements for run in its])
            failed = stored[(stored.case_id == case_id) & (stored.outcome != "ok")]
            if len(failed):
                return f"{name}: {failed.outcome.iloc[0]}: {failed.reason.iloc[0]}"
            if case_id not in set(stored.case_id):
                return f"{name}: not measured"
            why = [reason for run in its for reason in why_unknown(run)] if metric in ENERGY else []
            return f"{name}: no such figure" + (f" ({why[0]})" if why else "")
    return ""
