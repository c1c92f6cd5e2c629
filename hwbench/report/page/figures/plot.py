"""Axes with their ticks, and what stands in them: lines, bands and dots."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import escape
from numpy.typing import ArrayLike, NDArray

from hwbench.report.charts.ticks import LEAST, MOST, ticks
from hwbench.report.page.figures.marks import LETTER, text
from hwbench.report.page.figures.svg import color, escaped, variable

DASHES = ("", "6 3", "2 2.5", "8 3 2 3")
"""With as many as six colours, a dash and a colour together repeat after twelve lines."""

LEGEND = 15
"""Height of a line of the legend."""


@dataclass(frozen=True)
class Frame:
    """The rectangle that axes span inside a figure of width × height, and the values at its edges.

    An axis that is `log` is logarithmic, and its edges are positive.
    """

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    x: tuple[float, float]
    y: tuple[float, float]
    x_log: bool = False
    y_log: bool = False

    @property
    def inner_right(self) -> float:
        return self.width - self.right

    @property
    def inner_bottom(self) -> float:
        return self.height - self.bottom

    def at_x(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return where values of x lie, in pixels from the left."""
        room = self.inner_right - self.left
        return self.left + _shares(values, self.x, self.x_log) * room

    def at_y(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return where values of y lie, in pixels from the top."""
        room = self.inner_bottom - self.top
        return self.inner_bottom - _shares(values, self.y, self.y_log) * room


def axes(frame: Frame, x_unit: str, y_unit: str) -> str:
    """The grid with its numbers; the unit of y stands at its highest number, that of x at the end
    of the axis."""
    xs, ys = ticks(*frame.x), ticks(*frame.y)
    x_names, y_names = map(_names, (xs, ys))
    return "".join(
        [
            grid(frame, xs, ys),
            x_numbers(frame, xs, x_names),
            y_numbers(frame, ys, y_names),
            units(frame, x_unit, y_unit),
        ]
    )


def grid(frame: Frame, xs: Sequence[float] = (), ys: Sequence[float] = ()) -> str:
    """Lines through the ticks of x and of y."""
    left, right = frame.left, frame.inner_right
    top, bottom = frame.top, frame.inner_bottom
    lines = [f"M{x:.1f} {top:g}V{bottom:g}" for x in frame.at_x(xs)]
    lines += [f"M{left:g} {y:.1f}H{right:g}" for y in frame.at_y(ys)]
    d = "".join(lines)
    return f'<path d="{d}" stroke="{variable("line")}" stroke-width=".8" fill="none"/>'


def x_numbers(frame: Frame, xs: Sequence[float], names: Sequence[str]) -> str:
    """The names of the ticks of x, below the axis."""
    y = frame.inner_bottom + 13
    drawn = [
        f'<text x="{x:.1f}" y="{y:g}">{escape(name)}</text>'
        for x, name in zip(frame.at_x(xs), names, strict=True)
    ]
    return f'<g font-size="10" fill="{variable("muted")}" text-anchor="middle">{"".join(drawn)}</g>'


def y_numbers(frame: Frame, ys: Sequence[float], names: Sequence[str]) -> str:
    """The names of the ticks of y, to the left of the axis."""
    drawn = [
        f'<text x="{frame.left - 5:g}" y="{y + 3.5:.1f}">{escape(name)}</text>'
        for y, name in zip(frame.at_y(ys), names, strict=True)
    ]
    return f'<g font-size="10" fill="{variable("muted")}" text-anchor="end">{"".join(drawn)}</g>'


def units(frame: Frame, x_unit: str, y_unit: str = "") -> str:
    """The unit of x at the end of its axis, and that of y above its highest number."""
    drawn = text(frame.inner_right, frame.height - 3, x_unit, anchor="end")
    return drawn + (text(2, frame.top - 9, y_unit) if y_unit else "")


def line(
    frame: Frame, x: ArrayLike, y: ArrayLike, series: int, tip: str, steps: bool = False
) -> str:
    """A line through the points; with `steps` it stays level until the next one. `tip` is what
    resting on it shows."""
    px, py = frame.at_x(x), frame.at_y(y)
    if steps:
        d = _through(px[:1], py[:1]) + "".join(
            f"H{a:.1f}V{b:.1f}" for a, b in zip(px[1:], py[1:], strict=True)
        )
    else:
        d = _through(px, py)
    return (
        f'<path d="{d}" fill="none" stroke="{color(series)}" stroke-width="1.6"{_dash(series)}>'
        f"<title>{escaped(tip)}</title></path>"
    )


def rule(
    frame: Frame,
    x: Sequence[float],
    y: Sequence[float],
    stroke: str = "ink",
    width: float = 1.6,
    dash: str = "",
) -> str:
    """A line that stands for no series: a roof, a level, a threshold."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    d = _through(frame.at_x(x), frame.at_y(y))
    return (
        f'<path d="{d}" fill="none" stroke="{variable(stroke)}" stroke-width="{width:g}"{dashes}/>'
    )


def intervals(
    frame: Frame, x: ArrayLike, low: ArrayLike, high: ArrayLike, series: int, width: float = 1.2
) -> str:
    """Vertical lines from the lower to the upper ends of intervals."""
    ends = zip(frame.at_x(x), frame.at_y(low), frame.at_y(high), strict=True)
    d = "".join(f"M{a:.1f} {b:.1f}V{c:.1f}" for a, b, c in ends)
    return f'<path d="{d}" fill="none" stroke="{color(series)}" stroke-width="{width:g}"/>'


def band(frame: Frame, x: ArrayLike, low: ArrayLike, high: ArrayLike, series: int) -> str:
    """The area between two lines."""
    px, bottom, top = frame.at_x(x), frame.at_y(low), frame.at_y(high)
    d = _through(np.concatenate([px, px[::-1]]), np.concatenate([bottom, top[::-1]]))
    return f'<path d="{d}Z" fill="{color(series)}" fill-opacity=".22"/>'


def outline(frame: Frame, x: ArrayLike, y: ArrayLike, fill: str) -> str:
    """The area between a line and the x axis; `fill` is an attribute's value."""
    px, py = frame.at_x(x), frame.at_y(y)
    base = f"{frame.inner_bottom:g}"
    d = f"{_through(px, py)}L{px[-1]:.1f} {base} {px[0]:.1f} {base}Z"
    return f'<path d="{d}" fill="{fill}" stroke="{variable("surface")}" stroke-width=".8"/>'


def dots(frame: Frame, x: ArrayLike, y: ArrayLike, series: int, tips: Sequence[str]) -> str:
    """A dot for each point, with what resting on it shows."""
    points = zip(frame.at_x(x), frame.at_y(y), tips, strict=True)
    drawn = [
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.6"><title>{escaped(tip)}</title></circle>'
        for a, b, tip in points
    ]
    return f'<g fill="{color(series)}">{"".join(drawn)}</g>'


def legend(names: Sequence[str], width: float, left: float = 2) -> tuple[str, int]:
    """A sample of each series' line with its name, in lines that wrap at `width`; and how many
    lines that takes."""
    drawn, x, row = [], left, 0
    for series, name in enumerate(names):
        needs = 21 + 5.7 * len(name) + 9
        if x > left and x + needs > width:
            x, row = left, row + 1
        y = LEGEND * row + 9
        stroke = f'stroke="{color(series)}" stroke-width="2"{_dash(series)}'
        drawn.append(f'<path d="M{x:.1f} {y}h16" {stroke}/>')
        drawn.append(text(x + 20, y + 3.5, name))
        x += needs
    return "".join(drawn), row + 1


def fitting_ticks(frame: Frame, most: int = 5) -> list[float]:
    """Return round numbers for the x axis, fewer where their names would touch."""
    low, high = frame.x
    xs: list[float] = []
    for number in range(most, 0, -1):
        xs = ticks(low, high, number)
        widest = max((len(name) for name in _names(xs)), default=0)
        places = frame.at_x(xs[:2])
        if len(xs) < 2 or places[1] - places[0] > LETTER * widest + 8:
            break
    return xs


def limits(values: Sequence[float]) -> tuple[float, float]:
    """Edges for an axis that shows all `values`, with a little room; never of no width."""
    low, high = min(values), max(values)
    margin = max(0.05 * (high - low), 0.005 * abs(high), 1e-9)
    return low - margin, high + margin


def _names(numbers: Sequence[float]) -> list[str]:
    return [f"{number:,.10g}" for number in numbers]


def _dash(series: int) -> str:
    dash = DASHES[series % len(DASHES)]
    return f' stroke-dasharray="{dash}"' if dash else ""


def _shares(
    values: ArrayLike, limits: tuple[float, float], logarithmic: bool
) -> NDArray[np.float64]:
    """How far each value is on the way from one limit to the other, at most a width beyond them."""
    numbers, (low, high) = np.asarray(values, np.float64), limits
    if logarithmic:
        low, high = (math.log10(min(max(limit, LEAST), MOST)) for limit in limits)
        numbers = np.log10(np.clip(numbers, LEAST, MOST))
    shares = (numbers - low) / ((high - low) or 1.0)
    return np.clip(np.nan_to_num(shares), -1.0, 2.0)


def _through(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    return "M" + " ".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))
