"""Tables of the terminal: no lines, words folded to the left, numbers on one line to the right."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from hwbench import printable


@dataclass(frozen=True)
class Column:
    """A column of words, or of numbers; `width` is the least that it takes."""

    title: str
    is_number: bool = False
    width: int | None = None


CASE = Column("case", width=18)


def words(*titles: str) -> list[Column]:
    """Return columns of words."""
    return [Column(title) for title in titles]


def numbers(*titles: str) -> list[Column]:
    """Return columns of numbers."""
    return [Column(title, is_number=True) for title in titles]


def table_of(
    columns: Sequence[Column], rows: Iterable[Sequence[str | Text]], title: str = ""
) -> Table:
    """Return the table for a terminal; a cell that is a text stays on one line, and nothing in it
    is taken for markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        head = one_line(column.title)
        if column.is_number:
            table.add_column(head, justify="right", no_wrap=True)
        else:
            table.add_column(head, overflow="fold", min_width=column.width)
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else one_line(cell) for cell in row))
    if title:
        table.title, table.title_justify = one_line(title, "bold"), "left"
    return table


def one_line(text: str, style: str = "") -> Text:
    """Return a text on one line: a log's reader, such as GitHub's, may take the start of a line for
    a command; and brackets in a name are no markup."""
    return Text(printable.one_line(text), style)
