"""The figures of the page, as matplotlib figures without any state of their own. Sizes are CSS pixels.

Labels stand above their bars, so that a label may be long and a screen narrow; values stand at the bars' ends.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, LogLocator, MaxNLocator
from numpy.typing import NDArray

from hwbench.report.format import TIMES, clean, scale_of
from hwbench.report.svg import HATCHES, INK, LINE, MUTED, REST, SERIES, SURFACE, canvas

WIDTH, WIDE, SMALL = 330, 520, 232
LABEL, BAR, GAP, AXIS = 20, 17, 11, 32
LOG_FROM = 30
"""From this ratio within a case on, the slower bar could not be seen, so dots on a logarithmic axis take over."""

MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", ":", "-.")
POINTS = 600
"""Points of a distribution, shared by its lines: more would not show, and a million would not load."""


@dataclass(frozen=True)
class Group:
    """A case's bars, one a series: `values` (None: no bar) and the `texts` at their ends."""

    label: str
    values: Sequence[float | None]
    texts: Sequence[str]


def bars(groups: Sequence[Group], unit: str, letters: Sequence[str]) -> Figure:
    """Values of one unit, a group of bars a case and a bar a run. `letters` name the runs where there are several."""
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
            axes.plot([end], [y], MARKERS[series % len(MARKERS)], color=_color(series), markersize=7, clip_on=False)
        elif value:
            _bar(axes, 0, end, y, series)
        _text(axes, end, y, text, offset=8)
    axes.minorticks_off()
    axes.xaxis.set_major_locator(LogLocator(numticks=4) if logarithmic else MaxNLocator(3))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, position: f"{tick:,.10g}"))
    axes.set_xlabel(f"{unit_name}, logarithmic" if logarithmic else unit_name, loc="right", fontsize=10)
    return figure


def ratios(groups: Sequence[Group], letters: Sequence[str]) -> Figure:
    """Ratios to the first run, as bars from 1 on a logarithmic axis: twice and half are equally far from it."""
    known = [math.log10(value) for group in groups for value in group.values if value]
    low, high = min([0.0, *known]), max([0.0, *known])
    room = max(high - low, 0.01)
    figure, axes = _rows(groups, letters, right=64)
    axes.set_xlim(low - (0.3 if low < 0 else 0.0) * room, high + 0.01 * room)
    for y, series, value, text in _placed(groups):
        end = math.log10(value) if value else 0.0
        _bar(axes, min(0, end), abs(end), y, series + 1)  # the first series is the base, which has no bar
        _text(axes, end, y, text, offset=-8 if end < 0 else 8)
    axes.axvline(0, color=MUTED, linewidth=1)
    ticks = _ratio_ticks(low, high)
    axes.xaxis.set_major_locator(FixedLocator([math.log10(tick) for tick in ticks]))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{tick:,.10g}{TIMES}" for tick in ticks]))
    return figure


def stacks(shares: Mapping[str, Mapping[str, float]], totals: Mapping[str, str]) -> Figure:
    """A bar of 100 % for each label, cut into its spans: {label: {span: share}}, with `totals` at the bars' ends."""
    names = list(dict.fromkeys(name for spans in shares.values() for name in spans))
    named = [name for name in names if name != "(rest)"]
    names = [*named, "(rest)"] if len(named) < len(names) else named
    styles = {name: (_color(i), HATCHES[i % len(HATCHES)]) for i, name in enumerate(named)} | {"(rest)": (REST, "")}
    legend, lines = _legend(names)
    head = 20 * lines + 8
    height = head + len(shares) * (LABEL + 22 + GAP) + 24
    figure, axes = canvas(WIDE, height, 12, 80, head, 24)
    axes.set_xlim(0, 100)
    axes.set_ylim(len(shares), 0)
    axes.set_yticks([])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, position: f"{tick:.0f} %"))
    for row, (label, spans) in enumerate(shares.items()):
        axes.text(0, row + 0.32, _short(label), va="bottom", parse_math=False)
        start = 0.0
        for name, share in spans.items():
            color, hatch = styles[name]
            _box(axes, 100 * start, row + 0.4, 100 * share, 0.42, color, hatch)
            if share > 0.02 * len(f"{name} 00 %"):
                box = {"facecolor": SURFACE, "edgecolor": "none", "pad": 1.5}
                text = f"{clean(name)} {share:.0%}".replace("%", " %")
                axes.text(
                    100 * (start + share / 2),
                    row + 0.61,
                    text,
                    ha="center",
                    va="center",
                    bbox=box,
                    fontsize=10,
                    parse_math=False,
                )
            start += share
        axes.annotate(totals[label], (100, row + 0.61), xytext=(8, 0), textcoords="offset points", va="center")
    for name, (x, line) in legend.items():
        y = 1 - (20 * line + 9) / height
        figure.add_artist(_patch(x / WIDE, y - 6 / height, 12 / WIDE, 12 / height, *styles[name]))
        figure.text((x + 18) / WIDE, y, _short(name, 24), va="center", fontsize=10, color=MUTED, parse_math=False)
    return figure


def distribution(processes: Sequence[NDArray[np.float64]]) -> Figure:
    """The share of steps that took at most so long, one line a process. Each array holds step times in seconds."""
    every = np.concatenate(processes)
    divisor, unit = scale_of(float(np.median(every)), "s")
    low, high = float(every.min()) / divisor, float(every.max()) / divisor
    margin = max(0.04 * (high - low), 0.002 * high, 1e-9)
    figure, axes = canvas(SMALL, 146, 38, 10, 8, 30)
    axes.grid(color=LINE, linewidth=0.8)
    for position, seconds in enumerate(processes):
        times, shares = steps_up_to(seconds, max(20, POINTS // len(processes)))
        few = len(seconds) <= 12
        axes.plot(
            times / divisor,
            shares,
            DASHES[position % len(DASHES)],
            color=_color(position),
            linewidth=1.8,
            marker=MARKERS[position % len(MARKERS)] if few else "",
            markersize=3,
            drawstyle="steps-post",
        )
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(0, 103)
    axes.set_yticks([0, 50, 100], ["0 %", "50 %", "100 %"])
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, position: f"{tick:,.10g}"))
    axes.set_xlabel(unit, fontsize=10, labelpad=3)
    return figure


@dataclass(frozen=True)
class Spot:
    """A point of a roofline: FLOP per byte, FLOP/s."""

    label: str
    intensity: float
    flops_per_s: float


def roofline(spots: Sequence[Spot], flops_per_s: float, memories: Mapping[str, float]) -> Figure:
    """FLOP/s over FLOP per byte, both logarithmic: the roof of the arithmetic, a slope for each of `memories` (name:
    B/s, the first of them drawn whole), and the spots under them, of which a legend has the names."""
    legend, lines = _legend([spot.label for spot in spots])
    head = 20 * lines + 8
    figure, axes = canvas(WIDE, head + 260, 52, 16, head, 36)
    ridges = [flops_per_s / value for value in memories.values()]
    low = min([*ridges, *(spot.intensity for spot in spots)]) / 4
    high = max([*ridges, *(spot.intensity for spot in spots)]) * 8
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(min([spot.flops_per_s for spot in spots] + [low * min(memories.values())]) / 2, 2.5 * flops_per_s)
    axes.minorticks_off()
    axes.grid(color=LINE, linewidth=0.8)
    axes.plot([min(ridges), high], [flops_per_s] * 2, color=INK, linewidth=1.6)
    for position, (name, bandwidth) in enumerate(memories.items()):
        ridge = flops_per_s / bandwidth
        axes.plot([low, ridge], [low * bandwidth, flops_per_s], DASHES[min(position, 1)], color=INK, linewidth=1.6)
        axes.annotate(
            clean(name), (ridge, flops_per_s), xytext=(0, 4), textcoords="offset points", ha="center", fontsize=10
        )
    for position, spot in enumerate(spots):
        marker, color = MARKERS[position % len(MARKERS)], _color(position)
        axes.plot([spot.intensity], [spot.flops_per_s], marker, color=color, markersize=7, clip_on=False)
        x, line = legend[spot.label]
        y = 1 - (20 * line + 9) / (head + 260)
        mark = Line2D([(x + 6) / WIDE], [y], marker=marker, color=color, markersize=7, linestyle="")
        figure.add_artist(mark)
        figure.text((x + 18) / WIDE, y, _short(spot.label, 24), va="center", fontsize=10, color=MUTED, parse_math=False)
    divisor, unit = scale_of(flops_per_s, "FLOP/s")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda tick, position: f"{tick / divisor:,.10g}"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, position: f"{tick:,.10g}"))
    axes.set_xlabel("FLOP per byte", loc="right", fontsize=10)
    axes.set_ylabel(unit, loc="top", fontsize=10)
    return figure


def steps_up_to(seconds: NDArray[np.float64], most: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The empirical distribution: times in seconds, rising, and the percentage of steps at or below each.

    At most `most` of its points, evenly spread from the fastest to the slowest step, after a first one at 0 %.
    """
    ordered = np.sort(seconds)
    picked = np.unique(np.linspace(0, len(ordered) - 1, min(len(ordered), most)).round().astype(int))
    times, shares = ordered[picked], 100 * (picked + 1) / len(ordered)
    return np.concatenate([times[:1], times]), np.concatenate([[0.0], shares])


def _rows(groups: Sequence[Group], letters: Sequence[str], right: int) -> tuple[Figure, Axes]:
    """Axes whose y counts pixels from the top, with each group's label above its bars and each run's letter before."""
    left = 24 if len(letters) > 1 else 8
    height = sum(_height(group) for group in groups)
    figure, axes = canvas(WIDTH, height + AXIS, left, right, 0, AXIS)
    axes.set_ylim(height, 0)
    axes.set_yticks([])
    axes.grid(axis="x", color=LINE, linewidth=0.8)
    top = 0
    for group in groups:
        axes.annotate(
            _short(group.label),
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


def _bar(axes: Axes, start: float, length: float, y: float, series: int) -> None:
    _box(axes, start, y - BAR / 2 + 1, length, BAR - 2, _color(series), HATCHES[series % len(HATCHES)])


def _box(axes: Axes, x: float, y: float, width: float, height: float, color: str, hatch: str) -> None:
    axes.add_artist(_patch(x, y, width, height, color, hatch))


def _patch(x: float, y: float, width: float, height: float, color: str, hatch: str) -> Rectangle:
    return Rectangle((x, y), width, height, facecolor=color, edgecolor=SURFACE, linewidth=1, hatch=hatch)


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


def _legend(names: Sequence[str]) -> tuple[dict[str, tuple[float, int]], int]:
    """Where each name goes in a legend that wraps, as (x, line), and how many lines that takes."""
    places, x, line = {}, 12.0, 0
    for name in names:
        width = 18 + 6.6 * len(_short(name, 24)) + 16
        if x > 12 and x + width > WIDE:
            x, line = 12.0, line + 1
        places[name] = (x, line)
        x += width
    return places, line + 1


def _ratio_ticks(low: float, high: float) -> list[float]:
    """Ticks for log10 limits: decades where there are several, else round ratios in between."""
    if high - low >= 1:
        return [10.0**power for power in range(math.floor(low), math.ceil(high) + 1)]
    return [float(t) for t in MaxNLocator(3).tick_values(10**low, 10**high) if t > 0]


def _spread(group: Group) -> float:
    known = [value for value in group.values if value]
    return max(known) / min(known) if known else 1.0


def _color(series: int) -> str:
    return SERIES[series % len(SERIES)]


def _short(text: str, most: int = 72) -> str:
    text = " ".join(clean(text).split())
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
