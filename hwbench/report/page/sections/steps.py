"""How long the steps of a case took: their distribution, and over the time of the window, so that
drift shows.

Sizes are CSS pixels. A line a process, by their numbers; more than MOST_LINES would not be told
apart.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hwbench.report.numbers import count, quantity, scale_of
from hwbench.report.page.cells import Cell, Panel, Table
from hwbench.report.page.figures import plot
from hwbench.report.page.figures.svg import wrapped

WIDTH, HEIGHT = 248, 158
MOST_LINES = 10
POINTS = 1200
"""Points of a figure, shared by its lines: more would not show, and a million would not load."""

BEYOND = 1e9
"""A step so many times as long as the median has no place in the median's unit."""

FEW = 12
"""Up to so many steps each is a dot too."""

PARTS = 8
"""Rows of the data of a figure over time: parts of the window of equal length."""

QUANTILES = (0, 10, 25, 50, 75, 90, 95, 99, 100)
Processes = Mapping[int, NDArray[np.float64]]
"""The timed steps of each process in their order, in seconds, by the process's number."""


def processes_of(samples: pd.DataFrame) -> Processes:
    """The timed samples of a case, by process. A step that has no finite time is left out."""
    ordered = samples.sort_values(["process", "step"], kind="stable")
    times = {
        int(process): rows.to_numpy(np.float64)
        for process, rows in ordered.groupby("process").step_s
    }
    return {
        process: seconds[np.isfinite(seconds)]
        for process, seconds in times.items()
        if np.isfinite(seconds).any()
    }


def distribution(processes: Processes, prefix: str, label: str) -> Panel:
    """The share of steps that took at most so long, a line a process: the steeper, the steadier."""
    shown = _shown(processes)
    unit, scaled = _scaled(shown)
    names, lines = plot.legend(_names(shown), WIDTH)
    every = np.concatenate(list(scaled.values()))
    frame = _frame(lines, plot.limits([every.min(), every.max()]), (0, 100))
    drawn = [names, plot.axes(frame, unit, "% of steps")]
    for series, (process, seconds) in enumerate(scaled.items()):
        times, shares = steps_up_to(seconds, max(20, POINTS // len(scaled)))
        tip = f"process {process}: half of its {len(seconds):,} steps took at most {np.median(seconds):,.4g} {unit}"
        drawn.append(plot.line(frame, times, shares, series, tip, steps=True))
        if len(seconds) <= FEW:
            tips = [f"process {process}: {t:,.4g} {unit}" for t in times[1:]]
            drawn.append(plot.dots(frame, times[1:], shares[1:], series, tips))
    title = f"{label}: distribution"
    middle = quantity(float(np.median(np.concatenate(list(processes.values())))), "s")
    told = f"Share of the steps that took at most so long, a line a process. Half of all took at most {middle}."
    svg = wrapped("".join(drawn), (WIDTH, frame.height), prefix, title, told + _left_out(processes))
    return Panel(title, svg, _quantiles(shown, title))


def over_time(processes: Processes, prefix: str, label: str) -> Panel:
    """The time of each step over the time of the window, a line a process; of many the median of
    groups of steps, in a band from the fastest to the slowest of each."""
    shown = _shown(processes)
    unit, scaled = _scaled(shown)
    names, lines = plot.legend(_names(shown), WIDTH)
    ends = {process: np.cumsum(seconds) for process, seconds in shown.items()}
    every = np.concatenate(list(scaled.values()))
    last = max(float(end[-1]) for end in ends.values())
    divisor, x_unit = scale_of(last, "s")
    frame = _frame(lines, (0.0, last / divisor or 1.0), plot.limits([every.min(), every.max()]))
    drawn, over, most = [names, plot.axes(frame, x_unit, unit)], [], max(20, POINTS // len(scaled))
    is_binned = any(len(seconds) > most for seconds in scaled.values())
    for series, (process, seconds) in enumerate(scaled.items()):
        starts = (ends[process] - shown[process]) / divisor
        tip = f"process {process}: {count(len(seconds), 'step')}, first half {{:,.4g}}, second half {{:,.4g}} {unit}"
        middle = (len(seconds) + 1) // 2
        tip = tip.format(
            np.median(seconds[:middle]),
            np.median(seconds[middle:] if middle < len(seconds) else seconds),
        )
        if len(seconds) > most:
            at, low, median, high = binned(starts, seconds, most // 3)
            drawn.append(plot.band(frame, at, low, high, series))
            over.append(plot.line(frame, at, median, series, tip))
        else:
            over.append(plot.line(frame, starts, seconds, series, tip))
        if len(seconds) <= FEW:
            over.append(
                plot.dots(
                    frame,
                    starts,
                    seconds,
                    series,
                    [f"process {process}: {t:,.4g} {unit}" for t in seconds],
                )
            )
    title = f"{label}: over time"
    told = "Time of a step over the time of its window, a line a process. A line that rises or falls is drift."
    binning = (
        " Of many steps the median of groups, in a band from the fastest to the slowest."
        if is_binned
        else ""
    )
    svg = wrapped(
        "".join(drawn + over),
        (WIDTH, frame.height),
        prefix,
        title,
        told + binning + _left_out(processes),
    )
    return Panel(title, svg, _parts(shown, title))


def steps_up_to(
    seconds: NDArray[np.float64], most: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The empirical distribution: times in seconds, rising, and the percentage of steps at or below
    each.

    At most `most` of its points, evenly spread from the fastest to the slowest step, after a first
    one at 0 %.
    """
    ordered = np.sort(seconds)
    picked = np.unique(
        np.linspace(0, len(ordered) - 1, min(len(ordered), most)).round().astype(int)
    )
    times, shares = ordered[picked], 100 * (picked + 1) / len(ordered)
    return np.concatenate([times[:1], times]), np.concatenate([[0.0], shares])


def binned(
    at: NDArray[np.float64], values: NDArray[np.float64], bins: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """`values` in order, in `bins` groups as equal in number as can be: where each begins, and the
    least, the median and the largest of each."""
    groups = np.array_split(values, bins)
    firsts = at[np.cumsum([0, *map(len, groups[:-1])])]
    found = np.array([(group.min(), np.median(group), group.max()) for group in groups])
    return firsts, found[:, 0], found[:, 1], found[:, 2]


def _shown(processes: Processes) -> Processes:
    return dict(list(processes.items())[:MOST_LINES])


def _names(processes: Processes) -> list[str]:
    """What the legend calls the lines."""
    return [
        f"{'' if position else 'process '}{process}" for position, process in enumerate(processes)
    ]


def _left_out(processes: Processes) -> str:
    return (
        f" The first {MOST_LINES} of {len(processes)} processes."
        if len(processes) > MOST_LINES
        else ""
    )


def _scaled(processes: Processes) -> tuple[str, Processes]:
    every = np.concatenate(list(processes.values()))
    typical, most = float(np.median(every)), float(every.max())
    divisor, unit = scale_of(typical if most < BEYOND * typical else most, "s")
    return unit, {process: seconds / divisor for process, seconds in processes.items()}


def _frame(lines: int, x: tuple[float, float], y: tuple[float, float]) -> plot.Frame:
    top = plot.LEGEND * lines + 20
    return plot.Frame(WIDTH, HEIGHT + plot.LEGEND * (lines - 1), 36, 16, top, 28, x, y)


def _quantiles(processes: Processes, caption: str) -> Table:
    """Quantiles of the steps of each process, a row each."""
    rows = [
        [
            Cell(f"{process}", head=True),
            Cell(f"{len(seconds):,}"),
            *(Cell(quantity(q, "s")) for q in np.quantile(seconds, np.array(QUANTILES) / 100)),
        ]
        for process, seconds in processes.items()
    ]
    head = ["Process", "Steps", "Fastest", *(f"{q} %" for q in QUANTILES[1:-1]), "Slowest"]
    return Table(f"{caption}, by process", "l" + "r" * (len(head) - 1), head, rows)


def _parts(processes: Processes, caption: str) -> Table:
    """The median step of each process in each part of its window, with its fastest and slowest."""
    cut = {
        process: np.array_split(seconds, min(PARTS, len(seconds)))
        for process, seconds in processes.items()
    }
    rows = []
    for part in range(max(map(len, cut.values()))):
        cells = [
            _range(groups[part]) if part < len(groups) else Cell("") for groups in cut.values()
        ]
        rows.append([Cell(f"{part + 1}", head=True), *cells])
    head = ["Part of the window", *(f"Process {process}" for process in cut)]
    return Table(f"{caption}, median of each part of the window", "l" + "r" * len(cut), head, rows)


def _range(seconds: NDArray[np.float64]) -> Cell:
    ends = (
        f"{quantity(float(seconds.min()), 's')} to {quantity(float(seconds.max()), 's')}"
        if len(seconds) > 1
        else ""
    )
    return Cell(quantity(float(np.median(seconds)), "s"), sub=ends)
