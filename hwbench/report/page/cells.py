"""The cells, tables and figures of the page. What is unknown is a dash."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from hwbench.report.numbers import quantity
from hwbench.report.view import CaseView

TONES = {
    "ok": "good",
    "valid": "good",
    "wide": "note",
    "unsupported": "warn",
    "missing": "warn",
    "suspect": "warn",
    "invalid": "bad",
}
"""The tone of an outcome or a validity; those not named here are failures."""


@dataclass(frozen=True)
class Cell:
    """`sub` is a second, quieter line; `head` makes it the row's heading, which spans `rows`
    rows."""

    text: str
    sub: str = ""
    tone: str = ""
    head: bool = False
    rows: int = 1


@dataclass(frozen=True)
class Table:
    """`align` has a letter a column: l for words, r for numbers. Later rows under a spanning head
    start after it."""

    caption: str
    align: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]] = field(repr=False)


@dataclass(frozen=True)
class Panel:
    """A figure; `data` is what it shows, for who cannot see it or wants the numbers."""

    title: str
    svg: Markup
    data: Table | None = None


def tone(word: str) -> str:
    """Return good, note, warn, bad or quiet, for an outcome or a validity."""
    return TONES.get(word, "quiet" if word.startswith("not ") else "bad")


def figure_cell(case: CaseView, metric: str, unit: str) -> Cell:
    """Return a case's value of a metric, struck out where it is invalid."""
    value = quantity(case.get(metric), unit, 3 if unit == "1" else 4)
    return Cell(value, tone="void" if case.validity == "invalid" else "")
