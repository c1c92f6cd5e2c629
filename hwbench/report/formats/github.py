"""The rows of a gate (GATE_COLUMNS) as workflow commands, with which GitHub Actions annotates a
run.

Escaping as in the toolkit's `command.ts`: `%`, CR and LF in a message; also `:` and `,` in a
property.
"""

import pandas as pd

from hwbench.analysis.verdict.gate import FAILING, UNDECIDED, Outcome
from hwbench.printable import printable
from hwbench.report.numbers import count
from hwbench.report.terminal.comparison import figures

MOST = 9
"""GitHub shows ten annotations of a kind for each step; the tenth counts the rest."""


def annotations(table: pd.DataFrame, outcome: Outcome, message: str = "") -> list[str]:
    """Return lines for the log: errors for rows that fail, warnings for those without a verdict.
    `message` says why there is no row at all."""
    lines = [] if len(table) else [_command("warning", f"hwbench gate: {outcome}", message)]
    for kind, statuses in (("error", FAILING), ("warning", UNDECIDED)):
        rows = table[table.status.isin(statuses)].to_dict("records")
        for row in rows[:MOST]:
            words = ": ".join(filter(None, [row["status"], row["reason"]]))
            lines.append(
                _command(kind, f"{row['label']} {row['metric']}", f"{words} ({figures(row)})")
            )
        if len(rows) > MOST:
            lines.append(
                _command(
                    kind, "hwbench gate", f"{count(len(rows) - MOST, 'more row')}: see the summary"
                )
            )
    return lines


def _command(kind: str, title: str, message: str) -> str:
    name = _data(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={name}::{_data(message)}"


def _data(text: str) -> str:
    return printable(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))
