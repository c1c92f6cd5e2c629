"""How long the steps of a case took: their distribution, and over the time of the window, so that
drift shows. A line a process, by their numbers."""

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from hwbench.report.charts.series import binned, steps_up_to
from hwbench.report.charts.step_times import MOST_LINES, StepTimes
from hwbench.report.numbers import count, quantity, scale_of
from hwbench.report.page.figures import plot
from hwbench.report.page.figures.svg import wrapped

WIDTH, HEIGHT = 248, 158
POINTS = 1200
"""Points of a figure, shared by its lines: more would not show, and a million would not load."""

FEW = 12
"""Up to so many steps each is a dot too."""


def distribution(chart: StepTimes, prefix: str, title: str) -> Markup:
    """Draw the share of steps that took at most so long, a line a process: the steeper, the
    steadier."""
    (_, unit), scaled = chart.scale, chart.scaled
    names, lines = plot.legend(chart.names, WIDTH)
    every = np.concatenate(list(scaled.values()))
    frame = _frame(lines, plot.limits([every.min(), every.max()]), (0, 100))
    drawn = [names, plot.axes(frame, unit, "% of steps")]
    for series, (process, seconds) in enumerate(scaled.items()):
        times, shares = steps_up_to(seconds, max(20, POINTS // len(scaled)))
        middle = f"{np.median(seconds):,.4g} {unit}"
        tip = f"process {process}: half of its {len(seconds):,} steps took at most {middle}"
        drawn.append(plot.line(frame, times, shares, series, tip, steps=True))
        if len(seconds) <= FEW:
            tips = [f"process {process}: {t:,.4g} {unit}" for t in times[1:]]
            drawn.append(plot.dots(frame, times[1:], shares[1:], series, tips))
    middle = quantity(float(np.median(np.concatenate(list(chart.processes.values())))), "s")
    described = (
        "Share of the steps that took at most so long, a line a process. "
        f"Half of all took at most {middle}."
    )
    content, size = "".join(drawn), (WIDTH, frame.height)
    return wrapped(content, size, prefix, title, described + _left_out(chart))


def over_time(chart: StepTimes, prefix: str, title: str) -> Markup:
    """Draw the time of each step over the time of the window, a line a process; of many the median
    of groups of steps, in a band from the fastest to the slowest of each."""
    (_, unit), scaled = chart.scale, chart.scaled
    names, lines = plot.legend(chart.names, WIDTH)
    ends = {process: np.cumsum(seconds) for process, seconds in chart.shown.items()}
    every = np.concatenate(list(scaled.values()))
    last = max(float(end[-1]) for end in ends.values())
    divisor, x_unit = scale_of(last, "s")
    frame = _frame(lines, (0.0, last / divisor or 1.0), plot.limits([every.min(), every.max()]))
    drawn, over, most = [names, plot.axes(frame, x_unit, unit)], [], max(20, POINTS // len(scaled))
    for series, (process, seconds) in enumerate(scaled.items()):
        starts = (ends[process] - chart.shown[process]) / divisor
        tip = _halves(process, seconds, unit)
        if len(seconds) > most:
            at, low, median, high = binned(starts, seconds, most // 3)
            drawn.append(plot.band(frame, at, low, high, series))
            over.append(plot.line(frame, at, median, series, tip))
        else:
            over.append(plot.line(frame, starts, seconds, series, tip))
        if len(seconds) <= FEW:
            tips = [f"process {process}: {t:,.4g} {unit}" for t in seconds]
            over.append(plot.dots(frame, starts, seconds, series, tips))
    described = (
        "Time of a step over the time of its window, a line a process. "
        "A line that rises or falls is drift."
    )
    if any(len(seconds) > most for seconds in scaled.values()):
        described += (
            " Of many steps the median of groups, in a band from the fastest to the slowest."
        )
    content, size = "".join(drawn + over), (WIDTH, frame.height)
    return wrapped(content, size, prefix, title, described + _left_out(chart))


def _halves(process: int, seconds: NDArray[np.float64], unit: str) -> str:
    middle = (len(seconds) + 1) // 2
    second = seconds[middle:] if middle < len(seconds) else seconds
    return (
        f"process {process}: {count(len(seconds), 'step')}, "
        f"first half {np.median(seconds[:middle]):,.4g}, "
        f"second half {np.median(second):,.4g} {unit}"
    )


def _left_out(chart: StepTimes) -> str:
    every = len(chart.processes)
    return f" The first {MOST_LINES} of {every} processes." if every > MOST_LINES else ""


def _frame(lines: int, x: tuple[float, float], y: tuple[float, float]) -> plot.Frame:
    top = plot.LEGEND * lines + 20
    return plot.Frame(WIDTH, HEIGHT + plot.LEGEND * (lines - 1), 36, 16, top, 28, x, y)
