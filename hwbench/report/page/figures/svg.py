"""A matplotlib figure as SVG for the inside of a page: named for screen readers, coloured by the
page's own style.

Figures are drawn in the stand-in colours below, which become CSS variables, so that light, dark and
print all work without a script. All of it is in presentation attributes, each colour with the light
theme's after the variable: a page whose styles a server forbids still has figures that look right.
Text stays text. Every id carries the figure's prefix, since matplotlib's ids repeat between
figures.
"""

import io
import re
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib.style
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hwbench.report.numbers import clean

INK, MUTED, LINE, SURFACE = "#00000a", "#00000b", "#00000c", "#00000d"
SERIES = tuple(f"#0000{number:x}0" for number in range(1, 7))
REST = "#00000e"
"""Stand-ins: no other figure may use these colours. The page's style sheet says what they are."""

LIGHT = {
    "ink": "#171b21", "muted": "#59636f", "line": "#e1e5ea", "surface": "#ffffff", "rest": "#b9c1cb",
    "series-0": "#2f6fbe", "series-1": "#cf6a1d", "series-2": "#2a8a5c",
    "series-3": "#7d57c7", "series-4": "#bb3d7f", "series-5": "#6f7a24",
}  # fmt: skip
"""What the variables are where the page's style is not in force; the same as in style.css."""

TIP = "tip:"
"""Begins a gid of an artist that is followed by what a pointer that rests on it is told."""

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"

_VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", SURFACE: "surface", REST: "rest"}
_VARIABLES |= {color: f"series-{number}" for number, color in enumerate(SERIES)}

HATCHES = ("", "//", "\\\\", "xx", "||", "--", "++")
"""So that series can be told apart without colour; seven, so that colour and hatch together repeat
late. Lines only: a dot is a curve of hundreds of characters."""

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "hwbench",
    "font.size": 11,
    "hatch.linewidth": 1.2,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
}
_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


@contextmanager
def house_style() -> Iterator[None]:
    """The style that figures are made and written in, whatever matplotlib is set to elsewhere."""
    with matplotlib.style.context(["default", _STYLE]), warnings.catch_warnings():
        # matplotlib's font only measures; the reader's draws
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        yield


def canvas(
    width: float, height: float, left: float, right: float, top: float, bottom: float
) -> tuple[Figure, Axes]:
    """A figure and its axes with fixed margins, in CSS pixels, without frame, background or tick
    marks."""
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    figure.patch.set_visible(False)
    box = (
        left / width,
        bottom / height,
        (width - left - right) / width,
        (height - top - bottom) / height,
    )
    axes = figure.add_axes(box)
    axes.patch.set_visible(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=10)
    axes.set_axisbelow(True)
    return figure, axes


def variable(name: str) -> str:
    """A colour of the page for an attribute: the variable, and after it what it is in the light
    theme."""
    return f"var(--{name}, {LIGHT[name]})"


def wrapped(
    content: str, size: tuple[float, float], prefix: str, title: str, description: str
) -> Markup:
    """Shapes as an `<svg role="img">` element of (width, height) CSS pixels at most, with a title
    and a description."""
    title, description = clean(title), clean(description)
    width, height = (f"{side:g}" for side in size)
    return Markup(
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" font-family="{_FONT}" '
        f'stroke-linejoin="round" aria-labelledby="{escape(prefix)}-title {escape(prefix)}-desc">'
        f'<title id="{escape(prefix)}-title">{escape(title)}</title>'
        f'<desc id="{escape(prefix)}-desc">{escape(description)}</desc>{content}</svg>'
    )


def inline_svg(figure: Figure, prefix: str, title: str, description: str) -> Markup:
    """The figure as `wrapped` shapes; same input, same text."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata=_METADATA)
    text = buffer.getvalue().decode()
    root = ElementTree.fromstring(text)
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', text))
    for element in root.iter():
        for child in [child for child in element if child.tag.endswith(("}metadata", "}style"))]:
            element.remove(child)  # the style is `*{…}` and would reach out into the whole page
        _tidy(element, prefix, used)
    width, height = (float(side) for side in root.attrib["viewBox"].split()[2:])
    content = "".join(ElementTree.tostring(child, encoding="unicode") for child in root)
    return wrapped(content, (width, height), prefix, title, description)


def _tidy(element: ElementTree.Element, prefix: str, used: set[str]) -> None:
    """Make one element fit for the inside of a page: plain names, ids of its own, the page's
    colours and font."""
    element.tag = element.tag.rpartition("}")[2]
    element.tail = None
    if element.tag not in ("text", "title"):
        element.text = None  # the indentation
    attributes = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
    attributes |= _presentation(attributes.pop("style", ""))
    element.attrib.clear()
    for name, value in attributes.items():
        if name == "id" and value.startswith(TIP):
            tip = ElementTree.Element("title")
            tip.text = value.removeprefix(TIP)
            element.insert(0, tip)
        elif not (name == "id" and value not in used) and not (
            name == "transform" and value.startswith("rotate(-0")
        ):
            element.set(name, _attribute(name, value, prefix))


def _presentation(style: str) -> dict[str, str]:
    """A style as presentation attributes, which no policy forbids. The font is the page's; its size
    and weight stay."""
    declared = dict(re.findall(r"([\w-]+): *([^;]+)", style))
    font = declared.pop("font", "")
    declared.pop("font-family", None)
    if size := re.search(r"([\d.]+)px", font):
        declared["font-size"] = f"{float(size[1]):g}"
    if weight := re.search(r"\b(bold|[1-9]00)\b", font):
        declared["font-weight"] = weight[1]
    return declared


def _attribute(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return f"{prefix}-{value}"
    if name == "href":
        return value.replace("#", f"#{prefix}-", 1)
    if name in ("d", "transform", "x", "y"):
        # a hundredth of a pixel will do
        return re.sub(r"(\.\d\d)\d+", r"\1", " ".join(value.split()))
    value = value.replace("url(#", f"url(#{prefix}-")
    return re.sub(r"#[0-9a-f]{6}\b", lambda color: _color(color[0]), value)


def _color(color: str) -> str:
    return variable(_VARIABLES[color]) if color in _VARIABLES else color
