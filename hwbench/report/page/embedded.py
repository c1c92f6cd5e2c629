"""The page's data, inside the page: what its figures and tables are made of, as JSON for who wants
to go on with it."""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from hwbench.report.numbers import plain
from hwbench.report.view import RunView

MOST_BYTES = 500_000
"""What the rows of all tables may take together: the page is mailed. What is left out is
counted."""

OMITTED = {"run_id", "workload", "device_kind", "params"}
"""Columns that a run or its plan says already."""

_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


def data(runs: Sequence[RunView], most_bytes: int = MOST_BYTES) -> Markup:
    """{"runs": […]}: of each its row in `runs`, environment and all; and `metrics` and
    `measurements` (without samples) as {"columns": […], "rows": [[…]…], "left_out": rows left out}.
    Null where unknown. Nothing in it ends a script."""
    room = most_bytes // (2 * len(runs))
    found = []
    for run in runs:
        row = {name: plain(value) for name, value in run.tables.runs.iloc[0].to_dict().items()}
        tables = run.tables
        row |= {"environment": tables.environment, "argv": tables.argv, "plan": tables.plan}
        row["cases"] = {case.case_id: case.short for case in run.cases}
        row |= {
            "metrics": _table(run.metrics, room),
            "measurements": _table(run.tables.measurements, room),
        }
        found.append(row)
    text = json.dumps({"runs": found}, separators=(",", ":"), default=str)
    return Markup(text.translate(_ESCAPES))


def _table(table: pd.DataFrame, room: int) -> dict[str, Any]:
    """A table without the columns that are null all through, as many of its rows as take `room`
    bytes."""
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
