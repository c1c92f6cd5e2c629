"""A sweep as a curve with its knee."""

from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from hwbench.analysis.scaling.sweeps import ENOUGH, Sweep
from hwbench.report.figures.style import INK, MUTED, SERIES
from hwbench.report.numbers import scale_of, short
from hwbench.report.titles import RATES

LOG_FROM = 8
"""From this ratio of the largest value to the smallest on, the axis is logarithmic."""

MOST_TICKS = 9


def sweep(chart: Sweep, where: str = "") -> Figure:
    """Draw rates with their 95 % intervals, joined; a dashed line at 95 % of the best, a ring
    around the knee. `where` ends the title."""
    divisor, unit = scale_of(chart.best.rate, chart.unit)
    at = [point.at for point in chart.points]
    rates = [point.rate / divisor for point in chart.points]
    reach = [
        [0 if point.low is None else (point.rate - point.low) / divisor for point in chart.points],
        [
            0 if point.high is None else (point.high - point.rate) / divisor
            for point in chart.points
        ],
    ]
    figure = Figure(figsize=(4.6, 3.0), layout="constrained")
    axes = figure.add_subplot()
    axes.errorbar(at, rates, reach, fmt="-o", color=SERIES[0], markersize=4, capsize=2.5)
    axes.axhline(ENOUGH * chart.best.rate / divisor, color=MUTED, linewidth=0.9, linestyle="--")
    if chart.knee is not chart.points[-1]:
        knee = chart.knee.at, chart.knee.rate / divisor
        axes.plot(*knee, "o", markersize=11, markerfacecolor="none", markeredgecolor=INK)
        axes.annotate("knee", knee, (0, -18), textcoords="offset points", ha="center")
    if at[0] > 0 and at[-1] >= LOG_FROM * at[0]:
        axes.set_xscale("log", base=2)
    shown = at[:: -(-len(at) // MOST_TICKS)]
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{value:,}" for value in shown]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda tick, position: f"{tick:,.10g}")
    axes.set(xlabel=chart.axis, ylabel=unit)
    axes.set_ylim(bottom=0)
    axes.set_title(short(f"{RATES[chart.metric]}: {chart.label}{where}", 64), fontsize=9)
    return figure
