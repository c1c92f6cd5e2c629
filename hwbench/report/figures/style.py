"""How exported figures look: sober, readable in print, told apart without colour."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib.style

INK, MUTED, GRID, REST = "#1f2933", "#52606d", "#d9dee3", "#b9c1cb"
SERIES = ("#2f6fbe", "#cf6a1d", "#2a8a5c", "#7d57c7", "#bb3d7f", "#6f7a24")
HATCHES = ("", "//", "\\\\", "xx", "||", "--", "++")
"""Seven, so that a colour and a hatch together repeat late."""

DASHES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P")
"""As many as there are colours; where a marker and its colour repeat, it becomes hollow."""

_STYLE = {
    "svg.fonttype": "none",  # text stays text
    "pdf.fonttype": 42,  # fonts that journals accept
    "svg.hashsalt": "hwbench",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "text.color": INK,
    "text.parse_math": False,  # names of cases are no formulas
    "xtick.color": MUTED,
    "ytick.color": MUTED,
}


@contextmanager
def publication_style() -> Iterator[None]:
    """Apply the style, whatever matplotlib is set to elsewhere."""
    with matplotlib.style.context(["default", _STYLE]), warnings.catch_warnings():
        # a sign that matplotlib's own font lacks becomes a box, which is no reason to stop
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        # labels of any length may leave no room for the automatic layout: the figure is drawn
        warnings.filterwarnings("ignore", "constrained_layout not applied", UserWarning)
        yield
