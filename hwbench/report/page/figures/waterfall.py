"""The figures of a profile: what a step is made of, and what its memory holds, operator by
operator. CSS pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from hwbench.report.numbers import clean, scale_of
from hwbench.report.page.figures import WIDE
from hwbench.report.page.figures.svg import HATCHES, INK, LINE, MUTED, REST, SERIES, SURFACE, canvas

LABEL, BAR, GAP, AXIS = 20, 17, 8, 32
COLUMN = 130
"""The width of an entry of a legend."""


@dataclass(frozen=True)
class Bar:
    """A part that begins where the one before it ended; `text` stands at its end."""

    label: str
    value: float
    text: str


def waterfall(bars: Sequence[Bar], whole: Bar, unit: str) -> Figure:
    """The parts of a whole, one below the other, each from where the last ended, and the whole
    under them."""
    divisor, unit_name = scale_of(whole.value, unit)
    height = (len(bars) + 1) * (LABEL + BAR + GAP)
    figure, axes = canvas(WIDE, height + AXIS, 12, 118, 0, AXIS)
    axes.set_xlim(0, whole.value / divisor)
    axes.set_ylim(height, 0)
    axes.set_yticks([])
    axes.grid(axis="x", color=LINE, linewidth=0.8)
    start, top = 0.0, 0
    for position, bar in enumerate([*bars, whole]):
        start = start if position < len(bars) else 0.0
        style = (
            (SERIES[position % len(SERIES)], HATCHES[position % len(HATCHES)])
            if position < len(bars)
            else (REST, "")
        )
        end = start + bar.value / divisor
        _label(axes, top, bar)
        _box(axes, start, top + LABEL, bar.value / divisor, *style)
        if position + 1 < len(bars):
            axes.plot(
                [end, end], [top + LABEL, top + 2 * LABEL + BAR + GAP], color=MUTED, linewidth=1
            )
        start, top = end, top + LABEL + BAR + GAP
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, position: f"{tick:,.10g}"))
    axes.set_xlabel(unit_name, loc="right", fontsize=10)
    return figure


@dataclass(frozen=True)
class Area:
    """What is held for one thing, in bytes, at each of the positions of the figure."""

    label: str
    held: NDArray[np.float64]


def memory(positions: NDArray[np.float64], areas: Sequence[Area]) -> Figure:
    """Bytes over the operators of a step, stacked, each area with its colour and hatch; a line
    marks the peak."""
    columns = WIDE // COLUMN
    head = 20 * -(-len(areas) // columns) + 8
    figure, axes = canvas(WIDE, head + 230, 56, 16, head, 36)
    total = np.sum([area.held for area in areas], axis=0)
    peak = int(np.argmax(total))
    divisor, unit = scale_of(float(total[peak]), "B")
    axes.set_xlim(float(positions[0]), max(float(positions[-1]), float(positions[0]) + 1))
    axes.set_ylim(0, max(1.12 * float(total[peak]) / divisor, 1e-9))
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    tops = np.cumsum([area.held / divisor for area in areas], axis=0)
    # each covers what is below, so one outline is enough
    for position, area in reversed(list(enumerate(areas))):
        style: dict[str, Any] = {
            "facecolor": SERIES[position % len(SERIES)],
            "hatch": HATCHES[position % len(HATCHES)],
            "edgecolor": SURFACE,
        }
        ends = [(positions[-1], 0.0), (positions[0], 0.0)]
        outline = np.concatenate([np.column_stack([positions, tops[position]]), ends])
        axes.add_artist(Polygon(outline, closed=True, linewidth=0.8, **style))
        x, y = 12 + position % columns * COLUMN, 1 - (20 * (position // columns) + 9) / (head + 230)
        mark = Rectangle((x / WIDE, y - 6 / (head + 230)), 12 / WIDE, 12 / (head + 230), **style)
        figure.add_artist(mark)
        figure.text(
            (x + 18) / WIDE,
            y,
            clean(area.label),
            va="center",
            fontsize=10,
            color=MUTED,
            parse_math=False,
        )
    axes.axvline(float(positions[peak]), color=INK, linewidth=1, linestyle="--")
    right = 2 * positions[peak] > positions[0] + positions[-1]
    axes.annotate(
        "peak",
        (float(positions[peak]), 1.12 * float(total[peak]) / divisor),
        xytext=(-4 if right else 4, -3),
        textcoords="offset points",
        ha="right" if right else "left",
        va="top",
        fontsize=10,
    )
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda tick, position: f"{tick:,.10g}"))
    axes.set_xlabel("operators of a step, in order", loc="right", fontsize=10)
    axes.set_ylabel(unit, loc="top", fontsize=10)
    return figure


def _label(axes: Axes, top: float, bar: Bar) -> None:
    label = axes.annotate(
        clean(bar.label), (0, top + LABEL - 4), xycoords=("axes fraction", "data"), parse_math=False
    )
    label.set_bbox({"facecolor": SURFACE, "edgecolor": "none", "pad": 1})
    axes.annotate(
        clean(bar.text),
        (1, top + LABEL + BAR / 2),
        xycoords=("axes fraction", "data"),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        color=INK,
        parse_math=False,
    )


def _box(axes: Axes, x: float, y: float, width: float, color: str, hatch: str) -> None:
    """A bar, or where there is nothing to fill one, a line."""
    axes.add_artist(
        Rectangle((x, y), width, BAR, facecolor=color, edgecolor=SURFACE, linewidth=1, hatch=hatch)
    )
    axes.plot([x, x], [y, y + BAR], color=MUTED, linewidth=1)
