"""The figures of a profile: what a step is made of, and what its memory holds, operator by
operator."""

import numpy as np
from markupsafe import Markup

from hwbench.report.charts.profile import Bar, Cascade, Memory
from hwbench.report.charts.ticks import ticks
from hwbench.report.numbers import quantity, scale_of
from hwbench.report.page.figures import plot
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

LABEL, BAR, GAP, AXIS = 20, 17, 8, 32
ROW = LABEL + BAR + GAP


def cascade(chart: Cascade, prefix: str) -> Markup:
    """Draw the parts of a step, one below the other, each from where the last ended, and the whole
    below them."""
    divisor, unit = scale_of(chart.whole.value, "s")
    height = (len(chart.bars) + 1) * ROW
    x = (0.0, chart.whole.value / divisor)
    frame = plot.Frame(WIDE, height + AXIS, 12, 118, 0, AXIS, x, (height, 0.0))
    xs = ticks(*x, most=5)
    drawn = [patterns(prefix, range(len(chart.bars))), plot.grid(frame, xs)]
    drawn.append(plot.x_numbers(frame, xs, [f"{tick:,.10g}" for tick in xs]))
    drawn.append(plot.units(frame, unit))
    start = 0.0
    for row, bar in enumerate(chart.bars):
        end = start + bar.value / divisor
        drawn += _row(frame, row, bar, start, end, fill_of(prefix, row))
        if row + 1 < len(chart.bars):
            y = row * ROW + LABEL
            drawn.append(plot.rule(frame, [end, end], [y, y + ROW + BAR - 1], "muted", 1))
        start = end
    whole = chart.whole.value / divisor
    drawn += _row(frame, len(chart.bars), chart.whole, 0.0, whole, variable("rest"))
    described = "; ".join(f"{bar.label}: {bar.text}" for bar in [*chart.bars, chart.whole])
    size = (frame.width, frame.height)
    return wrapped("".join(drawn), size, prefix, chart.title, described)


def memory(chart: Memory, prefix: str) -> Markup:
    """Draw bytes over the operators of a step, stacked, each area with its colour and hatch; a line
    marks the peak."""
    places, legend_height = legend_places([area.label for area in chart.areas])
    at, total = chart.positions, chart.tops[-1]
    peak = int(np.argmax(total))
    divisor, unit = scale_of(float(total[peak]), "B")
    x = (float(at[0]), max(float(at[-1]), float(at[0]) + 1))
    y = (0.0, max(1.12 * float(total[peak]) / divisor, 1e-9))
    frame = plot.Frame(WIDE, legend_height + 254, 56, 16, legend_height + 24, 36, x, y)
    xs, ys = ticks(*x, most=5), ticks(*y, most=5)
    xs = [tick for tick in xs if tick == int(tick)]
    drawn = [patterns(prefix, range(len(chart.areas))), plot.grid(frame, (), ys)]
    drawn.append(plot.x_numbers(frame, xs, [f"{tick:,.10g}" for tick in xs]))
    drawn.append(plot.y_numbers(frame, ys, [f"{tick:,.10g}" for tick in ys]))
    drawn.append(plot.units(frame, "operators of a step, in order", unit))
    # each covers what is below, so one outline is enough
    for series, top in reversed(list(enumerate(chart.tops))):
        drawn.append(plot.outline(frame, at, top / divisor, fill_of(prefix, series)))
    for series, (area, place) in enumerate(zip(chart.areas, places, strict=True)):
        drawn += [swatch(*place, fill_of(prefix, series)), legend_text(*place, area.label)]
    drawn.append(plot.rule(frame, [at[peak]] * 2, y, "ink", 1, dash="4 2"))
    drawn.append(_peak(frame, float(at[peak]), 2 * at[peak] > at[0] + at[-1]))
    described = "; ".join(
        f"{area.label}: at most {quantity(float(area.held.max()), 'B', 3)}" for area in chart.areas
    )
    size = (frame.width, frame.height)
    return wrapped("".join(drawn), size, prefix, chart.title, described)


def _row(frame: plot.Frame, row: int, bar: Bar, start: float, end: float, fill: str) -> list[str]:
    """A part with its label above it and its value at the right edge; where there is nothing to
    fill, a line."""
    y = row * ROW
    left, right = (float(frame.at_x(edge)) for edge in (start, end))
    return [
        text(frame.left, y + LABEL - 5, bar.label, size=11, fill="ink", halo=True),
        box(left, y + LABEL, right - left, BAR, fill, f"{bar.label}: {bar.text}"),
        plot.rule(frame, [start, start], [y + LABEL, y + LABEL + BAR], "muted", 1),
        text(frame.inner_right + 8, y + LABEL + 13, bar.text, size=11, fill="ink"),
    ]


def _peak(frame: plot.Frame, at: float, is_right: bool) -> str:
    x = float(frame.at_x(at)) + (-4 if is_right else 4)
    anchor = "end" if is_right else ""
    return text(x, frame.top + 10, "peak", fill="ink", anchor=anchor, halo=True)
