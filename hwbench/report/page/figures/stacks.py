"""Bars cut into the spans of a step."""

from collections.abc import Iterable, Mapping

from markupsafe import Markup

from hwbench.analysis.metrics.steps import REST
from hwbench.report.charts.stacks import Stacks
from hwbench.report.numbers import short
from hwbench.report.page.figures import plot
from hwbench.report.page.figures.bars import GAP, LABEL
from hwbench.report.page.figures.marks import (
    WIDE,
    box,
    fill_of,
    legend_places,
    legend_text,
    patterns,
    swatch,
    text,
)
from hwbench.report.page.figures.svg import variable, wrapped

BAR, LEFT, RIGHT, AXIS = 22, 12, 80, 24
ROW = LABEL + BAR + GAP
WIDER = 6.3
"""A letter of a label inside a bar, in fonts that are wide."""


def stacks(chart: Stacks, prefix: str) -> Markup:
    """Draw a bar of 100 % for each label, cut into its spans, with what it took at its end."""
    named = [name for name in chart.names if name != REST]
    fills = {name: fill_of(prefix, series) for series, name in enumerate(named)}
    fills[REST] = variable("rest")
    places, legend_height = legend_places(chart.names)
    top = legend_height + 8
    height = top + len(chart.shares) * ROW + AXIS
    x, y = (0.0, 100.0), (len(chart.shares) * ROW, 0.0)
    frame = plot.Frame(WIDE, height, LEFT, RIGHT, top, AXIS, x, y)
    ticks = [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
    drawn = [patterns(prefix, range(len(named)))]
    drawn.append(plot.x_numbers(frame, ticks, [f"{tick:.0f} %" for tick in ticks]))
    for row, (label, spans) in enumerate(chart.shares.items()):
        at = top + row * ROW
        drawn.append(text(LEFT, at + LABEL - 4, short(label), size=11, fill="ink"))
        drawn += _spans(frame, spans.items(), at + LABEL, fills)
        total = chart.totals[label]
        drawn.append(text(frame.inner_right + 8, at + LABEL + 15, total, size=11, fill="ink"))
    for name, place in zip(chart.names, places, strict=True):
        drawn += [swatch(*place, fills[name]), legend_text(*place, name)]
    size = (frame.width, frame.height)
    return wrapped("".join(drawn), size, prefix, chart.title, _described(chart))


def _spans(
    frame: plot.Frame, spans: Iterable[tuple[str, float]], y: float, fills: Mapping[str, str]
) -> list[str]:
    """The parts of one bar, those that have room for it with their name and share."""
    boxes, words, start = [], [], 0.0
    for name, share in spans:
        left, right = (float(frame.at_x(100 * edge)) for edge in (start, start + share))
        tip = f"{name} {share:.1%}".replace("%", " %")
        boxes.append(box(left, y, right - left, BAR, fills[name], tip))
        label = f"{name} {share:.0%}".replace("%", " %")
        if right - left > WIDER * len(label) + 10:
            middle = (left + right) / 2
            words.append(_label(middle, y, label))
        start += share
    return boxes + words


def _label(middle: float, y: float, words: str) -> str:
    """A text on a strip of the page's surface, since a hatch is hard to read on."""
    width = WIDER * len(words) + 6
    strip = (
        f'<rect x="{middle - width / 2:.1f}" y="{y + 4:.1f}" width="{width:.1f}" '
        f'height="{BAR - 8}" fill="{variable("surface")}"/>'
    )
    return strip + text(middle, y + 14.5, words, fill="ink", anchor="middle")


def _described(chart: Stacks) -> str:
    parts = {
        label: ", ".join(f"{name} {share:.0%}" for name, share in spans.items())
        for label, spans in chart.shares.items()
    }
    return "; ".join(f"{label}: {words}" for label, words in parts.items())
