"""What a report says of a run, before it is put into rows, columns or drawings."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from hwbench import stats
from hwbench.lineup import HEADLINE
from hwbench.metrics import cases, per_process, summarize
from hwbench.rates import THROUGHPUT
from hwbench.reasons import REASONS
from hwbench.records import case_label
from hwbench.report.format import is_known
from hwbench.store import RunTables
from hwbench.timed import span_times

RATES = dict(THROUGHPUT.values())
"""The throughput metrics with their units, the one that tells most of a case first."""


@dataclass(frozen=True)
class CaseView:
    """A case of a run. `short` is enough to tell it from the page's other cases; `details` are all its parameters."""

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
    validity: str  # valid, suspect, invalid; "" where nothing was measured
    reasons: Sequence[str]
    values: Mapping[str, float] = field(repr=False)  # by metric, in base units
    doubt: Mapping[str, float] = field(repr=False)  # by metric, half its 95 % interval over its value

    def get(self, metric: str) -> float | None:
        """The metric's value in base units, None where it is not known."""
        value = self.values.get(metric)
        return value if is_known(value) else None

    @property
    def uncertainty(self) -> float | None:
        """How sure the case's speed is: half the 95 % interval over the value. None where there is no interval."""
        value = self.doubt.get(self.rate or "step_s_p50")
        return value if is_known(value) else None

    @property
    def status(self) -> str:
        """The outcome in a word or two, with doubts about the figures and processes that are not there."""
        words = [self.outcome]
        words += [self.validity] if self.validity in ("suspect", "invalid") else []
        words += [f"{self.processes} of {self.planned} processes"] if 0 < self.processes < self.planned else []
        return ", ".join(words)

    @property
    def rate(self) -> str | None:
        """The throughput metric that tells most of this case, None where it has none or none that means anything."""
        return next((m for m in RATES if self.validity != "invalid" and self.get(m) is not None), None)


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
    def outcomes(self) -> pd.DataFrame:
        """The cases as `lineup.side_by_side` takes them, labelled with their short names."""
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
        """Whether the run ended early: processes are missing of a case that nothing speaks against."""
        return any(c.processes < c.planned and c.outcome in ("ok", "missing") for c in self.cases)


def view_runs(runs: Sequence[RunTables]) -> list[RunView]:
    """The runs of a page, in order, with names that no two of them share."""
    all_cases = [cases(run) for run in runs]
    short = short_names(pd.concat(all_cases, ignore_index=True))
    names = _names(runs)
    views = []
    for position, (run, table) in enumerate(zip(runs, all_cases, strict=True)):
        metrics = summarize(run)
        views.append(RunView(_letter(position), names[position], run, metrics, _case_views(table, metrics, short)))
    return views


def short_names(table: pd.DataFrame) -> dict[str, str]:
    """For each case_id the workload, the parameters in which it has more than one value here, and the dtype."""
    distinct = table.drop_duplicates("case_id")
    names = {}
    for workload, group in distinct.groupby("workload", sort=False):
        keys = dict.fromkeys(key for params in group.params for key in params)
        varying = [key for key in keys if len({json.dumps(params.get(key)) for params in group.params}) > 1]
        for row in group.itertuples():
            params = {key: row.params[key] for key in varying if key in row.params}
            names[str(row.case_id)] = case_label(str(workload), params, row.dtype)
    return names


def _case_views(table: pd.DataFrame, metrics: pd.DataFrame, short: Mapping[str, str]) -> list[CaseView]:
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
                doubt=dict(zip(rows.metric, (rows.ci_high - rows.ci_low) / 2 / rows.value, strict=True)),
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
    """The 95 % interval (stats.change) of each later run's ratio to the first, by the run's position, case_id and
    metric of lineup.HEADLINE. What has no interval, or is invalid on a side, is not there."""
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


def doubts(run: RunView) -> dict[tuple[str, str], tuple[list[str], list[str]]]:
    """What speaks against figures: {(validity, code): (what happened, short names of the cases)}, each once."""
    found: dict[tuple[str, str], tuple[list[str], list[str]]] = {}
    noted = {case_id: texts.dropna() for case_id, texts in run.tables.measurements.groupby("case_id").notes}
    for case in run.cases:
        notes = [note for text in noted.get(case.case_id, ()) for note in json.loads(text)]
        told = {note.partition(":")[0] for note in notes}
        notes += [f"{code}: {REASONS[code].meaning}" for code in case.reasons if code not in told]
        for code, _, text in (note.partition(":") for note in notes):
            texts, cases = found.setdefault((case.validity or case.outcome, code), ([], []))
            texts += [text.strip()] if text.strip() not in texts else []
            cases += [case.short] if case.short not in cases else []
    return found


def _letter(position: int) -> str:
    return chr(ord("A") + position) if position < 26 else f"R{position + 1}"


def _names(runs: Sequence[RunTables]) -> list[str]:
    """Each run's label or, without one, its device; with the run's id where that would not tell them apart."""
    rows = [run.runs.iloc[0] for run in runs]
    names = [str(row.label or row.device_name) for row in rows]
    return [f"{name} ({row.run_id})" if names.count(name) > 1 else name for name, row in zip(names, rows, strict=True)]
