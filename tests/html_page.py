"""Pages of ours as tests read them: `Page` is quick and strict about tags, `SoundPage` also asks
the HTML standard's own parser, and that no id stands twice and nothing comes from the network."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any
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


FETCHING = {"iframe", "object", "embed", "base", "form", "link", "frame", "img", "audio"}
"""Elements that load something or send something."""

CALLS = (
    r"fetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|importScripts|\bimport\s*\("
    r"|localStorage|eval\(|alert\("
)
"""What a script calls to reach the network or to keep something, and what only one of somebody
else's would."""

VOID = {"meta", "link", "br", "hr", "img", "input"}
"""Elements of HTML that have no end tag."""


class Page(HTMLParser):
    """A page or a part of one, in which every tag must be closed in order: `tags` counts elements,
    `attributes` has all of them, `rows` the texts of the cells of all tables, row by row, and
    `drawings` the sources of the figures. AssertionError for a tag that is not closed."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.rows: list[list[str]] = []
        self.sections: list[str] = []
        self.headings: list[int] = []
        self.drawings: list[str] = re.findall(r"<svg.*?</svg>", source, re.DOTALL)
        self._open: list[str] = []
        self._words: list[str] = []
        self._data: list[str] = []
        self._is_data = False
        self.feed(source)
        self.close()
        assert self._open == []

    @property
    def text(self) -> str:
        """What a reader sees, but for what is folded away in titles, with single spaces."""
        return " ".join(" ".join(self._words).split())

    @property
    def data(self) -> Any:
        """The data that the page holds as JSON."""
        return json.loads("".join(self._data))

    @property
    def navigation(self) -> list[str]:
        """The ids that the page links to, but for the one that skips the navigation."""
        return [address[1:] for address in self.values("href") if address != "#main"]

    def values(self, name: str) -> list[str]:
        """The attribute `name`, with any prefix, of all elements."""
        return [value for key, value in self.attributes if key.rpartition(":")[2] == name]

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        self._is_data = ("id", "hwbench-data") in attrs
        if tag == "section":
            self.sections.append(dict(attrs)["id"])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside == "script" and self._is_data:
            self._data.append(data)
        if inside not in ("style", "title", "script"):
            self._words.append(data)
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data.strip()


class SoundPage(Page):
    """A whole page in which the HTML standard's own parser finds no fault, no id stands twice,
    every reference has its target, and nothing is fetched. AssertionError, or html5lib's
    ParseError."""

    def __init__(self, source: str) -> None:
        source.encode()  # UnicodeEncodeError for half a surrogate
        found = FORBIDDEN.search(source)
        assert not found, f"{found!r} in {source[max(0, found.start() - 80) : found.end()]!r}"
        super().__init__(source)
        tree = html5lib.HTMLParser(tree=html5lib.getTreeBuilder("etree"), strict=True).parse(source)
        self.elements: list[Element] = [
            element for element in tree.iter() if isinstance(element.tag, str)
        ]
        self.assert_references()
        self._assert_nothing_fetched()

    def assert_references(self) -> None:
        """AssertionError unless ids are unique and every reference has its target."""
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

    def _assert_nothing_fetched(self) -> None:
        fetched = [value for name in LOADS for value in self.values(name)]
        assert all(re.match(r"#|data:", value) for value in fetched), fetched
        assert not self.tags.keys() & FETCHING
        assert not [key for key, _ in self.attributes if key.startswith("on")]
        styles = [e.text or "" for e in self.elements if e.tag == HTML + "style"]
        loading = r"@import|url\((?![\"']?(#|data:))"
        assert not [text for text in styles + self.values("style") if re.search(loading, text)]
        scripts = [e.text or "" for e in self.elements if e.tag == HTML + "script" and _runs(e)]
        assert not [text for text in scripts if re.search(CALLS, text)]


def _runs(script: Element) -> bool:
    """Whether a browser takes the script for one, and not for data that it leaves alone."""
    return script.get("type", "text/javascript") in ("text/javascript", "module", "")
