"""The power timeline: what each meter showed while a case's processes were measured. Sizes are CSS
pixels."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hwbench.report.numbers import quantity
from hwbench.report.page.cells import Cell, Panel, Table
from hwbench.report.page.figures import plot
from hwbench.report.page.figures.svg import wrapped
from hwbench.report.page.sections.steps import binned
from hwbench.report.view import RunView

WIDTH, HEIGHT = 520, 180
MOST_LINES = 8
POINTS = 1200
"""Points of a figure, shared by its lines."""

Series = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Seconds since the first reading of the process, and watts."""


def timelines(run: RunView, most: int) -> list[Panel]:
    """A figure for each of the first `most` cases whose power was read: of the first process that
    has it, a line a meter and scope. A counter of joules shows the mean power between two of its
    readings."""
    telemetry = run.tables.telemetry
    telemetry = telemetry[telemetry.quantity.isin(["power", "energy"])]
    by_case, panels = dict(iter(telemetry.groupby("case_id"))), list[Panel]()
    for case in run.cases:
        if case.case_id in by_case and len(panels) < most:
            series = series_of(by_case[case.case_id])
            if series:
                panels.append(
                    _panel(series, f"power-{run.letter}-{case.case_id}", f"{case.short}: power")
                )
    return panels


def series_of(telemetry: pd.DataFrame) -> dict[str, Series]:
    """The power of each meter and scope in the first process of a case that has readings, by their
    names."""
    rows = telemetry[telemetry.process == telemetry.process.min()].sort_values(
        "time_ns", kind="stable"
    )
    start, found = rows.time_ns.min(), {}
    for (meter, scope), own in rows.groupby(["meter", "scope"], sort=True):
        direct = own[own.quantity == "power"]
        taken = direct if len(direct) else own
        at, values = (
            ((taken.time_ns - start) / 1e9).to_numpy(np.float64),
            taken.value.to_numpy(np.float64),
        )
        at, watts = (at, values) if len(direct) else _of_counter(at, values)
        known = np.isfinite(watts)
        if known.sum() > 1:
            found[f"{meter} {scope}"] = (at[known], watts[known])
    return found


def _of_counter(at: NDArray[np.float64], joules: NDArray[np.float64]) -> Series:
    """Mean power up to each reading of a counter; where it wrapped or stood still there is none."""
    moved = np.concatenate([[True], np.diff(joules) != 0])
    at, joules = at[moved], joules[moved]
    took, gained = np.diff(at), np.diff(joules)
    with np.errstate(divide="ignore", invalid="ignore"):
        watts = np.where((gained > 0) & (took > 0), gained / took, np.nan)
    return at[1:], watts


def _panel(series: Mapping[str, Series], prefix: str, title: str) -> Panel:
    shown = dict(list(series.items())[:MOST_LINES])
    names, lines = plot.legend(list(shown), WIDTH)
    highest = max(float(watts.max()) for _, watts in shown.values())
    last = max(float(at[-1]) for at, _ in shown.values())
    top = plot.LEGEND * lines + 20
    frame = plot.Frame(
        WIDTH, HEIGHT, 40, 12, top, 30, (0.0, last or 1.0), (0.0, 1.05 * highest or 1.0)
    )
    drawn, most = [names, plot.axes(frame, "s", "W")], max(20, POINTS // len(shown))
    for number, (name, (at, watts)) in enumerate(shown.items()):
        if len(watts) > most:
            firsts, low, middle, high = binned(at, watts, most // 3)
            drawn.append(plot.band(frame, firsts, low, high, number))
            at, watts = firsts, middle
        drawn.append(
            plot.line(
                frame,
                at,
                watts,
                number,
                f"{name}: {quantity(float(np.median(watts)), 'W')} (median)",
            )
        )
    told = "Power over the time of the first process, a line a meter." + (
        f" The first {MOST_LINES} of {len(series)} meters." if len(series) > MOST_LINES else ""
    )
    svg = wrapped("".join(drawn), (WIDTH, HEIGHT), prefix, title, told)
    return Panel(title, svg, _data(series, title))


def _data(series: Mapping[str, Series], caption: str) -> Table:
    rows = [
        [
            Cell(name, head=True),
            Cell(f"{len(watts):,}"),
            *(
                Cell(quantity(float(value), "W"))
                for value in (watts.min(), np.median(watts), watts.max())
            ),
        ]
        for name, (_, watts) in series.items()
    ]
    return Table(caption, "lrrrr", ["Meter", "Readings", "Least", "Median", "Most"], rows)
