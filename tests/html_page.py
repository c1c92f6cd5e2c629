"""A page of ours held against what it promises wherever it goes: sound HTML, no ids twice, and
nothing of the data or of the network in it but text."""

import re
from collections import Counter
from xml.etree.ElementTree import Element

import html5lib

HTML = "{http://www.w3.org/1999/xhtml}"
LOADS = ("src", "srcset", "href", "data", "action", "formaction", "poster", "background", "ping")
"""Attributes by which a page fetches, or leads elsewhere."""

REFERENCES = ("aria-labelledby", "aria-describedby", "aria-controls", "headers", "for", "list")
"""Attributes that name ids, of which there may be several."""

PAINTS = (
    "style",
    "fill",
    "stroke",
    "clip-path",
    "mask",
    "filter",
    "marker-start",
    "marker-mid",
    "marker-end",
)
"""Attributes that point at an element by `url(#id)`."""

FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
"""What a page in UTF-8 must not hold: control characters but tab and line ends, and what is no
character."""


class SoundPage:
    """`source` as the HTML standard's own parser reads it, which finds no fault in it: `elements`
    of the whole page and its `text`, without that of scripts and styles. AssertionError, or
    html5lib's ParseError, for a fault."""

    def __init__(self, source: str) -> None:
        source.encode()  # UnicodeEncodeError for half a surrogate
        found = FORBIDDEN.search(source)
        assert not found, f"{found!r} in {source[max(0, found.start() - 80) : found.end()]!r}"
        tree = html5lib.HTMLParser(tree=html5lib.getTreeBuilder("etree"), strict=True).parse(source)
        self.elements: list[Element] = [
            element for element in tree.iter() if isinstance(element.tag, str)
        ]
        self.text = " ".join("".join(_texts(tree)).split())
        self._assert_ids()
        self._assert_nothing_fetched(source)

    @property
    def tags(self) -> Counter[str]:
        return Counter(_plain(element.tag) for element in self.elements)

    def values(self, name: str) -> list[str]:
        """The attribute `name`, with any prefix, of all elements."""
        return [
            value for e in self.elements for key, value in e.attrib.items() if _plain(key) == name
        ]

    def _assert_ids(self) -> None:
        ids = Counter(self.values("id"))
        assert [name for name, times in ids.items() if times > 1] == []
        assert not [name for name in ids if not name or re.search(r"\s", name)]
        named = {
            name
            for attribute in REFERENCES
            for value in self.values(attribute)
            for name in value.split()
        }
        addresses = [value for value in self.values("href") if value.startswith("#")]
        painted = [value for name in PAINTS for value in self.values(name)]
        used = {name for value in painted for name in re.findall(r"url\([\"']?#([^\"')]+)", value)}
        assert named | used | {address[1:] for address in addresses} <= set(ids)

    def _assert_nothing_fetched(self, source: str) -> None:
        fetched = [value for name in LOADS for value in self.values(name)]
        assert all(re.match(r"#|data:", value) for value in fetched), fetched
        assert not self.tags.keys() & {
            "iframe",
            "object",
            "embed",
            "base",
            "form",
            "link",
            "frame",
            "img",
            "audio",
        }
        assert not [key for e in self.elements for key in e.attrib if _plain(key).startswith("on")]
        styles = [e.text or "" for e in self.elements if _plain(e.tag) == "style"] + self.values(
            "style"
        )
        assert not [
            text
            for text in styles
            if "@import" in text or re.search(r"url\((?![\"']?(#|data:))", text)
        ]
        scripts = [e.text or "" for e in self.elements if e.tag == HTML + "script" and _runs(e)]
        calls = r"fetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|importScripts|\bimport\s*\(|localStorage|eval\("
        assert not [text for text in scripts if re.search(calls, text)]


def _runs(script: Element) -> bool:
    """Whether a browser takes the script for one, and not for data that it leaves alone."""
    return script.get("type", "text/javascript") in ("text/javascript", "module", "")


def _texts(element: Element) -> list[str]:
    if not isinstance(element.tag, str):  # a comment
        return [element.tail or ""]
    own = (
        []
        if _plain(element.tag) in ("script", "style")
        else [element.text or "", *_of_children(element)]
    )
    return [*own, " " if _plain(element.tag) != "span" else "", element.tail or ""]


def _of_children(element: Element) -> list[str]:
    return [text for child in element for text in _texts(child)]


def _plain(name: str) -> str:
    """A tag or an attribute without its namespace or prefix."""
    return name.rpartition("}")[2].rpartition(":")[2]
