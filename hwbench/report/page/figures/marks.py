"""What the figures share: bars with their hatches, a legend that wraps, names cut to length. Sizes
are CSS pixels."""

from collections.abc import Mapping, Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from hwbench.report.numbers import clean
from hwbench.report.page.figures.svg import MUTED, SERIES, SURFACE, TIP

WIDTH, WIDE = 330, 520
MARKERS = ("o", "s", "^", "D", "v", "P")
"""As many as there are colours; where a marker and its colour repeat, `fill` changes."""

LINE_OF_LEGEND = 20


def color(series: int) -> str:
    return SERIES[series % len(SERIES)]


def tipped(artist: Artist, text: str) -> Artist:
    """The artist, which tells `text` to a pointer that rests on it."""
    artist.set_gid(TIP + clean(text))
    return artist


def patch(x: float, y: float, width: float, height: float, fill: str, hatch: str) -> Rectangle:
    return Rectangle(
        (x, y), width, height, facecolor=fill, edgecolor=SURFACE, linewidth=1, hatch=hatch
    )


def mark(axes: Axes | Figure, x: float, y: float, series: int, tip: str = "") -> None:
    """A point: with the same colour and marker a second time round it is hollow."""
    hollow = series // len(MARKERS) % 2 == 1
    point = Line2D(
        [x], [y], marker=MARKERS[series % len(MARKERS)], color=color(series), markersize=7, linestyle="", clip_on=False,
        markerfacecolor=SURFACE if hollow else color(series), markeredgewidth=1.6,
    )  # fmt: skip
    axes.add_artist(tipped(point, tip) if tip else point)


def legend(names: Sequence[str]) -> tuple[Mapping[str, tuple[float, int]], int]:
    """Where each name goes in a legend that wraps, as (x, line), and how many lines that takes."""
    places, x, line = {}, 12.0, 0
    for name in names:
        width = 18 + 6.6 * len(short(name, 24)) + 16
        if x > 12 and x + width > WIDE:
            x, line = 12.0, line + 1
        places[name] = (x, line)
        x += width
    return places, line + 1


def legend_text(figure: Figure, name: str, x: float, y: float) -> None:
    """A name in the legend, `y` as a share of the figure's height."""
    figure.text(
        (x + 18) / WIDE, y, short(name, 24), va="center", fontsize=10, color=MUTED, parse_math=False
    )


def short(text: str, most: int = 72) -> str:
    text = " ".join(clean(text).split())
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
