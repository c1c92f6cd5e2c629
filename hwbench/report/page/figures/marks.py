"""Single marks of a figure: texts, boxes with hatches, markers, and legends of them.

Hatches and markers let series be told apart without colour.
"""

from collections.abc import Iterable, Sequence

from hwbench.report.numbers import short
from hwbench.report.page.figures.svg import color, escaped, variable

WIDTH, WIDE = 330, 520

HATCHES = (
    "",
    "M-2 2L2-2M0 8L8 0M6 10L10 6",
    "M-2 6L2 10M0 0L8 8M6-2L10 2",
    "M-2 2L2-2M0 8L8 0M6 10L10 6M-2 6L2 10M0 0L8 8M6-2L10 2",
    "M2 0V8M6 0V8",
    "M0 2H8M0 6H8",
    "M4 0V8M0 4H8",
)
"""Lines in a tile of 8 × 8; seven, so that a colour and a hatch together repeat late."""

MARKERS = (
    "m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0z",
    "m-3.2-3.2h6.4v6.4h-6.4z",
    "m0-3.9l3.8 7.1h-7.6z",
    "m0-4.5l4.5 4.5l-4.5 4.5l-4.5-4.5z",
    "m0 3.9l-3.8-7.1h7.6z",
    "m-1.4-4h2.8v2.6h2.6v2.8h-2.6v2.6h-2.8v-2.6h-2.6v-2.8h2.6z",
)
"""Outlines around a point; as many as there are colours; where a marker and its colour repeat, it
becomes hollow."""

SMALL = "m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0z"
CROSS = "m-3-3l6 6m-6 0l6-6"

LINE_OF_LEGEND = 20
LETTER = 5.8
"""How wide a letter of 10 pixels is, about."""


def text(
    x: float,
    y: float,
    words: str,
    size: float = 10,
    fill: str = "muted",
    anchor: str = "",
    bold: bool = False,
    halo: bool = False,
) -> str:
    """A text whose baseline begins at (x, y), or ends or has its middle there by `anchor`. A halo
    keeps it apart from what is behind it."""
    more = f' text-anchor="{anchor}"' if anchor else ""
    more += ' font-weight="700"' if bold else ""
    if halo:
        more += f' stroke="{variable("surface")}" stroke-width="3" paint-order="stroke"'
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{variable(fill)}"{more}>'
        f"{escaped(words)}</text>"
    )


def patterns(prefix: str, series: Iterable[int]) -> str:
    """The definitions of the fills of these series; `prefix` is the figure's."""
    drawn = [_pattern(prefix, number) for number in series if HATCHES[number % len(HATCHES)]]
    return f"<defs>{''.join(drawn)}</defs>" if drawn else ""


def fill_of(prefix: str, series: int) -> str:
    """The fill of a series for an attribute: its colour with its hatch."""
    if HATCHES[series % len(HATCHES)]:
        return f"url(#{escaped(prefix)}-hatch-{series})"
    return color(series)


def box(x: float, y: float, width: float, height: float, fill: str, tip: str = "") -> str:
    """A rectangle; `fill` is an attribute's value, `tip` what resting on it shows."""
    shape = f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}"'
    paint = f'fill="{fill}" stroke="{variable("surface")}"'
    return f"{shape} {paint}>{_title(tip)}</rect>" if tip else f"{shape} {paint}/>"


def marker(x: float, y: float, series: int, tip: str = "") -> str:
    """The point of a series: hollow where the colour and the marker repeat."""
    is_hollow = series // len(MARKERS) % 2 == 1
    fill = variable("surface") if is_hollow else color(series)
    return points([(x, y)], MARKERS[series % len(MARKERS)], fill, color(series), 1.6, tip)


def points(
    places: Iterable[tuple[float, float]],
    shape: str,
    fill: str,
    stroke: str,
    width: float = 1.2,
    tip: str = "",
) -> str:
    """An outline around each place, as one element; `fill` and `stroke` are attributes' values."""
    d = "".join(f"M{x:.1f} {y:.1f}{shape}" for x, y in places)
    drawn = f'<path d="{d}" fill="{fill}" stroke="{stroke}" stroke-width="{width:g}"'
    return f"{drawn}>{_title(tip)}</path>" if tip else f"{drawn}/>"


def legend_places(names: Sequence[str], width: float = WIDE) -> tuple[list[tuple[float, int]], int]:
    """Return where the mark of each name goes in a legend that wraps, as (x, y) of its middle, and
    how high the legend is."""
    places, x, line = [], 12.0, 0
    for name in names:
        needs = 18 + 6.6 * len(short(name, 24)) + 16
        if x > 12 and x + needs > width:
            x, line = 12.0, line + 1
        places.append((x + 6, LINE_OF_LEGEND * line + 9))
        x += needs
    return places, LINE_OF_LEGEND * (line + 1)


def legend_text(x: float, y: float, name: str) -> str:
    """A name beside its mark, whose middle is (x, y)."""
    return text(x + 12, y + 3.5, short(name, 24))


def swatch(x: float, y: float, fill: str) -> str:
    """A sample of a fill in a legend, with its middle at (x, y)."""
    return box(x - 6, y - 6, 12, 12, fill)


def _pattern(prefix: str, series: int) -> str:
    lines = HATCHES[series % len(HATCHES)]
    return (
        f'<pattern id="{escaped(prefix)}-hatch-{series}" width="8" height="8" '
        f'patternUnits="userSpaceOnUse"><rect width="8" height="8" fill="{color(series)}"/>'
        f'<path d="{lines}" stroke="{variable("surface")}" stroke-width="1.2"/></pattern>'
    )


def _title(tip: str) -> str:
    return f"<title>{escaped(tip)}</title>"
