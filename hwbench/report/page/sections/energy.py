"""What the cases of a run took in joules and watts, with where each figure comes from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwbench.analysis.metrics.energy import ENERGY, why_unknown
from hwbench.report.charts.power import Power, powers
from hwbench.report.numbers import quantity, uncertainty
from hwbench.report.page.cells import Cell, Panel, Table
from hwbench.report.page.figures.power import timeline
from hwbench.report.page.section import PageRuns
from hwbench.report.view import RunView

FIGURES = {
    "A token": "energy_j_per_token",
    "Net": "energy_net_j_per_token",
    "A step": "energy_j",
    "Net of it": "energy_net_j",
    "Power": "power_w",
    "Peak ≥": "power_peak_w",
    "Host, a step": "host_energy_j",
    "With all parts": "total_energy_j",
}
"""Titles and metrics; a column that nothing fills is left out."""

MOST_FIGURES = 24
"""Power timelines of a page."""


@dataclass(frozen=True)
class RunEnergy:
    """The energy of one run; `why_unknown` says why it is not known."""

    run: RunView
    energy: Table
    why_unknown: Sequence[str]
    power: Sequence[Panel]


def content(page: PageRuns) -> list[RunEnergy]:
    """Return what the section shows."""
    most = MOST_FIGURES // len(page.views)
    return [
        RunEnergy(run, table(run), why_unknown(run.tables), timelines(run, most))
        for run in page.views
    ]


def table(run: RunView) -> Table:
    """Return a row for each case whose energy is known."""
    known = {metric for case in run.cases for metric in case.values}
    shown = {title: metric for title, metric in FIGURES.items() if metric in known}
    sources = run.metrics[run.metrics.metric == "energy_j"].set_index("case_id")
    rows = []
    for case in run.cases:
        if case.case_id not in sources.index:
            continue
        row = sources.loc[case.case_id]
        figures = [quantity(case.get(metric), ENERGY[metric]) for metric in shown.values()]
        is_sure = row.value > 0 and math.isfinite(row.uncertainty)
        share = uncertainty(row.uncertainty / row.value if is_sure else None)
        origin = Cell(str(row.source), tone="warn" if row.grade == "C" else "")
        rows.append([Cell(case.short, head=True), *map(Cell, [*figures, share, row.grade]), origin])
    return Table(
        "Energy: median of the processes of each case",
        "l" + "r" * (len(shown) + 1) + "ll",
        ["Case", *shown, "±", "Grade", "From"],
        rows,
    )


def timelines(run: RunView, most: int) -> list[Panel]:
    """Return a figure for each of the first `most` cases whose power was read."""
    panels = []
    for chart in powers(run, most):
        title = f"{chart.label}: power"
        drawn = timeline(chart, f"power-{run.letter}-{chart.case_id}", title)
        panels.append(Panel(title, drawn, _readings(chart, title)))
    return panels


def _readings(chart: Power, caption: str) -> Table:
    rows = []
    for name, (_, watts) in chart.series.items():
        ends = (watts.min(), np.median(watts), watts.max())
        texts = [f"{len(watts):,}", *(quantity(float(value), "W") for value in ends)]
        rows.append([Cell(name, head=True), *map(Cell, texts)])
    return Table(caption, "lrrrr", ["Meter", "Readings", "Least", "Median", "Most"], rows)
