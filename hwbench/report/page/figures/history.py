"""Many runs of a case: values with their intervals, levels, and a named line at each change."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup

from hwbench.report.charts.history import (
    KINDS,
    MOST_POINTS,
    Track,
    change_text,
    kind_of,
    percent,
    thinned,
)
from hwbench.report.charts.ticks import ticks
from hwbench.report.numbers import count, quantity, scale_of
from hwbench.report.page.figures import plot
from hwbench.report.page.figures.marks import CROSS, LETTER, MARKERS, SMALL, WIDE, points, text
from hwbench.report.page.figures.svg import color, variable, wrapped

HEIGHT, LEFT, RIGHT, BOTTOM, LINE_HEIGHT = 180, 56, 14, 38, 16
NUMBERS = ["value", "ci_low", "ci_high"]

FEW = 100
"""Up to so many runs the marks are large."""

MARKS = {
    "valid": (MARKERS[0], color(0), color(0)),
    "wide": (MARKERS[0], variable("surface"), color(0)),
    "suspect": (MARKERS[2], "none", color(0)),
    "invalid": (CROSS, "none", variable("muted")),
}
"""By validity the shape, its fill and its stroke."""


def timeline(track: Track, prefix: str, most: int = MOST_POINTS) -> Markup:
    """Draw at most `most` of the runs of a case."""
    shown = thinned(track, most)
    divisor, unit = scale_of(float(track.points.value.abs().max()), track.unit)
    numbers = {name: shown[name].astype("float64") / divisor for name in NUMBERS}
    scaled = shown.assign(**numbers)
    top = LINE_HEIGHT * (len(track.named) + 1) + 18
    x = (-0.5 - 0.01 * track.last, track.last + 0.5 + 0.01 * track.last)
    frame = plot.Frame(
        WIDE, top + HEIGHT + BOTTOM, LEFT, RIGHT, top, BOTTOM, x, limits(scaled[NUMBERS].to_numpy())
    )
    drawn = [_axes(frame, unit), _changes(frame, track), _intervals(frame, scaled)]
    drawn += [
        plot.rule(frame, [level.first, level.last], [level.value / divisor] * 2, "ink", 2)
        for level in track.levels
    ]
    drawn += _values(frame, scaled)
    for line, change in enumerate(track.named.itertuples(), start=1):
        drawn.append(_name(frame, change.position - 0.5, change_text(change), line))
    drawn.append(_legend([kind for kind in KINDS if kind in set(shown.validity.map(kind_of))]))
    size = (frame.width, frame.height)
    return wrapped("".join(drawn), size, prefix, track.heading, described(track))


def limits(values: np.ndarray) -> tuple[float, float]:
    """Return the ends of an axis that shows all values, with a little room."""
    known = values[np.isfinite(values)]
    low, high = float(known.min()), float(known.max())
    margin = max(0.08 * (high - low), 0.01 * max(abs(low), abs(high)), 1e-12)
    return low - margin, high + margin


def described(track: Track) -> str:
    """Return what the figure shows, for who cannot see it."""
    last = quantity(track.points.value.iloc[-1], track.unit)
    changes = "; ".join(
        f"{percent(row.ratio)} at run {row.run_id}, from {quantity(row.before, track.unit)} to "
        f"{quantity(row.after, track.unit)}"
        for row in track.changes.itertuples()
    )
    runs = count(len(track.points), "run")
    return f"{runs}, the last {last}. {changes or 'No change of level'}."


def _axes(frame: plot.Frame, unit: str) -> str:
    xs = [tick for tick in ticks(*frame.x, most=6) if tick == int(tick) and tick >= 0]
    ys = ticks(*frame.y, most=5)
    return "".join(
        [
            plot.grid(frame, (), ys),
            plot.x_numbers(frame, xs, [f"{tick + 1:,.0f}" for tick in xs]),
            plot.y_numbers(frame, ys, [f"{tick:,.10g}" for tick in ys]),
            plot.units(frame, "run, oldest first", unit),
        ]
    )


def _changes(frame: plot.Frame, track: Track) -> str:
    return "".join(
        plot.rule(frame, [position - 0.5] * 2, frame.y, "muted", 1.2, dash="4 2")
        for position in track.changes.position
    )


def _intervals(frame: plot.Frame, shown: pd.DataFrame) -> str:
    known = shown[np.isfinite(shown.ci_low) & np.isfinite(shown.ci_high)]
    if known.empty:
        return ""
    return plot.intervals(frame, known.position, known.ci_low, known.ci_high, 0, width=0.9)


def _values(frame: plot.Frame, shown: pd.DataFrame) -> list[str]:
    """The runs, those of one validity as one element."""
    drawn = []
    for kind, (shape, fill, stroke) in MARKS.items():
        own = shown[shown.validity.map(kind_of) == kind]
        places = zip(frame.at_x(own.position), frame.at_y(own.value), strict=True)
        is_small = len(shown) > FEW and shape == MARKERS[0]
        if len(own):
            drawn.append(points(places, SMALL if is_small else shape, fill, stroke))
    return drawn


def _name(frame: plot.Frame, x: float, words: str, line: int) -> str:
    """A label in a line of its own above the axes, as near to its change as the figure's edges let
    it."""
    half = LETTER * len(words) / 2
    middle = min(max(float(frame.at_x(x)), half + 2), WIDE - half - 2)
    return text(middle, LINE_HEIGHT * (line + 0.5) + 3.5, words, fill="ink", anchor="middle")


def _legend(kinds: Sequence[str]) -> str:
    drawn, x, y = [], float(LEFT), LINE_HEIGHT / 2
    for kind in kinds:
        words = "invalid, not counted" if kind == "invalid" else kind
        drawn += [points([(x, y)], *MARKS[kind]), text(x + 10, y + 3.5, words)]
        x += 10 + LETTER * len(words) + 18
    return "".join(drawn)
