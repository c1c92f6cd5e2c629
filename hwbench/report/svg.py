"""A matplotlib figure as SVG for the inside of a page: named for screen readers, coloured by the page's own style.

Figures are drawn in the stand-in colours below, which become CSS variables, so that light, dark and print all work
without a script. Text stays text. Every id carries the figure's prefix, since matplotlib's ids repeat between figures.
"""

import io
import re
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib.style
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, LINE, SURFACE = "#00000a", "#00000b", "#00000c", "#00000d"
SERIES = tuple(f"#0000{number:x}0" for number in range(1, 7))
REST = "#00000e"
"""Stand-ins: no other figure may use these colours. The page's style sheet says what they are."""

_VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", SURFACE: "surface", REST: "rest"}
_VARIABLES |= {color: f"series-{number}" for number, color in enumerate(SERIES)}

HATCHES = ("", "//", "\\\\", "xx", "||", "--", "++")
"""So that series can be told apart without colour; seven, so that colour and hatch together repeat late. Lines only:
a dot is a curve of hundreds of characters."""

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
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # matplotlib's font only measures; the reader's draws
        yield


def canvas(width: float, height: float, left: float, right: float, top: float, bottom: float) -> tuple[Figure, Axes]:
    """A figure and its axes with fixed margins, in CSS pixels, without frame, background or tick marks."""
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    figure.patch.set_visible(False)
    box = (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    axes = figure.add_axes(box)
    axes.patch.set_visible(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=10)
    axes.set_axisbelow(True)
    return figure, axes


def inline_svg(figure: Figure, prefix: str, title: str, description: str) -> Markup:
    """The figure as an `<svg role="img">` element with a title and a description; same input, same text."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata=_METADATA)
    text = buffer.getvalue().decode()
    root = ElementTree.fromstring(text)
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', text))
    for element in root.iter():
        for child in [child for child in element if child.tag.endswith(("}metadata", "}style"))]:
            element.remove(child)  # the style is `*{…}` and would reach out into the whole page
        _tidy(element, prefix, used)
    _name(root, prefix, title, description)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _tidy(element: ElementTree.Element, prefix: str, used: set[str]) -> None:
    """Make one element fit for the inside of a page: plain names, ids of its own, the page's colours and font."""
    element.tag = element.tag.rpartition("}")[2]
    element.tail = None
    if element.tag != "text":
        element.text = None  # the indentation
    attributes = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
    element.attrib.clear()
    for name, value in attributes.items():
        if name == "id" and value not in used:
            continue
        if name == "transform" and value.startswith("rotate(-0"):
            continue
        element.set(name, _attribute(name, value, prefix))


def _attribute(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return f"{prefix}-{value}"
    if name == "href":
        return value.replace("#", f"#{prefix}-", 1)
    if name in ("d", "transform", "x", "y"):
        return re.sub(r"(\.\d\d)\d+", r"\1", " ".join(value.split()))  # a hundredth of a pixel will do
    value = re.sub(r"font-family: [^;]*;? ?", "", value.replace("url(#", f"url(#{prefix}-"))
    return re.sub(r"#[0-9a-f]{6}\b", lambda color: _color(color[0]), value)


def _color(color: str) -> str:
    return f"var(--{_VARIABLES[color]})" if color in _VARIABLES else color


def _name(root: ElementTree.Element, prefix: str, title: str, description: str) -> None:
    width, height = root.attrib["viewBox"].split()[2:]
    root.attrib.clear()
    root.attrib.update({"viewBox": f"0 0 {width} {height}", "role": "img", "style": f"max-width:{width}px"})
    root.set("aria-labelledby", f"{prefix}-title {prefix}-desc")
    for name, text in (("desc", description), ("title", title)):
        element = ElementTree.Element(name, {"id": f"{prefix}-{name}"})
        element.text = text
        root.insert(0, element)
