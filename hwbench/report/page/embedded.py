"""The data behind the figures and tables of the page, as JSON inside the page."""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from hwbench.report.numbers import plain
from hwbench.report.view import RunView

MOST_BYTES = 500_000
"""The most bytes of the rows of all tables together, since pages are mailed. Rows that are left out
are counted."""

OMITTED = {"run_id", "workload", "device_kind", "params"}
"""Columns that repeat what the run or its plan says."""

_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&#\x7f"}
"""What HTML or `printable` would take for something else."""


def data(runs: Sequence[RunView], most_bytes: int = MOST_BYTES) -> Markup:
    """Return {"runs": […]}: of each run its row in the table `runs`, with the environment; and
    `metrics` and `measurements` (without samples) as {"columns": […], "rows": [[…]…], "left_out":
    rows left out}. Null where unknown. Nothing in it ends a script element."""
    room = most_bytes // (2 * len(runs))
    rows = []
    for run in runs:
        row = {name: plain(value) for name, value in run.tables.runs.iloc[0].to_dict().items()}
        tables = run.tables
        row |= {"environment": tables.environment, "argv": tables.argv, "plan": tables.plan}
        row["cases"] = {case.case_id: case.short for case in run.cases}
        row |= {
            "metrics": _table(run.metrics, room),
            "measurements": _table(run.tables.measurements, room),
        }
        rows.append(row)
    text = json.dumps({"runs": rows}, separators=(",", ":"), default=str)
    return Markup(text.translate(_ESCAPES))


def _table(table: pd.DataFrame, room: int) -> dict[str, Any]:
    """As many rows of a table as fit into `room` bytes, without columns that are null
    throughout."""
    table = table[
        [name for name in table.columns if name not in OMITTED and table[name].notna().any()]
    ]
    rows: list[list[Any]] = []
    for row in table.astype(object).where(table.notna(), None).to_numpy().tolist():
        row = [plain(value) for value in row]
        room -= len(json.dumps(row, separators=(",", ":"), default=str)) + 1
        if room < 0:
            break
        rows.append(row)
    return {"columns": list(table.columns), "rows": rows, "left_out": len(table) - len(rows)}
