"""The parts of a step, cut at the marks that workloads set."""

from collections.abc import Sequence

from hwbench.report.charts import stacks as charts
from hwbench.report.charts.stacks import Spans, spans_of
from hwbench.report.numbers import quantity
from hwbench.report.page.cells import Cell, Panel, Table
from hwbench.report.page.figures.stacks import stacks
from hwbench.report.page.section import PageRuns
from hwbench.report.view import RunView


def content(page: PageRuns) -> list[Panel] | None:
    """Return what the section shows; None where no workload sets marks."""
    groups = spans_of(page.views)
    chart = charts.stacks(page.views, groups)
    if chart is None:
        return None
    return [Panel(chart.title, stacks(chart, "spans"), spans(page.views, groups))]


def spans(runs: Sequence[RunView], groups: Spans) -> Table:
    """Return seconds and share of each part of a step, a row a case, run and span."""
    rows: list[list[Cell]] = []
    for run, case, group in groups:
        total = group.seconds.sum()
        where = f"Run {run.letter}" if len(runs) > 1 else ""
        head = [Cell(case.short, sub=where, head=True, rows=len(group))]
        for row in group.itertuples():
            share = quantity(row.seconds / total if total else None, "1", 3)
            rows.append([*head, Cell(row.name), Cell(quantity(row.seconds, "s")), Cell(share)])
            head = []
    heads = ["Case", "Span", "Time", "Share"]
    return Table("Parts of a step: the median step's", "llrr", heads, rows)
