"""Throughput as bars, and throughput as a ratio to the first run."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from hwbench.report.numbers import count, quantity, ratio
from hwbench.report.ratios import Intervals
from hwbench.report.titles import RATES as TITLES
from hwbench.report.view import RATES, CaseView, RunView

MOST_BARS = 60
"""Bars of a figure; the table beside it has all."""

Interval = tuple[float, float] | None
"""The ends of a 95 % interval, None where it is not known."""


@dataclass(frozen=True)
class Group:
    """A case's bars, one a run: `values` (None: no bar), the `texts` at their ends, and the 95 %
    intervals of the values."""

    label: str
    values: Sequence[float | None]
    texts: Sequence[str]
    intervals: Sequence[Interval] = ()


@dataclass(frozen=True)
class Bars:
    """A figure of bars. `names` are the runs of the bars of each group; of ratios `unit` is ""."""

    name: str
    title: str
    unit: str
    names: Sequence[str]
    groups: Sequence[Group]

    @property
    def shown(self) -> Sequence[Group]:
        """The first groups, as many as a figure of MOST_BARS bars has room for."""
        return self.groups[: max(1, MOST_BARS // len(self.names))]

    @property
    def heading(self) -> str:
        """The title, with the number of the groups that are shown where it is not all."""
        return self.title + cut_note(len(self.shown), len(self.groups), "case")


def throughputs(runs: Sequence[RunView]) -> list[Bars]:
    """Return a figure for each kind of throughput, with a group a case and a bar a run."""
    by_case = _cases(runs)
    charts = []
    for metric, unit in RATES.items():
        measured = [row for row in by_case if any(case and case.get(metric) for case in row)]
        groups = [_group(row, metric, unit) for row in measured]
        names = [run.letter for run in runs]
        charts.append(Bars(f"rate-{metric}", TITLES[metric], unit, names, groups))
    return [chart for chart in charts if chart.groups]


def ratios(runs: Sequence[RunView], table: pd.DataFrame, intervals: Intervals) -> Bars | None:
    """Return each later run's throughput over the first's, for the cases that they share; None if
    there are none. `table` is that of `side_by_side`."""
    by_id = dict(iter(table.groupby("case_id", sort=False)))
    groups = []
    for case, *_ in _cases(runs):
        if case is None or case.case_id not in by_id:
            continue
        rows = by_id[case.case_id]
        later = rows[rows.metric == case.rate].ratio.iloc[1:]
        values = [value if pd.notna(value) else None for value in later]
        if not any(values):
            continue
        ends = [intervals.get((run, case.case_id, str(case.rate))) for run in range(1, len(runs))]
        groups.append(Group(case.short, values, [ratio(value) for value in values], ends))
    if not groups:
        return None
    title = f"Throughput, as a multiple of {runs[0].letter}"
    return Bars("ratios", title, "", [run.letter for run in runs[1:]], groups)


def cut_note(shown: int, every: int, noun: str) -> str:
    """Return what a title says where only some are shown: " (the first 20 of 41 cases)"."""
    return f" (the first {shown} of {count(every, noun)})" if shown < every else ""


def _cases(runs: Sequence[RunView]) -> list[list[CaseView | None]]:
    """Each case of the page as the runs have it, None where a run has no such case."""
    by_id = [{case.case_id: case for case in run.cases} for run in runs]
    order = dict.fromkeys(case_id for cases in by_id for case_id in cases)
    return [[cases.get(case_id) for cases in by_id] for case_id in order]


def _group(by_run: Sequence[CaseView | None], metric: str, unit: str) -> Group:
    label = next(case.short for case in by_run if case)
    values = [case.get(metric) if case and case.validity != "invalid" else None for case in by_run]
    texts = [_text(case, value, unit) for case, value in zip(by_run, values, strict=True)]
    ends = [_interval(case, value, metric) for case, value in zip(by_run, values, strict=True)]
    return Group(label, values, texts, ends)


def _interval(case: CaseView | None, value: float | None, metric: str) -> Interval:
    return case.interval(metric) if case and value is not None else None


def _text(case: CaseView | None, value: float | None, unit: str) -> str:
    if case is None:
        return "not in this run"
    if value is None and case.validity == "invalid":
        return "invalid"
    return quantity(value, unit, 3) if value is not None else case.outcome
