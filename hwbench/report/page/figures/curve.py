"""A sweep as a curve: the rate over the axis, with its intervals and the knee."""

from collections.abc import Sequence

from markupsafe import Markup

from hwbench.analysis.scaling.sweeps import ENOUGH, Sweep
from hwbench.report.charts.ticks import ticks
from hwbench.report.numbers import quantity, scale_of
from hwbench.report.page.figures import plot
from hwbench.report.page.figures.marks import WIDTH, text
from hwbench.report.page.figures.svg import variable, wrapped

HEIGHT = 222
LOG_FROM = 8
"""From this ratio of the largest value to the smallest on, the axis is logarithmic: values mostly
double."""

MOST_TICKS = 7


def curve(sweep: Sweep, prefix: str, title: str) -> Markup:
    """Draw rates as dots with their 95 % intervals, joined; a dashed line at 95 % of the best, a
    ring around the knee."""
    divisor, unit = scale_of(sweep.best.rate, sweep.unit)
    at = [point.at for point in sweep.points]
    rates = [point.rate / divisor for point in sweep.points]
    tops = [point.high or point.rate for point in sweep.points]
    frame = plot.Frame(
        WIDTH, HEIGHT, 52, 14, 24, 36, _limits(at), (0.0, 1.08 * max(tops) / divisor), is_log(at)
    )
    ys, xs = ticks(*frame.y), at[:: -(-len(at) // MOST_TICKS)]
    drawn = [plot.grid(frame, (), ys), plot.x_numbers(frame, xs, _readable(frame, xs))]
    drawn.append(plot.y_numbers(frame, ys, [f"{tick:,.10g}" for tick in ys]))
    drawn.append(plot.units(frame, sweep.axis, unit))
    drawn.append(
        plot.rule(frame, frame.x, [ENOUGH * sweep.best.rate / divisor] * 2, "muted", 1, dash="4 2")
    )
    if sweep.knee is not sweep.points[-1]:
        drawn.append(_ring(frame, sweep.knee.at, sweep.knee.rate / divisor))
    drawn += _points(frame, sweep, divisor)
    drawn.append(plot.line(frame, at, rates, 0, sweep.finding))
    tips = [_text_of(sweep, number) for number in range(len(sweep.points))]
    drawn.append(plot.dots(frame, at, rates, 0, tips))
    described = f"{', '.join(tips)}; {sweep.finding}"
    return wrapped("".join(drawn), (WIDTH, HEIGHT), prefix, title, described)


def is_log(at: Sequence[int]) -> bool:
    """Whether the values of a sweep span so much that their axis is logarithmic."""
    return at[0] > 0 and at[-1] >= LOG_FROM * at[0]


def _limits(at: Sequence[int]) -> tuple[float, float]:
    """The ends of the x axis, with a little room."""
    low, high = float(at[0]), float(at[-1])
    if is_log(at):
        room = (high / low) ** 0.05
        return low / room, high * room
    room = 0.05 * (high - low)
    return low - room, high + room


def _readable(frame: plot.Frame, xs: Sequence[int]) -> list[str]:
    """The values as tick labels, an empty one where it would touch the one before."""
    names, end = [], -1.0
    for x, value in zip(frame.at_x(xs), xs, strict=True):
        name = f"{value:,}"
        half = 2.9 * len(name)
        fits = x - half > end + 3
        names.append(name if fits else "")
        end = x + half if fits else end
    return names


def _points(frame: plot.Frame, sweep: Sweep, divisor: float) -> list[str]:
    known = [
        (point.at, point.low / divisor, point.high / divisor)
        for point in sweep.points
        if point.low is not None and point.high is not None
    ]
    if not known:
        return []
    at, low, high = zip(*known, strict=True)
    return [plot.intervals(frame, at, low, high, 0)]


def _text_of(sweep: Sweep, number: int) -> str:
    point = sweep.points[number]
    return f"{sweep.axis}={point.at}: {quantity(point.rate, sweep.unit, 3)}"


def _ring(frame: plot.Frame, at: float, rate: float) -> str:
    x, y = float(frame.at_x(at)), float(frame.at_y(rate))
    paint = f'fill="{variable("surface")}" stroke="{variable("ink")}" stroke-width="1.4"'
    ring = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" {paint}/>'
    return ring + text(x, y + 20, "knee", fill="ink", anchor="middle", halo=True)
