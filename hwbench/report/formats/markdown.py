"""Texts and tables in Markdown."""

import re
from collections.abc import Iterable, Sequence

from hwbench.printable import one_line

LONGEST = 300
"""Characters of a cell."""

SPECIAL = re.compile(r"[\\`*_{}\[\]<>&|#@~$:!]")
APART = "&#8203;"
"""A space of no width. GitHub looks for @names and #numbers in what Markdown has made of the text,
where `&#64;` is an @ again (github/cmark-gfm issue 181); with this after it there is no name."""


def cell(text: str) -> str:
    """Return a text that Markdown, HTML and GitHub's mentions leave as it is, on one line and of
    bounded length."""
    words = one_line(text)
    words = words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
    return SPECIAL.sub(
        lambda match: f"&#{ord(match[0])};{APART if match[0] in '@#' else ''}", words
    )


def table_head(titles: Sequence[str]) -> str:
    """Return the first two lines of a table: its titles, and the line below them."""
    return table_row(titles) + table_row(["---"] * len(titles))


def table_row(cells: Iterable[str]) -> str:
    """Return a line of a table; each text is a `cell` already."""
    return f"| {' | '.join(cells)} |\n"
