"""What several cases show together: sweeps with their knees, and whole models extrapolated from
slices."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from hwbench.analysis.scaling.extrapolate import extrapolate
from hwbench.analysis.scaling.sweeps import Sweep, sweeps
from hwbench.report.numbers import UNKNOWN, quantity, ratio, uncertainty
from hwbench.report.page.cells import TONES, Cell, Panel, Table
from hwbench.report.page.figures.curve import curve
from hwbench.report.page.section import PageRuns
from hwbench.report.titles import METRICS, RATES
from hwbench.report.view import RunView

MOST_FIGURES = 24
"""Sweeps of a page that are drawn; the table has all."""


@dataclass(frozen=True)
class RunSweeps:
    """The sweeps of one run."""

    run: RunView
    curves: Sequence[Panel]
    sweeps: Table


def content(page: PageRuns) -> list[RunSweeps] | None:
    """Return the sweeps of the runs that have any; None where none has."""
    most = MOST_FIGURES // len(page.views)
    parts = []
    for run in page.views:
        every = sweeps(run.tables)
        parts.append(RunSweeps(run, curves(run, every, most), sweep_table(every)))
    return parts if any(part.sweeps.rows for part in parts) else None


def curves(run: RunView, every: Sequence[Sweep], most: int) -> list[Panel]:
    """Return a figure for each of the first `most` sweeps of the run."""
    panels = []
    for position, sweep in enumerate(every[:most]):
        title = f"{RATES[sweep.metric]}: {sweep.label}"
        drawn = curve(sweep, f"sweep-{run.letter}-{position}", title)
        panels.append(Panel(title, drawn, sweep_table([sweep])))
    return panels


def sweep_table(every: Sequence[Sweep]) -> Table:
    """Return every point of every sweep, and its knee."""
    rows = [row for sweep in every for row in _rows(sweep)]
    return Table(
        "Sweeps, with the knee of each",
        "llrrr",
        ["Sweep", "Value", "Rate", "±", "Of the best"],
        rows,
    )


def extrapolated(run: RunView) -> Table:
    """Return the whole models that the run has slices of, a row a metric."""
    rows: list[list[Cell]] = []
    for label, group in extrapolate(run.tables).groupby("label", sort=False):
        head = [Cell(str(label), head=True, rows=len(group))]
        for row in group.itertuples():
            ends = f"{quantity(row.ci_low, row.unit)} to {quantity(row.ci_high, row.unit)}"
            cells = [
                METRICS[row.metric],
                quantity(row.value, row.unit),
                ends if pd.notna(row.ci_low) else UNKNOWN,
            ]
            doubts = f"extrapolated; {', '.join([row.validity, *row.reasons])}"
            rows.append([*head, *map(Cell, cells), Cell(doubts, tone=TONES[row.validity])])
            head = []
    heads = ["Model", "Quantity", "Value", "95 % interval", "What it is"]
    return Table("Extrapolated from slices, not measured", "llrrl", heads, rows)


def _rows(sweep: Sweep) -> list[list[Cell]]:
    head = [Cell(sweep.label, sub=sweep.finding, head=True, rows=len(sweep.points))]
    rows = []
    for point in sweep.points:
        is_knee = point is sweep.knee and point is not sweep.points[-1]
        value = Cell(
            f"{sweep.axis}={point.at:,}{' (knee)' if is_knee else ''}",
            tone="good" if is_knee else "",
        )
        rate, share = quantity(point.rate, sweep.unit), ratio(point.rate / sweep.best.rate)
        rows.append([*head, value, Cell(rate), Cell(uncertainty(sweep.half(point))), Cell(share)])
        head = []
    return rows
