"""Bars of values and of ratios. Labels stand above their bars, so that a label may be long and a
screen narrow; values stand at the bars' ends. Sizes are CSS pixels."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, LogLocator, MaxNLocator

from hwbench.report.numbers import TIMES, clean, scale_of
from hwbench.report.page.figures.marks import WIDTH, color, mark, patch, short, tipped
from hwbench.report.page.figures.svg import HATCHES, INK, LINE, MUTED, SURFACE, canvas

LABEL, BAR, GAP, AXIS = 20, 17, 11, 32
LOG_FROM = 30
"""From this ratio within a case on, the slower bar could not be seen, so dots on a logarithmic axis
take over."""


@dataclass(frozen=True)
class Group:
    """A case's bars, one a series: `values` (None: no bar) and the `texts` at their ends."""

    label: str
    values: Sequence[float | None]
    texts: Sequence[str]


def bars(groups: Sequence[Group], unit: str, letters: Sequence[str]) -> Figure:
    """Values of one unit, a group of bars a case and a bar a run. `letters` name the runs where
    there are several."""
    known = [value for group in groups for value in group.values if value]
    divisor, unit_name = scale_of(max(known, default=1.0), unit)
    figure, axes = _rows(groups, letters, right=112)
    logarithmic = any(_spread(group) > LOG_FROM for group in groups)
    low = 10.0 ** math.floor(math.log10(min(known) / divisor)) if logarithmic else 0.0
    high = max(known, default=1.0) / divisor
    if logarithmic:
        axes.set_xscale("log")
    axes.set_xlim(low, high * 1.02)
    for y, series, value, text in _placed(groups):
        end = value / divisor if value else low
        if value and logarithmic:
            axes.plot([low, end], [y, y], color=LINE, linewidth=1)
            mark(axes, end, y, series, text)
        elif value:
            _bar(axes, 0, end, y, series, text)
        _text(axes, end, y, text, offset=8)
    axes.minorticks_off()
    axes.xaxis.set_major_locator(LogLocator(numticks=4) if logarithmic else MaxNLocator(3))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, position: f"{tick:,.10g}"))
    axes.set_xlabel(
        f"{unit_name}, logarithmic" if logarithmic else unit_name, loc="right", fontsize=10
    )
    return figure


def ratios(groups: Sequence[Group], letters: Sequence[str]) -> Figure:
    """Ratios to the first run, as bars from 1 on a logarithmic axis: twice and half are equally far
    from it."""
    known = [math.log10(value) for group in groups for value in group.values if value]
    low, high = min([0.0, *known]), max([0.0, *known])
    room = max(high - low, 0.01)
    figure, axes = _rows(groups, letters, right=64)
    axes.set_xlim(low - (0.3 if low < 0 else 0.0) * room, high + 0.01 * room)
    for y, series, value, text in _placed(groups):
        end = math.log10(value) if value else 0.0
        # the first series is the base, which has no bar
        _bar(axes, min(0, end), abs(end), y, series + 1, text)
        _text(axes, end, y, text, offset=-8 if end < 0 else 8)
    axes.axvline(0, color=MUTED, linewidth=1)
    ticks = _ratio_ticks(low, high)
    axes.xaxis.set_major_locator(FixedLocator([math.log10(tick) for tick in ticks]))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{tick:,.10g}{TIMES}" for tick in ticks]))
    return figure


def _rows(groups: Sequence[Group], letters: Sequence[str], right: int) -> tuple[Figure, Axes]:
    """Axes whose y counts pixels from the top, with each group's label above its bars and each
    run's letter before."""
    left = 24 if len(letters) > 1 else 8
    height = sum(_height(group) for group in groups)
    figure, axes = canvas(WIDTH, height + AXIS, left, right, 0, AXIS)
    axes.set_ylim(height, 0)
    axes.set_yticks([])
    axes.grid(axis="x", color=LINE, linewidth=0.8)
    top = 0
    for group in groups:
        axes.annotate(
            short(group.label),
            (0, top + LABEL - 4),
            xycoords=("axes fraction", "data"),
            parse_math=False,
            bbox={"facecolor": SURFACE, "edgecolor": "none", "pad": 1},
        )
        top += _height(group)
    for y, series, _, _ in _placed(groups):
        if len(letters) > 1:
            axes.annotate(
                letters[series],
                (0, y),
                xycoords=("axes fraction", "data"),
                xytext=(-8, 0),
                weight="bold",
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=10,
                color=MUTED,
            )
    return figure, axes


def _height(group: Group) -> int:
    return LABEL + BAR * len(group.values) + GAP


def _placed(groups: Sequence[Group]) -> Iterator[tuple[float, int, float | None, str]]:
    """Each bar with the y of its middle: (y, series, value, text)."""
    top = 0
    for group in groups:
        for series, (value, text) in enumerate(zip(group.values, group.texts, strict=True)):
            yield top + LABEL + BAR * (series + 0.5), series, value, text
        top += _height(group)


def _bar(axes: Axes, start: float, length: float, y: float, series: int, tip: str) -> None:
    box = patch(
        start, y - BAR / 2 + 1, length, BAR - 2, color(series), HATCHES[series % len(HATCHES)]
    )
    axes.add_artist(tipped(box, tip))


def _text(axes: Axes, x: float, y: float, text: str, offset: int) -> None:
    side = "right" if offset < 0 else "left"
    axes.annotate(
        clean(text),
        (x, y),
        xytext=(offset, 0),
        textcoords="offset points",
        ha=side,
        va="center",
        fontsize=11,
        color=INK,
        parse_math=False,
    )


def _ratio_ticks(low: float, high: float) -> list[float]:
    """Ticks for log10 limits: decades where there are several, else round ratios in between."""
    if high - low >= 1:
        return [10.0**power for power in range(math.floor(low), math.ceil(high) + 1)]
    return [float(t) for t in MaxNLocator(3).tick_values(10**low, 10**high) if t > 0]


def _spread(group: Group) -> float:
    known = [value for value in group.values if value]
    return max(known) / min(known) if known else 1.0
