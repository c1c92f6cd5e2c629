"""What a report says of a run, before it is put into rows, columns or drawings."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from hwbench import stats
from hwbench.analysis.metrics.rates import THROUGHPUT
from hwbench.analysis.metrics.steps import span_times
from hwbench.analysis.metrics.summary import per_process, summarize
from hwbench.analysis.metrics.validity import PRECISION, REASONS, precision_of, severity_of
from hwbench.analysis.outcomes import cases
from hwbench.analysis.side_by_side import HEADLINE
from hwbench.records import case_label
from hwbench.report.numbers import is_known, uncertainty
from hwbench.tables.reader import RunTables

RATES = dict(THROUGHPUT.values())
"""The throughput metrics with their units, the one that tells most of a case first."""


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
    precision: float = PRECISION  # the half-width that was asked for

    def get(self, metric: str) -> float | None:
        """The metric's value in base units, None where it is not known."""
        value = self.values.get(metric)
        return value if is_known(value) else None

    @property
    def uncertainty(self) -> float | None:
        """How sure the case's speed is: half the 95 % interval over the value. None where there is
        no interval."""
        value = self.doubt.get(self.rate or "step_s_p50")
        return value if is_known(value) else None

    @property
    def width(self) -> float | None:
        """The half-width by which the case is wide or not: that of its rate, or of its median step
        where only that is wider than asked for. None where there is no interval."""
        value = self.doubt.get(self._widest)
        return value if is_known(value) else None

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
        """The outcome in a word or two, with doubts about the figures and processes that are not
        there."""
        words = [self.outcome]
        # a ± that stands beside it is enough
        trust = self.validity if self.width == self.uncertainty else self.trust
        words += [trust] if self.validity in ("wide", "suspect", "invalid") else []
        words += (
            [f"{self.processes} of {self.planned} processes"]
            if 0 < self.processes < self.planned
            else []
        )
        return ", ".join(words)

    @property
    def is_only_wide(self) -> bool:
        """Whether nothing but a wide interval speaks against the case."""
        return self.outcome == "ok" and self.validity == "wide" and self.processes >= self.planned

    @property
    def rate(self) -> str | None:
        """The throughput metric that tells most of this case, None where it has none or none that
        means anything."""
        return next(
            (m for m in RATES if self.validity != "invalid" and self.get(m) is not None), None
        )


@dataclass(frozen=True)
class Doubt:
    """One reason against figures: what it makes of them (a validity, or the outcome that left
    none), its code, what happened in words, and the cases."""

    word: str
    code: str
    texts: list[str]
    cases: list[CaseView]

    @property
    def widths(self) -> str:
        """The half-widths of its cases where it says that they are wide; else empty."""
        return widths(self.cases) if self.word == "wide" else ""

    def where(self, run: "RunView") -> str:
        """Its cases, as a run's own reader calls them."""
        every = len(self.cases) == len(run.cases) > 1
        return "all cases" if every else ", ".join(case.short for case in self.cases)


@dataclass(frozen=True)
class RunView:
    """A run on a page: `letter` and `name` tell it from the page's others."""

    letter: str
    name: str
    tables: RunTables
    metrics: pd.DataFrame = field(repr=False)
    cases: Sequence[CaseView] = field(repr=False)

    def row(self, column: str) -> str:
        """A column of the run's one row in the table `runs`."""
        value = self.tables.runs[column].iloc[0]
        return str(value) if pd.notna(value) else "unknown"

    def parsed(self, column: str) -> Any:
        """A JSON column of the table `runs`: environment, argv or plan."""
        return json.loads(self.row(column))

    @property
    def precision(self) -> float:
        """The half-width of an interval, as a share of its value, that was asked for."""
        return precision_of(self.tables)

    @property
    def outcomes(self) -> pd.DataFrame:
        """The cases as `side_by_side.side_by_side` takes them, labelled with their short names."""
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
        found = _case_views(table, metrics, short, precision_of(run))
        views.append(RunView(_letter(position), names[position], run, metrics, found))
    return views


def short_names(table: pd.DataFrame) -> dict[str, str]:
    """For each case_id the workload, the parameters in which it has more than one value here, and
    the dtype."""
    distinct = table.drop_duplicates("case_id")
    names = {}
    for workload, group in distinct.groupby("workload", sort=False):
        keys = dict.fromkeys(key for params in group.params for key in params)
        varying = [
            key for key in keys if len({json.dumps(params.get(key)) for params in group.params}) > 1
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
                precision=precision,
            )
        )
    return views


Spans = Sequence[tuple[RunView, CaseView, pd.DataFrame]]
"""The cases with marks, each with its rows of `timed.span_times`."""


def spans_of(runs: Sequence[RunView]) -> Spans:
    """The spans of all runs; a case's runs stand next to each other."""
    groups = [dict(iter(span_times(run.tables).groupby("case_id", sort=False))) for run in runs]
    by_id = [{case.case_id: case for case in run.cases} for run in runs]
    order = dict.fromkeys(case_id for cases in by_id for case_id in cases)
    return [
        (run, cases[case_id], spans[case_id])
        for case_id in order
        for run, cases, spans in zip(runs, by_id, groups, strict=True)
        if case_id in spans and case_id in cases
    ]


def ratio_intervals(runs: Sequence[RunView]) -> dict[tuple[int, str, str], tuple[float, float]]:
    """The 95 % interval (stats.change) of each later run's ratio to the first, by the run's
    position, case_id and metric of side_by_side.HEADLINE. What has no interval, or is invalid on a side,
    is not there."""
    sides = [_values(run) for run in runs]
    found = {}
    for position, side in enumerate(sides[1:], start=1):
        for key in side.keys() & sides[0].keys():
            change = stats.change(sides[0][key], side[key])
            if math.isfinite(change.low) and math.isfinite(change.high):
                found[position, *key] = (change.low, change.high)
    return found


def _values(run: RunView) -> dict[tuple[str, str], list[float]]:
    """What each process came to, by case_id and headline metric, without cases that are invalid."""
    invalid = {case.case_id for case in run.cases if case.validity == "invalid"}
    table = per_process(run.tables)
    table = table[table.metric.isin(HEADLINE) & ~table.case_id.isin(invalid)]
    return {
        (str(case_id), str(metric)): list(rows)
        for (case_id, metric), rows in table.groupby(["case_id", "metric"]).value
    }


def doubts(run: RunView) -> list[Doubt]:
    """What speaks against figures, each reason once."""
    found: dict[tuple[str, str], Doubt] = {}
    noted = {
        case_id: texts.dropna()
        for case_id, texts in run.tables.measurements.groupby("case_id").notes
    }
    for case in run.cases:
        notes = [note for text in noted.get(case.case_id, ()) for note in json.loads(text)]
        told = {note.partition(":")[0] for note in notes}
        notes += [f"{code}: {REASONS[code].meaning}" for code in case.reasons if code not in told]
        for code, _, text in (note.partition(":") for note in notes):
            word = severity_of(code) if case.validity else case.outcome
            doubt = found.setdefault((word, code), Doubt(word, code, [], []))
            if text.strip() not in doubt.texts:
                doubt.texts.append(text.strip())
            if case not in doubt.cases:
                doubt.cases.append(case)
    return list(found.values())


def widths(cases: Sequence[CaseView]) -> str:
    """The half-widths of cases, from the least to the most: "± 2.1–9.4 %"; empty where none has an
    interval."""
    known = sorted(case.width for case in cases if case.width is not None)
    ends = list(dict.fromkeys(uncertainty(width) for width in known[:1] + known[-1:]))
    return (
        f"± {'–'.join([*(end.removesuffix(' %') for end in ends[:-1]), *ends[-1:]])}"
        if ends
        else ""
    )


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
