"""What cases tell together: sweeps with their knees, and wholes that are extrapolated from
slices."""

from collections.abc import Sequence

import pandas as pd

from hwbench.analysis.scaling.extrapolate import extrapolate
from hwbench.analysis.scaling.sweeps import Sweep
from hwbench.report.numbers import UNKNOWN, quantity, ratio, uncertainty
from hwbench.report.page.cells import METRICS, TONES, Cell, Table
from hwbench.report.page.figures.curve import curve
from hwbench.report.page.figures.svg import inline_svg
from hwbench.report.page.sections.results import TITLES, Panel
from hwbench.report.view import RunView


def curves(run: RunView, found: Sequence[Sweep], most: int) -> list[Panel]:
    """A figure for each of the first `most` sweeps of the run; the table has all."""
    panels = []
    for position, sweep in enumerate(found[:most]):
        title = f"{TITLES[sweep.metric]}: {sweep.label}"
        told = ", ".join(
            f"{sweep.axis}={point.at}: {quantity(point.rate, sweep.unit, 3)}"
            for point in sweep.points
        )
        svg = inline_svg(
            curve(sweep), f"sweep-{run.letter}-{position}", title, f"{told}; {sweep.finding}"
        )
        panels.append(Panel(title, svg, sweep_table([sweep])))
    return panels


def sweep_table(found: Sequence[Sweep]) -> Table:
    """Every point of every sweep, and its knee."""
    rows = [row for sweep in found for row in _rows(sweep)]
    return Table(
        "Sweeps, with the knee of each",
        "llrrr",
        ["Sweep", "Value", "Rate", "±", "Of the best"],
        rows,
    )


def extrapolated(run: RunView) -> Table:
    """The wholes that the run has slices of, a row a metric."""
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
