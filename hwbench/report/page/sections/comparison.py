"""Several runs side by side: ratios to the first with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from hwbench.analysis.side_by_side import presence, shared
from hwbench.report.charts import bars as charts
from hwbench.report.numbers import UNKNOWN, quantity, ratio
from hwbench.report.page.cells import Cell, Panel, Table, tone
from hwbench.report.page.figures import bars
from hwbench.report.page.section import PageRuns
from hwbench.report.page.sections.head import summary, verdict
from hwbench.report.page.sections.results import bars_table, throughput
from hwbench.report.ratios import Intervals
from hwbench.report.titles import METRICS
from hwbench.report.view import RunView

MOST_APART = 4
"""Runs up to which ratios have columns of their own."""


@dataclass(frozen=True)
class Comparison:
    """What the page says of several runs together. `verdict` has a line a run, `summary` few;
    `shared` counts the cases that two runs have figures for; `rest` are the others."""

    summary: Sequence[str]
    verdict: Sequence[str]
    panels: Sequence[Panel]
    table: Table
    rest: Table
    shared: int


def content(page: PageRuns) -> Comparison | None:
    """Return what the section shows; None of a run alone."""
    if not page.several:
        return None
    common = shared(page.table)
    return Comparison(
        summary=summary(page.views, page.table, page.intervals),
        verdict=verdict(page.views, page.table, page.intervals),
        panels=[*_ratios(page), *throughput(page.views)],
        table=comparison(page.views, page.table, page.intervals),
        rest=not_shared(page.views, page.table, common),
        shared=len(common),
    )


def comparison(runs: Sequence[RunView], table: pd.DataFrame, intervals: Intervals) -> Table:
    """Return the rows of `side_by_side`: each run's value, and each later run's ratio to the first
    with its interval: in columns of their own, or of many runs under the values."""
    names = {case.case_id: case.short for run in reversed(runs) for case in run.cases}
    is_apart = len(runs) <= MOST_APART
    rows = []
    for case_id, group in table.groupby("case_id", sort=False):
        metrics = group.groupby("metric", sort=False, dropna=False)
        head = [Cell(names[case_id], head=True, rows=metrics.ngroups)]
        for metric, line in metrics:
            values = [_value(row) for row in line.itertuples()]
            ratios = [_ratio(row, intervals) for row in line.iloc[1:].itertuples()]
            figures = [*values, *ratios] if is_apart else _with_ratios_below(values, ratios)
            title = Cell(METRICS[metric] if pd.notna(metric) else "No figures")
            rows.append([*head, title, *figures])
            head = []
    letters = [run.letter for run in runs]
    heads = ["Case", "Quantity", *(f"{run.letter}: {run.name}" for run in runs)]
    heads += [f"{letter} / {letters[0]}" for letter in letters[1:]] if is_apart else []
    return Table("Every case, side by side", "ll" + "r" * (len(heads) - 2), heads, rows)


def not_shared(runs: Sequence[RunView], table: pd.DataFrame, common: Sequence[str]) -> Table:
    """Return the cases that cannot be compared, with what each run has of them."""
    names = {case.case_id: case.short for run in runs for case in run.cases}
    rows = [
        [
            Cell(names[case_id], head=True),
            *(Cell(outcome, tone=tone(outcome)) for outcome in outcomes),
        ]
        for case_id, *outcomes in presence(table).drop(index=list(common)).itertuples()
    ]
    heads = ["Case", *(f"{run.letter}: {run.name}" for run in runs)]
    return Table("Cases without a figure in two runs", "l" * len(heads), heads, rows)


def _ratios(page: PageRuns) -> list[Panel]:
    chart = charts.ratios(page.views, page.table, page.intervals)
    if chart is None:
        return []
    later = page.views[1:]
    heads = ["Case", *(run.letter if len(later) > 1 else "Value" for run in later)]
    return [Panel(chart.heading, bars.ratios(chart, chart.name), bars_table(chart, heads))]


def _with_ratios_below(values: Sequence[Cell], ratios: Sequence[Cell]) -> list[Cell]:
    below = [" ".join(filter(None, [cell.text, cell.sub])) for cell in ratios]
    later = [replace(cell, sub=text) for cell, text in zip(values[1:], below, strict=True)]
    return [values[0], *later]


def _value(row: Any) -> Cell:
    """A run's value in the comparison, or why there is none."""
    if pd.notna(row.value):
        return Cell(quantity(row.value, row.unit), tone="void" if row.validity == "invalid" else "")
    return Cell(UNKNOWN if row.outcome == "ok" else row.outcome, tone="quiet")


def _ratio(row: Any, intervals: Intervals) -> Cell:
    ends = intervals.get((row.run, row.case_id, row.metric)) if pd.notna(row.ratio) else None
    return Cell(ratio(row.ratio), sub=f"{ratio(ends[0])} to {ratio(ends[1])}" if ends else "")
