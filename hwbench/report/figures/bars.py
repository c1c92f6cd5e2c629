"""Throughput as bars, and ratios to the first run, with their 95 % intervals."""

import math
from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from hwbench.report.charts.bars import Bars, Group
from hwbench.report.charts.ticks import ratio_ticks
from hwbench.report.figures.style import HATCHES, INK, MARKERS, MUTED, SERIES
from hwbench.report.numbers import TIMES, scale_of, short

BAR_IN, GAP_IN, MARGIN_IN, WIDTH_IN = 0.17, 0.13, 1.0, 6.3
"""Inches of a bar, between groups, around the axes, and of the figure: a page of two columns."""

LOG_FROM = 30
"""From this ratio within a case on, dots on a logarithmic axis take the place of bars."""


def throughput(chart: Bars, legend: Sequence[str]) -> Figure:
    """Draw values of one unit with their intervals, a group a case and a bar a run; `legend` says
    which run is which."""
    groups = chart.shown
    known = [value for group in groups for value in group.values if value]
    divisor, unit = scale_of(max(known, default=1.0), chart.unit)
    is_log = any(_spread(group) > LOG_FROM for group in groups)
    figure, axes = _axes(chart)
    for series in range(len(chart.names)):
        for y, value, ends in _placed(groups, series):
            value, low, high = (number / divisor for number in (value, *ends))
            if is_log:
                marker = MARKERS[series % len(MARKERS)]
                axes.plot([value], [y], marker, color=_color(series), label=legend[series])
            else:
                _bar(axes, y, value, series, legend[series])
            _interval(axes, y, value, low, high)
    if is_log:
        axes.set_xscale("log")
    axes.set_xlabel(unit + (", logarithmic" if is_log else ""))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, position: f"{tick:,.10g}"))
    _legend(axes, len(legend))
    return figure


def ratios(chart: Bars, legend: Sequence[str], base: str) -> Figure:
    """Draw ratios to the run called `base` with their intervals, on a logarithmic axis: twice and
    half are equally far from 1."""
    figure, axes = _axes(chart)
    axes.set_xscale("log")
    axes.axvline(1, color=MUTED, linewidth=1)
    for series in range(len(chart.names)):
        for y, value, (low, high) in _placed(chart.shown, series):
            marker = MARKERS[(series + 1) % len(MARKERS)]
            color = _color(series + 1)
            axes.plot([value], [y], marker, color=color, label=legend[series], zorder=3)
            _interval(axes, y, value, low, high)
    axes.set_xlabel(f"throughput as a multiple of {short(base, 48)}, with 95 % interval")
    low, high = (math.log10(limit) for limit in axes.get_xlim())
    ticks = ratio_ticks(low, high)
    axes.set_xticks(ticks, [f"{tick:,.10g}{TIMES}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    _legend(axes, len(legend))
    return figure


def _axes(chart: Bars) -> tuple[Figure, Axes]:
    """Axes with the names of the groups along y, the first at the top."""
    groups = chart.shown
    height = MARGIN_IN + sum(_height(group) for group in groups)
    figure = Figure(figsize=(WIDTH_IN, height), layout="constrained")
    axes = figure.add_subplot()
    middles, top = [], 0.0
    for group in groups:
        middles.append(top + BAR_IN * len(group.values) / 2)
        top += _height(group)
    axes.set_yticks(middles, [short(group.label, 48) for group in groups])
    axes.set_ylim(top - GAP_IN / 2, -GAP_IN / 2)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(axis="y", visible=False)
    axes.set_title(chart.heading)
    return figure, axes


def _placed(
    groups: Sequence[Group], series: int
) -> Iterator[tuple[float, float, tuple[float, float]]]:
    """The y, the value and the interval (NaN where unknown) of each bar of a run."""
    top = 0.0
    for group in groups:
        value = group.values[series]
        if value:
            yield top + BAR_IN * (series + 0.5), value, group.intervals[series] or (math.nan,) * 2
        top += _height(group)


def _bar(axes: Axes, y: float, value: float, series: int, label: str) -> BarContainer:
    hatch = HATCHES[series % len(HATCHES)]
    return axes.barh(
        y, value, BAR_IN * 0.92, color=_color(series), hatch=hatch, edgecolor="white", label=label
    )


def _interval(axes: Axes, y: float, value: float, low: float, high: float) -> None:
    if math.isfinite(low) and math.isfinite(high):
        reach = [[max(value - low, 0.0)], [max(high - value, 0.0)]]
        axes.errorbar(value, y, xerr=reach, color=INK, linewidth=0.9, capsize=2, zorder=4)


def _legend(axes: Axes, runs: int) -> None:
    """One entry a run, below the axes, where there are several."""
    if runs > 1:
        handles, labels = axes.get_legend_handles_labels()
        entries = dict(zip(labels, handles, strict=True))
        axes.figure.legend(
            entries.values(), entries.keys(), loc="outside lower left", ncols=min(len(entries), 3)
        )


def _color(series: int) -> str:
    return SERIES[series % len(SERIES)]


def _height(group: Group) -> float:
    return BAR_IN * len(group.values) + GAP_IN


def _spread(group: Group) -> float:
    known = [value for value in group.values if value]
    return max(known) / min(known) if known else 1.0
