"""A sweep as a curve: the rate over the axis, with its intervals and the knee. Sizes are CSS
pixels."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from hwbench.analysis.scaling.sweeps import ENOUGH, Sweep
from hwbench.report.numbers import scale_of
from hwbench.report.page.figures.svg import INK, LINE, MUTED, SERIES, SURFACE, canvas

WIDTH, HEIGHT = 330, 210
LOG_FROM = 8
"""From this ratio of the largest value to the smallest on, the axis is logarithmic: values mostly
double."""

MOST_TICKS = 7


def curve(sweep: Sweep) -> Figure:
    """Rates as dots with their 95 % intervals, joined; a dashed line at 95 % of the best, a ring
    around the knee."""
    divisor, unit = scale_of(sweep.best.rate, sweep.unit)
    figure, axes = canvas(WIDTH, HEIGHT, 52, 14, 12, 36)
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    at = [point.at for point in sweep.points]
    axes.plot(
        at,
        [point.rate / divisor for point in sweep.points],
        "-o",
        color=SERIES[0],
        linewidth=1.8,
        markersize=5,
    )
    for point in sweep.points:
        if point.low is not None and point.high is not None:
            axes.plot(
                [point.at] * 2,
                [point.low / divisor, point.high / divisor],
                color=SERIES[0],
                linewidth=1.2,
            )
    axes.axhline(ENOUGH * sweep.best.rate / divisor, color=MUTED, linewidth=1, linestyle="--")
    if sweep.knee is not sweep.points[-1]:
        _ring(axes, sweep.knee.at, sweep.knee.rate / divisor)
    _scale(axes, at)
    tops = [point.high or point.rate for point in sweep.points]
    axes.set_ylim(0, 1.08 * max(tops) / divisor)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda tick, position: f"{tick:,.10g}"))
    axes.set_xlabel(f"{sweep.axis}   ({unit})", loc="right", fontsize=10)
    return figure


def _ring(axes: Axes, x: float, y: float) -> None:
    axes.plot(
        [x],
        [y],
        "o",
        markersize=11,
        markerfacecolor=SURFACE,
        markeredgecolor=INK,
        markeredgewidth=1.4,
        zorder=2,
    )
    axes.plot([x], [y], "o", markersize=5, color=SERIES[0], zorder=3)
    axes.annotate(
        "knee",
        (x, y),
        xytext=(0, -16),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=10,
    )


def _scale(axes: Axes, at: list[int]) -> None:
    """Ticks at the values themselves, of many only some; logarithmic where they span much."""
    if at[0] > 0 and at[-1] >= LOG_FROM * at[0]:
        axes.set_xscale("log", base=2)
    every = -(-len(at) // MOST_TICKS)
    shown = at[::every]
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{value:,}" for value in shown]))
    axes.xaxis.set_minor_locator(NullLocator())
