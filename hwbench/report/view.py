"""A run and its cases as a report shows them, before they become rows, columns or drawings."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from hwbench.analysis.metrics.rates import THROUGHPUT
from hwbench.analysis.metrics.summary import summarize
from hwbench.analysis.metrics.validity import PRECISION, precision_of
from hwbench.analysis.outcomes import cases
from hwbench.records import case_label
from hwbench.report.numbers import is_known, uncertainty
from hwbench.tables.run import RunTables

RATES = dict(THROUGHPUT.values())
"""The throughput metrics with their units, from the most telling to the least."""


@dataclass(frozen=True)
class CaseView:
    """A case of a run. `short` is enough to tell it from the page's other cases; `details` are all
    its parameters."""

    case_id: str
    workload: str
    dtype: str
    params: Mapping[str, Any]
    short: str
    details: str
    outcome: str
    reason: str
    processes: int
    planned: int
    choices: Mapping[str, str]  # what the workload settled for
    validity: str  # valid, wide, suspect, invalid; "" where nothing was measured
    reasons: Sequence[str]
    values: Mapping[str, float] = field(repr=False)  # by metric, in base units
    # by metric, half its 95 % interval over its value
    doubt: Mapping[str, float] = field(repr=False)
    # by metric, the ends of its 95 % interval
    ends: Mapping[str, tuple[float, float]] = field(repr=False, default_factory=dict)
    precision: float = PRECISION  # the half-width that was asked for

    def get(self, metric: str) -> float | None:
        """The metric's value in base units, None where it is not known."""
        value = self.values.get(metric)
        return value if is_known(value) else None

    def interval(self, metric: str) -> tuple[float, float] | None:
        """The ends of the metric's 95 % interval, which need not lie evenly around the value."""
        low, high = self.ends.get(metric, (math.nan, math.nan))
        return (low, high) if is_known(low) and is_known(high) else None

    def half_width(self, metric: str) -> float | None:
        """Half the 95 % interval of a metric over its value, None where there is no interval."""
        half = self.doubt.get(metric)
        return half if is_known(half) else None

    @property
    def uncertainty(self) -> float | None:
        """Half the 95 % interval of the case's rate, or else of its median step, over the value.
        None where there is no interval."""
        return self.half_width(self.rate or "step_s_p50")

    @property
    def width(self) -> float | None:
        """The half-width that decides whether the case is wide: that of its rate, or of its median
        step where only that is wider than asked for. None where there is no interval."""
        return self.half_width(self._widest)

    @property
    def trust(self) -> str:
        """The validity, of a wide case with its half-width: "wide ± 4.1 %"."""
        if self.validity != "wide":
            return self.validity
        of = "step p50 " if self._widest == "step_s_p50" != (self.rate or "step_s_p50") else ""
        return f"{self.validity} {of}± {uncertainty(self.width)}"

    @property
    def _widest(self) -> str:
        rate = self.rate or "step_s_p50"
        own, step = self.doubt.get(rate, math.nan), self.doubt.get("step_s_p50", math.nan)
        return "step_s_p50" if own <= self.precision < step else rate

    @property
    def status(self) -> str:
        """The outcome in a word or two, with doubts about the figures and with missing
        processes."""
        words = [self.outcome]
        if self.validity in ("wide", "suspect", "invalid"):
            # the table shows `uncertainty` beside it: no need to repeat the same half-width
            words.append(self.validity if self.width == self.uncertainty else self.trust)
        if 0 < self.processes < self.planned:
            words.append(f"{self.processes} of {self.planned} processes")
        return ", ".join(words)

    @property
    def is_only_wide(self) -> bool:
        """Whether a wide interval is all that speaks against the case."""
        return self.outcome == "ok" and self.validity == "wide" and self.processes >= self.planned

    @property
    def rate(self) -> str | None:
        """The most telling throughput metric of this case; None where it has none or is invalid."""
        if self.validity == "invalid":
            return None
        return next((metric for metric in RATES if self.get(metric) is not None), None)


@dataclass(frozen=True)
class RunView:
    """A run on a page: `letter` and `name` tell it from the page's others, of which it is the one
    at `position`, counted from 0."""

    position: int
    letter: str
    name: str
    tables: RunTables
    metrics: pd.DataFrame = field(repr=False)
    cases: Sequence[CaseView] = field(repr=False)

    def row(self, column: str) -> str:
        """A column of the run's one row in the table `runs`."""
        value = self.tables.runs[column].iloc[0]
        return str(value) if pd.notna(value) else "unknown"

    @property
    def precision(self) -> float:
        """The half-width of an interval, as a share of its value, that was asked for."""
        return precision_of(self.tables)

    @property
    def outcomes(self) -> pd.DataFrame:
        """The cases as `side_by_side` takes them, labelled with their short names."""
        rows = [(case.case_id, case.short, case.outcome) for case in self.cases]
        return pd.DataFrame(rows, columns=["case_id", "label", "outcome"])

    @property
    def stored(self) -> int:
        """Processes that left a row, whatever came out."""
        return len(self.tables.measurements)

    @property
    def planned(self) -> int:
        return sum(case.planned for case in self.cases)

    @property
    def unfinished(self) -> bool:
        """Whether the run ended early: processes are missing of a case that nothing speaks
        against."""
        return any(c.processes < c.planned and c.outcome in ("ok", "missing") for c in self.cases)


def view_runs(runs: Sequence[RunTables]) -> list[RunView]:
    """The runs of a page, in order, with names that no two of them share."""
    all_cases = [cases(run) for run in runs]
    short = short_names(pd.concat(all_cases, ignore_index=True))
    names = _names(runs)
    views = []
    for position, (run, table) in enumerate(zip(runs, all_cases, strict=True)):
        metrics = summarize(run)
        case_views = _case_views(table, metrics, short, precision_of(run))
        views.append(
            RunView(position, _letter(position), names[position], run, metrics, case_views)
        )
    return views


def short_names(table: pd.DataFrame) -> dict[str, str]:
    """For each case_id the workload, the parameters in which it has more than one value here, and
    the dtype."""
    distinct = table.drop_duplicates("case_id")
    names = {}
    for workload, group in distinct.groupby("workload", sort=False):
        alike = list(group.params)
        keys = dict.fromkeys(key for params in alike for key in params)
        varying = [
            key for key in keys if len({json.dumps(params.get(key)) for params in alike}) > 1
        ]
        for row in group.itertuples():
            params = {key: row.params[key] for key in varying if key in row.params}
            names[str(row.case_id)] = case_label(str(workload), params, row.dtype)
    return names


def _case_views(
    table: pd.DataFrame, metrics: pd.DataFrame, short: Mapping[str, str], precision: float
) -> list[CaseView]:
    by_case = dict(iter(metrics.groupby("case_id")))
    views = []
    for case in table.to_dict("records"):
        rows = by_case.get(case["case_id"], metrics.iloc[:0])
        views.append(
            CaseView(
                **{name: value for name, value in case.items() if name != "label"},
                short=short[case["case_id"]],
                details=case_label("", case["params"], "").strip(),
                validity=rows.validity.iloc[0] if len(rows) else "",
                reasons=json.loads(rows.reasons.iloc[0]) if len(rows) else [],
                values=dict(zip(rows.metric, rows.value.astype("float64"), strict=True)),
                doubt=dict(
                    zip(rows.metric, (rows.ci_high - rows.ci_low) / 2 / rows.value, strict=True)
                ),
                ends=dict(
                    zip(rows.metric, zip(rows.ci_low, rows.ci_high, strict=True), strict=True)
                ),
                precision=precision,
            )
        )
    return views


def _letter(position: int) -> str:
    return chr(ord("A") + position) if position < 26 else f"R{position + 1}"


def _names(runs: Sequence[RunTables]) -> list[str]:
    """Each run's label or, without one, its device; with the run's id where that would not tell
    them apart."""
    rows = [run.runs.iloc[0] for run in runs]
    names = [str(row.label or row.device_name) for row in rows]
    return [
        f"{name} ({row.run_id})" if names.count(name) > 1 else name
        for name, row in zip(names, rows, strict=True)
    ]
