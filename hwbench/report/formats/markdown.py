"""Texts and tables in Markdown."""

import re
from collections.abc import Iterable, Sequence

from hwbench.printable import one_line

LONGEST = 300
"""Characters of a cell."""

APART = "&#8203;"
"""A space of no width. GitHub looks for names, numbers and addresses in what Markdown has made of
the text, where `&#64;` is an @ again (github/cmark-gfm issue 181); with this in them they are
none."""

_ALONE, _ENDED = r"(?<![^\W_])", r"(?![^\W_])"
"""No letter and no digit before, or after."""

_COMMIT = rf"(?:[\w.-]*{_ALONE})?{_ALONE}[0-9a-fA-F]{{7,40}}{_ENDED}(?:[\w.-]*\w)?"
"""A word with what may be a commit's id in it: GitHub links any that the repository has."""

_MEANT = re.compile(
    rf"(?P<code>{_COMMIT})"
    rf"|(?P<apart>(?i:www(?=\.)|{_ALONE}(?:GH|GHSA|CVE)(?=-\w)))"  # addresses, issues, advisories
    r"|(?P<mark>[@#]|:(?=//|\w*[A-Za-z][\w+-]*:|[+-]1:|100:|1234:))"  # people; https:, :emoji:
    r"|(?P<special>[\\`*_{}\[\]<>&|~$:!]|^[-+=]|(?<=^\d)[.)](?=\s))"
)
"""What Markdown, or GitHub after it, would take for more than a text."""


def cell(text: str) -> str:
    """Return a text that Markdown, HTML and GitHub's links leave as it is, on one line and of
    bounded length. A word that may be a commit becomes code, in which GitHub links nothing."""
    words = one_line(text)
    words = words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
    return _MEANT.sub(_disarmed, words)


def _disarmed(found: re.Match[str]) -> str:
    word = found[0]
    if found["code"]:
        return f"`{word}`"
    if found["apart"]:
        return f"{word}{APART}"
    return f"&#{ord(word)};{APART if found['mark'] else ''}"


def table_head(titles: Sequence[str]) -> str:
    """Return the first two lines of a table: its titles, and the line below them."""
    return table_row(titles) + table_row(["---"] * len(titles))


def table_row(cells: Iterable[str]) -> str:
    """Return a line of a table; each text is a `cell` already."""
    return f"| {' | '.join(cells)} |\n"
