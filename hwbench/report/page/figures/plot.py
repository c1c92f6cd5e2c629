"""Lines over two linear axes, written as SVG by hand: a page has two such figures a case, and
matplotlib takes thirty times as long. Sizes are CSS pixels; colours and attributes as in `svg`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import escape
from numpy.typing import ArrayLike, NDArray

from hwbench.report.numbers import clean
from hwbench.report.page.figures.svg import SERIES, variable

DASHES = ("", "6 3", "2 2.5", "8 3 2 3")
"""With as many as six colours, a dash and a colour together repeat after twelve lines."""

LEGEND = 15
"""Height of a line of the legend."""


@dataclass(frozen=True)
class Frame:
    """The rectangle that axes span inside a figure of width × height, and the values at its
    edges."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    x: tuple[float, float]
    y: tuple[float, float]

    def at_x(self, values: ArrayLike) -> NDArray[np.float64]:
        low, high = self.x
        return self.left + (np.asarray(values, np.float64) - low) / (high - low) * (
            self.width - self.left - self.right
        )

    def at_y(self, values: ArrayLike) -> NDArray[np.float64]:
        low, high = self.y
        room = self.height - self.top - self.bottom
        return (
            self.height - self.bottom - (np.asarray(values, np.float64) - low) / (high - low) * room
        )


def axes(frame: Frame, x_unit: str, y_unit: str) -> str:
    """The grid with its numbers; the unit of y stands at its highest number, that of x at the end
    of the axis."""
    left, right = frame.left, frame.width - frame.right
    top, bottom = frame.top, frame.height - frame.bottom
    xs, ys = ticks(*frame.x), ticks(*frame.y)
    lines = [f"M{x:.1f} {top:g}V{bottom:g}" for x in frame.at_x(xs)] + [
        f"M{left:g} {y:.1f}H{right:g}" for y in frame.at_y(ys)
    ]
    drawn = [
        f'<path d="{"".join(lines)}" stroke="{variable("line")}" stroke-width=".8" fill="none"/>'
    ]
    drawn.append(f'<g font-size="10" fill="{variable("muted")}" text-anchor="middle">')
    drawn += [
        f'<text x="{x:.1f}" y="{bottom + 13:g}">{tick:,.10g}</text>'
        for x, tick in zip(frame.at_x(xs), xs, strict=True)
    ]
    drawn.append(f'</g><g font-size="10" fill="{variable("muted")}" text-anchor="end">')
    drawn += [
        f'<text x="{left - 5:g}" y="{y + 3.5:.1f}">{tick:,.10g}</text>'
        for y, tick in zip(frame.at_y(ys), ys, strict=True)
    ]
    drawn.append(f'<text x="{right:g}" y="{frame.height - 3:g}">{escape(x_unit)}</text>')
    drawn.append(
        f'</g><text font-size="10" fill="{variable("muted")}" x="2" y="{top - 9:g}">{escape(y_unit)}</text>'
    )
    return "".join(drawn)


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
    dash = f' stroke-dasharray="{DASHES[series % len(DASHES)]}"' if series % len(DASHES) else ""
    return f'<path d="{d}" fill="none" stroke="{color(series)}" stroke-width="1.6"{dash}><title>{told(tip)}</title></path>'


def band(frame: Frame, x: ArrayLike, low: ArrayLike, high: ArrayLike, series: int) -> str:
    """The area between two lines."""
    px, bottom, top = frame.at_x(x), frame.at_y(low), frame.at_y(high)
    d = _through(np.concatenate([px, px[::-1]]), np.concatenate([bottom, top[::-1]]))
    return f'<path d="{d}Z" fill="{color(series)}" fill-opacity=".22"/>'


def dots(frame: Frame, x: ArrayLike, y: ArrayLike, series: int, tips: Sequence[str]) -> str:
    """A dot for each point, with what resting on it shows."""
    points = zip(frame.at_x(x), frame.at_y(y), tips, strict=True)
    drawn = [
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.6"><title>{told(tip)}</title></circle>'
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
        dash = f' stroke-dasharray="{DASHES[series % len(DASHES)]}"' if series % len(DASHES) else ""
        drawn.append(f'<path d="M{x:.1f} {y}h16" stroke="{color(series)}" stroke-width="2"{dash}/>')
        drawn.append(
            f'<text x="{x + 20:.1f}" y="{y + 3.5}" font-size="10" fill="{variable("muted")}">{told(name)}</text>'
        )
        x += needs
    return "".join(drawn), row + 1


def ticks(low: float, high: float, most: int = 4) -> list[float]:
    """At most `most` round numbers between two limits: 1, 2 or 5 times a power of ten apart."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    found = [
        round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)
    ]
    return [tick + 0.0 for tick in found]


def limits(values: Sequence[float]) -> tuple[float, float]:
    """Edges for an axis that shows all `values`, with a little room; never of no width."""
    low, high = min(values), max(values)
    margin = max(0.05 * (high - low), 0.005 * abs(high), 1e-9)
    return low - margin, high + margin


def color(series: int) -> str:
    return variable(f"series-{series % len(SERIES)}")


def told(text: str) -> str:
    return str(escape(clean(text)))


def _through(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    return "M" + " ".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))
