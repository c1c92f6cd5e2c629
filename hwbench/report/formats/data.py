"""Runs for other programs: their metrics as one long CSV table, or everything as JSON."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from hwbench.analysis.history import changes, points
from hwbench.analysis.metrics.spans import summarize_spans
from hwbench.analysis.metrics.summary import METRICS_COLUMNS, summarize
from hwbench.analysis.outcomes import cases
from hwbench.analysis.side_by_side import side_by_side
from hwbench.printable import printable
from hwbench.report.rows import plain_rows, plain_value
from hwbench.tables.run import RunTables

CSV_COLUMNS = [*METRICS_COLUMNS, "label", "device_name", "started_at", "case"]
"""The columns of the table `metrics`, then three of the run, and the case in words."""

FULL_WIDTH = (
    "\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}"
    "\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
)
FORMULA_STARTS = (*"=+-@", *FULL_WIDTH, "'")
"""A spreadsheet takes a text that begins like this for a formula; ' marks a text that is none."""

HEAD = (
    "run_id",
    "label",
    "device_kind",
    "device_name",
    "started_at",
    "hwbench_version",
    "schema_version",
)


def metrics_csv(runs: Sequence[RunTables]) -> str:
    """Return a row (CSV_COLUMNS) a run, case and metric, by RFC 4180: commas, CRLF, quotes where
    needed, one line of names.

    Numbers keep their last digit; what is unknown or no finite number is an empty cell. A row is
    one line: a text has escapes for newlines and all else that is not `printable`. One that a
    spreadsheet would take for a formula gets a ' in front, and so does one that begins with a ': a
    program that reads the file removes one ' from the start of a text.
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


def runs_data(
    runs: Sequence[RunTables], floors: Mapping[tuple[str, str], float] | None = None
) -> dict[str, Any]:
    """Return {"runs": […], "comparison": rows of `side_by_side`, "history": {"points": …,
    "changes": …}}, ready for JSON.

    Numbers are in base units, null where unknown. A single run has no comparison (an empty list);
    runs of which no three share label and device have no history (null). `floors` as in
    `history.changes`.
    """
    tables, metrics = [cases(run) for run in runs], [summarize(run) for run in runs]
    compared = side_by_side(tables, metrics) if len(runs) > 1 else pd.DataFrame()
    known = points([run.runs for run in runs], tables, metrics)
    history = {"points": plain_rows(known), "changes": plain_rows(changes(known, floors))}
    return {
        "runs": [_run(*parts) for parts in zip(runs, tables, metrics, strict=True)],
        "comparison": plain_rows(compared),
        "history": history if len(known) else None,
    }


def _run(run: RunTables, table: pd.DataFrame, metrics: pd.DataFrame) -> dict[str, Any]:
    row = run.runs.iloc[0]
    facts = {name: plain_value(row[name]) for name in HEAD}
    facts |= {
        "environment": plain_value(run.environment),
        "argv": plain_value(run.argv),
        "plan": plain_value(run.plan),
    }
    return facts | {
        "cases": plain_rows(table),
        "metrics": plain_rows(metrics, parsed=["reasons"]),
        "span_metrics": plain_rows(summarize_spans(run), parsed=["reasons"]),
    }


def _cell(value: Any) -> str:
    value = plain_value(value)
    if not isinstance(value, str):
        return "" if value is None else repr(value)
    text = printable(value)
    return f"'{text}" if text.lstrip().startswith(FORMULA_STARTS) else text
