"""Bars of values and of ratios. Labels stand above their bars, so that a label may be long and a
screen narrow; values stand at the bars' ends."""

import math
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from hwbench.report.charts.bars import Bars, Group
from hwbench.report.charts.ticks import log_ticks, ratio_ticks
from hwbench.report.numbers import TIMES, scale_of, short
from hwbench.report.page.figures import plot
from hwbench.report.page.figures.marks import WIDTH, box, fill_of, marker, patterns, text
from hwbench.report.page.figures.svg import variable, wrapped

LABEL, BAR, GAP, AXIS = 20, 17, 11, 32
LOG_FROM = 30
"""From this ratio within a case on, the slower bar could not be seen, so dots on a logarithmic axis
take over."""

Placed = tuple[float, int, float | None, str]
"""A bar: the y of its middle, its series, its value and its text."""


def throughput(chart: Bars, prefix: str) -> Markup:
    """Draw values of one unit, a group of bars a case and a bar a run."""
    groups = chart.shown
    known = [value for group in groups for value in group.values if value]
    most = max(known, default=1.0)
    divisor, unit = scale_of(most, chart.unit)
    is_log = any(_spread(group) > LOG_FROM for group in groups)
    low = 10.0 ** math.floor(math.log10(min(known) / divisor)) if is_log else 0.0
    frame = _frame(groups, chart.names, 112, (low, most / divisor * 1.02), is_log)
    ticks = log_ticks(*frame.x, most=4) if is_log else plot.fitting_ticks(frame)
    drawn = _rows(frame, groups, chart.names, ticks, [f"{tick:,.10g}" for tick in ticks])
    for y, series, value, words in _placed(groups):
        end = float(frame.at_x(value / divisor)) if value else frame.left
        if value and is_log:
            drawn.append(f'<path d="M{frame.left:g} {y:g}H{end:.1f}" stroke="{variable("line")}"/>')
            drawn.append(marker(end, y, series, words))
        elif value:
            drawn.append(_bar(frame.left, end, y, series, prefix, words))
        drawn.append(text(end + 8, y + 4, words, size=11, fill="ink", halo=True))
    drawn.append(plot.units(frame, f"{unit}, logarithmic" if is_log else unit))
    return _whole(drawn, chart, prefix, frame, range(len(chart.names)))


def ratios(chart: Bars, prefix: str) -> Markup:
    """Draw ratios to the first run, as bars from 1 on a logarithmic axis: twice and half are
    equally far from it."""
    groups = chart.shown
    known = [math.log10(value) for group in groups for value in group.values if value]
    low, high = min([0.0, *known]), max([0.0, *known])
    room = max(high - low, 0.01)
    x = (low - (0.3 if low < 0 else 0.0) * room, high + 0.01 * room)
    frame = _frame(groups, chart.names, 64, x)
    ticks = ratio_ticks(low, high)
    names = [f"{tick:,.10g}{TIMES}" for tick in ticks]
    drawn = _rows(frame, groups, chart.names, [math.log10(tick) for tick in ticks], names)
    base = float(frame.at_x(0.0))
    for y, series, value, words in _placed(groups):
        end = float(frame.at_x(math.log10(value))) if value else base
        # the first series is the base, which has no bar
        drawn.append(_bar(min(base, end), max(base, end), y, series + 1, prefix, words))
        at, anchor = (end - 8, "end") if end < base else (end + 8, "")
        drawn.append(text(at, y + 4, words, size=11, fill="ink", anchor=anchor, halo=True))
    drawn.append(plot.rule(frame, [0, 0], frame.y, "muted", 1))
    return _whole(drawn, chart, prefix, frame, range(1, len(chart.names) + 1))


def described(groups: Sequence[Group]) -> str:
    """Return what the bars show, for who cannot see them."""
    return "; ".join(f"{group.label}: {', '.join(group.texts)}" for group in groups)


def _frame(
    groups: Sequence[Group],
    names: Sequence[str],
    right: int,
    x: tuple[float, float],
    is_log: bool = False,
) -> plot.Frame:
    """Axes whose y counts pixels from the top."""
    height = sum(_height(group) for group in groups)
    left = 24 if len(names) > 1 else 8
    return plot.Frame(WIDTH, height + AXIS, left, right, 0, AXIS, x, (height, 0.0), is_log)


def _rows(
    frame: plot.Frame,
    groups: Sequence[Group],
    names: Sequence[str],
    ticks: Sequence[float],
    tick_names: Sequence[str],
) -> list[str]:
    """The axis, each group's label above its bars, and each run's letter before its bar."""
    drawn = [plot.grid(frame, ticks), plot.x_numbers(frame, ticks, tick_names)]
    top = 0
    for group in groups:
        label = short(group.label)
        drawn.append(text(frame.left, top + LABEL - 5, label, size=11, fill="ink", halo=True))
        top += _height(group)
    if len(names) > 1:
        letters = [(y, names[series]) for y, series, _, _ in _placed(groups)]
        drawn += [
            text(frame.left - 8, y + 3.5, letter, anchor="end", bold=True) for y, letter in letters
        ]
    return drawn


def _bar(start: float, end: float, y: float, series: int, prefix: str, tip: str) -> str:
    return box(start, y - BAR / 2 + 1, end - start, BAR - 2, fill_of(prefix, series), tip)


def _whole(
    drawn: Sequence[str], chart: Bars, prefix: str, frame: plot.Frame, series: Sequence[int]
) -> Markup:
    content = patterns(prefix, series) + "".join(drawn)
    size = (frame.width, frame.height)
    return wrapped(content, size, prefix, chart.heading, described(chart.shown))


def _height(group: Group) -> int:
    return LABEL + BAR * len(group.values) + GAP


def _placed(groups: Sequence[Group]) -> Iterator[Placed]:
    top = 0
    for group in groups:
        for series, (value, words) in enumerate(zip(group.values, group.texts, strict=True)):
            yield top + LABEL + BAR * (series + 0.5), series, value, words
        top += _height(group)


def _spread(group: Group) -> float:
    known = [value for value in group.values if value]
    return max(known) / min(known) if known else 1.0
