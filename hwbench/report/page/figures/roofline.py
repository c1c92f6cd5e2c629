"""A roofline with its points."""

from collections.abc import Sequence

from markupsafe import Markup

from hwbench.report.charts.roofline import Roofline
from hwbench.report.charts.ticks import log_ticks
from hwbench.report.numbers import scale_of
from hwbench.report.page.figures import plot
from hwbench.report.page.figures.marks import (
    LETTER,
    WIDE,
    legend_places,
    legend_text,
    marker,
    text,
)
from hwbench.report.page.figures.svg import wrapped

HEIGHT = 260
LINE = 12
"""Between the names of two memories that would touch."""


def roofline(chart: Roofline, prefix: str) -> Markup:
    """Draw FLOP/s over FLOP per byte, both logarithmic: the roof of the arithmetic, a slope for
    each memory, the first of them drawn whole, and the points below, whose names a legend has."""
    places, legend_height = legend_places([spot.label for spot in chart.shown])
    x, y = chart.limits
    top = legend_height + 24
    frame = plot.Frame(
        WIDE, legend_height + 4 + HEIGHT, 52, 16, top, 36, x, y, x_log=True, y_log=True
    )
    drawn = [_axes(frame, chart), *_roofs(frame, chart)]
    for series, (spot, place) in enumerate(zip(chart.shown, places, strict=True)):
        at = float(frame.at_x(spot.intensity)), float(frame.at_y(spot.flops_per_s))
        drawn += [marker(*at, series, spot.text), marker(*place, series)]
        drawn.append(legend_text(*place, spot.label))
    described = "; ".join(spot.text for spot in chart.shown)
    size = (frame.width, frame.height)
    return wrapped("".join(drawn), size, prefix, chart.heading, described)


def _axes(frame: plot.Frame, chart: Roofline) -> str:
    divisor, unit = scale_of(chart.flops_per_s, "FLOP/s")
    xs, ys = log_ticks(*frame.x), log_ticks(*frame.y, most=6)
    return "".join(
        [
            plot.grid(frame, xs, ys),
            plot.x_numbers(frame, xs, [f"{tick:,.10g}" for tick in xs]),
            plot.y_numbers(frame, ys, [f"{tick / divisor:,.10g}" for tick in ys]),
            plot.units(frame, "FLOP per byte", unit),
        ]
    )


def _roofs(frame: plot.Frame, chart: Roofline) -> list[str]:
    low, high = frame.x
    roof = chart.flops_per_s
    ridges = {name: roof / bandwidth for name, bandwidth in chart.memories.items()}
    drawn = [plot.rule(frame, [min(ridges.values()), high], [roof, roof])]
    for position, (name, bandwidth) in enumerate(chart.memories.items()):
        slope = [low, ridges[name]], [low * bandwidth, roof]
        drawn.append(plot.rule(frame, *slope, dash="6 3" if position else ""))
    xs = [float(frame.at_x(ridge)) for ridge in ridges.values()]
    above = float(frame.at_y(roof)) - 4
    drawn.append(text(float(frame.at_x(high)), above, "arithmetic", anchor="end", halo=True))
    return drawn + _names(list(ridges), xs, above)


def _names(names: Sequence[str], xs: Sequence[float], y: float) -> list[str]:
    """The names of the memories above their ridges, one line higher where two would touch."""
    drawn, line, end = [], 0, -1.0
    for x, name in sorted(zip(xs, names, strict=True)):
        half = LETTER * len(name) / 2
        line = (line + 1) % 2 if x - half < end else 0
        end = x + half + 4
        drawn.append(text(x, y - LINE * line, name, fill="ink", anchor="middle", halo=True))
    return drawn
