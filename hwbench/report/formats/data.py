"""Runs as plain data for other programs: one long CSV table of their metrics, or everything as
JSON."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from hwbench.analysis.history import changes, points
from hwbench.analysis.metrics.spans import summarize_spans
from hwbench.analysis.metrics.summary import METRICS_COLUMNS, summarize
from hwbench.analysis.outcomes import cases
from hwbench.analysis.side_by_side import side_by_side
from hwbench.report.numbers import clean, plain
from hwbench.tables.reader import RunTables

CSV_COLUMNS = [*METRICS_COLUMNS, "label", "device_name", "started_at", "case"]
"""Those of the table `metrics`, then of its run, and the case in words."""

WIDE = "\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
MARKED = tuple(f"=+-@{WIDE}'")
"""A spreadsheet runs a text that begins like this, save for the last, which keeps it from that."""

HEAD = (
    "run_id",
    "label",
    "device_kind",
    "device_name",
    "started_at",
    "hwbench_version",
    "schema_version",
)


def as_csv(runs: Sequence[RunTables]) -> str:
    """A row (CSV_COLUMNS) a run, case and metric, by RFC 4180: commas, CRLF, quotes where needed,
    one line of names.

    Numbers are written to their last digit; what is unknown or no finite number is an empty cell. A
    text that a spreadsheet would take for a formula has a ' before it, and so has one that begins
    with a ': whoever reads the file by program takes one away from the start of a text.
    """
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(CSV_COLUMNS)
    for run in runs:
        head = {name: run.runs[name].iloc[0] for name in ("label", "device_name", "started_at")}
        names = dict(cases(run)[["case_id", "label"]].itertuples(index=False))
        for row in summarize(run).to_dict("records"):
            whole = row | head | {"case": names.get(row["case_id"])}
            writer.writerow([_cell(whole[name]) for name in CSV_COLUMNS])
    return stream.getvalue()


def as_data(
    runs: Sequence[RunTables], floors: Mapping[tuple[str, str], float] | None = None
) -> dict[str, Any]:
    """{"runs": […], "comparison": rows of side_by_side.side_by_side, "history": {"points": …, "changes":
    …}}, ready for JSON.

    Numbers are in base units, null where unknown. A single run has no comparison (an empty list);
    runs of which no three share label and device have no history (null). `floors` as in
    `history.changes`.
    """
    tables, metrics = [cases(run) for run in runs], [summarize(run) for run in runs]
    compared = side_by_side(tables, metrics) if len(runs) > 1 else pd.DataFrame()
    known = points([run.runs for run in runs], tables, metrics)
    told = {"points": _rows(known), "changes": _rows(changes(known, floors))}
    return {
        "runs": [_run(*parts) for parts in zip(runs, tables, metrics, strict=True)],
        "comparison": _rows(compared),
        "history": told if len(known) else None,
    }


def _run(run: RunTables, table: pd.DataFrame, metrics: pd.DataFrame) -> dict[str, Any]:
    row = run.runs.iloc[0]
    facts = {name: _plain(row[name]) for name in HEAD}
    facts |= {name: _plain(json.loads(row[name])) for name in ("environment", "argv", "plan")}
    return facts | {
        "cases": _rows(table),
        "metrics": _rows(metrics, "reasons"),
        "span_metrics": _rows(summarize_spans(run), "reasons"),
    }


def _rows(table: pd.DataFrame, *parsed: str) -> list[dict[str, Any]]:
    """The rows of a table as JSON takes them; the columns `parsed` hold JSON."""
    rows = table.to_dict("records")
    return [
        {
            str(name): _plain(json.loads(value) if name in parsed else value)
            for name, value in row.items()
        }
        for row in rows
    ]


def _plain(value: Any) -> Any:
    """As JSON takes it, whatever lies inside: null for what is no finite number or not known."""
    if isinstance(value, Mapping):
        return {clean(str(name)): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, str):
        return clean(value)
    if hasattr(value, "item"):  # a number of numpy's
        value = value.item()
    return None if value is pd.NA or value is pd.NaT else plain(value)


def _cell(value: Any) -> str:
    value = _plain(value)
    if isinstance(value, str):
        return (
            f"'{value}"
            if value.lstrip().startswith(MARKED) or value.startswith(("\t", "\r", "\n"))
            else value
        )
    return "" if value is None else repr(value)
