"""Many runs of a case: values with their intervals, levels, and a named line at each change."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hwbench.report.charts.history import Track, change_text, kind_of
from hwbench.report.figures.style import INK, MUTED, SERIES
from hwbench.report.numbers import scale_of, short

MARKS = {
    "valid": ("o", SERIES[0], SERIES[0]),
    "wide": ("o", "white", SERIES[0]),
    "suspect": ("^", "none", SERIES[0]),
    "invalid": ("x", MUTED, MUTED),
}
"""By validity the marker, its fill and its edge."""

FEW = 100
"""Up to so many runs the marks are large."""


def history(track: Track) -> Figure:
    """Draw the runs of a case, oldest first."""
    divisor, unit = scale_of(float(track.points.value.abs().max()), track.unit)
    figure = Figure(figsize=(6.3, 3.1), layout="constrained")
    axes = figure.add_subplot()
    _values(axes, track, divisor)
    for number, level in enumerate(track.levels):
        label = None if number else "level"
        ends = [level.first + 1, level.last + 1]
        axes.plot(ends, [level.value / divisor] * 2, color=INK, linewidth=1.8, label=label)
    for change in track.changes.itertuples():
        axes.axvline(change.position + 0.5, color=MUTED, linewidth=1, linestyle="--", zorder=1)
    for number, change in enumerate(track.named.itertuples()):
        is_right = 2 * change.position > track.last
        axes.annotate(
            change_text(change, 48),
            (change.position + 0.5, 1),
            (-4 if is_right else 4, -9 - 10 * number),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="right" if is_right else "left",
            fontsize=7,
        )
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.yaxis.set_major_formatter(lambda tick, position: f"{tick:,.10g}")
    axes.set(xlabel="run, oldest first", ylabel=unit, xlim=(0.4, track.last + 1.6))
    axes.set_title(short(track.heading))
    figure.legend(loc="outside lower left", ncols=5)
    return figure


def _values(axes: Axes, track: Track, divisor: float) -> None:
    points = track.points
    known = points[np.isfinite(points.ci_low) & np.isfinite(points.ci_high)]
    low, high = known.ci_low / divisor, known.ci_high / divisor
    axes.vlines(known.position + 1, low, high, color=SERIES[0], linewidth=0.8)
    for kind, (marker, fill, edge) in MARKS.items():
        own = points[points.validity.map(kind_of) == kind]
        if len(own):
            axes.plot(
                own.position + 1,
                own.value / divisor,
                marker,
                markersize=4.5 if len(points) <= FEW else 2.5,
                markerfacecolor=fill,
                markeredgecolor=edge,
                label="invalid, not counted" if kind == "invalid" else kind,
            )
