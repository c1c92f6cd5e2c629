"""The frame of a figure inside a page: named for screen readers, coloured by the page's own style.

Colours are CSS variables, so that light, dark and print all work without a script. They stand in
presentation attributes, each with the light theme's colour after the variable: a page whose styles
a server forbids still has figures that look right. Text stays text. Every id carries the figure's
prefix, so that no two figures of a page share one.
"""

from markupsafe import Markup, escape

from hwbench.printable import printable

COLORS = {
    "ink": "#171b21", "muted": "#59636f", "line": "#e1e5ea",
    "surface": "#ffffff", "rest": "#b9c1cb",
    "series-0": "#2f6fbe", "series-1": "#cf6a1d", "series-2": "#2a8a5c",
    "series-3": "#7d57c7", "series-4": "#bb3d7f", "series-5": "#6f7a24",
}  # fmt: skip
"""The colours of the light theme by the names of their variables; the same as in style.css."""

SERIES = 6
"""How many colours of series there are."""

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


def variable(name: str) -> str:
    """Return a colour for an attribute: the page's variable, and the light theme's colour for where
    the page's style is not in force."""
    return f"var(--{name}, {COLORS[name]})"


def color(series: int) -> str:
    """Return the colour of a series for an attribute."""
    return variable(f"series-{series % SERIES}")


def escaped(text: str) -> str:
    """Return a text for the inside of an element."""
    return str(escape(printable(text)))


def wrapped(
    content: str, size: tuple[float, float], prefix: str, title: str, description: str
) -> Markup:
    """Return shapes as an `<svg role="img">` element of (width, height) CSS pixels at most, with a
    title and a description."""
    title, description = printable(title), printable(description)
    width, height = (f"{side:g}" for side in size)
    prefix = str(escape(prefix))
    return Markup(
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'font-family="{_FONT}" '
        f'stroke-linejoin="round" aria-labelledby="{prefix}-title {prefix}-desc">'
        f'<title id="{prefix}-title">{escape(title)}</title>'
        f'<desc id="{prefix}-desc">{escape(description)}</desc>{content}</svg>'
    )
