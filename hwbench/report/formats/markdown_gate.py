"""The rows of a gate (GATE_COLUMNS) as Markdown for a comment on a pull request, which may be
64 KiB long."""

import re
from typing import Any

import pandas as pd

from hwbench.analysis.verdict.gate import Outcome, summary
from hwbench.report.numbers import clean, count
from hwbench.report.terminal.comparison import columns_of

LIMIT = 64_000
"""Bytes of UTF-8; GitHub takes 65,536 characters."""

LONGEST = 300
"""Characters of a cell."""

TITLES = (
    "case",
    "metric",
    "baseline",
    "candidate",
    "ratio",
    "95 % interval",
    "threshold",
    "status",
)
SIGNS = {
    "regression": "❌",
    "failed": "❌",
    "missing": "❌",
    "incomparable": "⚠️",
    "inconclusive": "⚠️",
    "new": "🆕",
}
SPECIAL = re.compile(r"[\\`*_{}\[\]<>&|#@~$:!]")
APART = "&#8203;"
"""A space of no width. GitHub looks for @names and #numbers in what Markdown has made of the text,
where `&#64;` is an @ again (github/cmark-gfm issue 181); with this after it there is no name."""


def render(
    table: pd.DataFrame, outcome: Outcome, message: str = "", subject: str = "", limit: int = LIMIT
) -> str:
    """Return the text, in at most `limit` bytes: rows of the best statuses are left out first, and
    counted.

    `subject` names the runs (gate.subject); `message` says why there is no row at all.
    """
    rows = table.to_dict("records")  # worst first
    told = "\n\n".join(filter(None, [cell(subject), summary(table) if rows else cell(message)]))
    head = f"### hwbench gate: {outcome}\n\n{told}\n"
    if not rows:
        return head
    lines = [_line(TITLES), _line(["---", "---", *["---:"] * 5, "---"])]
    lines += [_line([cell(word) for word in _cells(row)]) for row in rows]
    kept, room = 2, limit - len(head.encode()) - 200
    room -= sum(len(line.encode()) for line in lines[:2])
    while kept < len(lines) and (room := room - len(lines[kept].encode())) >= 0:
        kept += 1
    left_out = len(lines) - kept
    foot = (
        f"\n{count(left_out, 'row')} more left out: {summary(table[-left_out:])}\n"
        if left_out
        else ""
    )
    return head + "\n" + "".join(lines[:kept]) + foot


def cell(text: str) -> str:
    """Return a text that Markdown, HTML and GitHub's mentions leave as it is, on one line and of
    bounded length."""
    words = " ".join(clean(text).split())
    words = words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
    return SPECIAL.sub(
        lambda found: f"&#{ord(found[0])};{APART if found[0] in '@#' else ''}", words
    )


def _cells(row: dict[str, Any]) -> list[str]:
    word = f"{SIGNS.get(row['status'], '')} {row['status']}".strip()
    return [*columns_of(row), f"{word}: {row['reason']}" if row["reason"] else word]


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |\n"
