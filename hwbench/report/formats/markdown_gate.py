"""The rows of a gate (GATE_COLUMNS) as Markdown for a comment on a pull request, which may be
64 KiB long."""

from typing import Any

import pandas as pd

from hwbench.analysis.verdict.gate import Outcome, summary
from hwbench.report.formats.markdown import cell, table_row
from hwbench.report.numbers import count
from hwbench.report.terminal.comparison import ESTIMATE, columns_of

LIMIT = 64_000
"""Bytes of UTF-8; GitHub takes 65,536 characters."""

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


def render(
    table: pd.DataFrame, outcome: Outcome, message: str = "", subject: str = "", limit: int = LIMIT
) -> str:
    """Return the text, in at most `limit` bytes: rows of the best statuses are left out first, and
    counted.

    `subject` names the runs (gate.subject); `message` says why there is no row at all.
    """
    rows = table.to_dict("records")  # worst first
    intro = "\n\n".join(filter(None, [cell(subject), summary(table) if rows else cell(message)]))
    head = f"### hwbench gate: {outcome}\n\n{intro}\n"
    if not rows:
        return head
    lines = [table_row(TITLES), table_row(["---", "---", *["---:"] * 5, "---"])]
    lines += [table_row([cell(word) for word in _cells(row)]) for row in rows]
    fitting, room = 2, limit - len(head.encode()) - len(ESTIMATE) - 200
    room -= sum(len(line.encode()) for line in lines[:2])
    while fitting < len(lines) and (room := room - len(lines[fitting].encode())) >= 0:
        fitting += 1
    left_out = len(lines) - fitting
    foot = (
        f"\n{count(left_out, 'row')} more left out: {summary(table[-left_out:])}\n"
        if left_out
        else ""
    )
    return head + "\n" + "".join(lines[:fitting]) + f"\n{ESTIMATE}\n" + foot


def _cells(row: dict[str, Any]) -> list[str]:
    word = f"{SIGNS.get(row['status'], '')} {row['status']}".strip()
    return [*columns_of(row), f"{word}: {row['reason']}" if row["reason"] else word]
