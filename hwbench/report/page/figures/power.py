"""The power timeline: what each meter showed while a case's processes were measured."""

import numpy as np
from markupsafe import Markup

from hwbench.report.charts.power import MOST_LINES, Power
from hwbench.report.charts.series import binned
from hwbench.report.numbers import quantity
from hwbench.report.page.figures import plot
from hwbench.report.page.figures.marks import WIDE
from hwbench.report.page.figures.svg import wrapped

HEIGHT = 180
POINTS = 1200
"""Points of a figure, shared by its lines."""


def timeline(chart: Power, prefix: str, title: str) -> Markup:
    """Draw watts over the seconds of the first process, a line a meter."""
    shown = chart.shown
    names, lines = plot.legend(list(shown), WIDE)
    last, highest = chart.limits
    top = plot.LEGEND * lines + 20
    frame = plot.Frame(
        WIDE, HEIGHT, 40, 12, top, 30, (0.0, last or 1.0), (0.0, 1.05 * highest or 1.0)
    )
    drawn, most = [names, plot.axes(frame, "s", "W")], max(20, POINTS // len(shown))
    for number, (name, (at, watts)) in enumerate(shown.items()):
        if len(watts) > most:
            firsts, low, middle, high = binned(at, watts, most // 3)
            drawn.append(plot.band(frame, firsts, low, high, number))
            at, watts = firsts, middle
        tip = f"{name}: {quantity(float(np.median(watts)), 'W')} (median)"
        drawn.append(plot.line(frame, at, watts, number, tip))
    described = "Power over the time of the first process, a line a meter."
    if len(chart.series) > MOST_LINES:
        described += f" The first {MOST_LINES} of {len(chart.series)} meters."
    return wrapped("".join(drawn), (WIDE, HEIGHT), prefix, title, described)
