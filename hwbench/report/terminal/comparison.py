"""A judgement (compare.judge_runs, gate.hold) as a table for people and as plain data for machines."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from hwbench.report.numbers import clean, plain, quantity

ROW = (
    "case_id",
    "workload",
    "metric",
    "baseline",
    "candidate",
    "ratio",
    "ci_low",
    "ci_high",
    "verdict",
    "reason",
)
COLORS = {"faster": "green", "same": "green", "pass": "green"} | dict.fromkeys(
    ("slower", "regression", "failed", "missing"), "red"
)
"""Of verdicts and of a gate's statuses; every other is yellow."""


def as_data(table: pd.DataFrame, verdict: str, more: Sequence[str] = ()) -> dict[str, Any]:
    """{"verdict": …, "rows": […]}, numbers in base units, null where unknown. `more` names further
    columns."""
    rows = [{name: plain(row[name]) for name in (*ROW, *more)} for row in table.to_dict("records")]
    return {"verdict": verdict, "rows": rows}


def as_table(table: pd.DataFrame, word: str = "verdict") -> Table:
    """One row a case and metric, with its `word` (a column): never a ratio without the values that
    it is of."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    drawn.add_column("case", overflow="fold")
    for title in ("metric", "baseline", "candidate", "ratio", "95 % interval", "threshold"):
        drawn.add_column(title, justify="left" if title == "metric" else "right", no_wrap=True)
    drawn.add_column(word, overflow="fold")
    for row in table.to_dict("records"):
        said = f"{row[word]}: {row['reason']}" if row["reason"] else row[word]
        label, *cells = columns_of(row)
        drawn.add_row(_line(label), *cells, _line(said, COLORS.get(row[word], "yellow")))
    return drawn


def _line(text: str, style: str = "") -> Text:
    """On one line: a log's reader, such as GitHub's, may take the start of a line for a command."""
    return Text(" ".join(clean(text).split()), style)


def columns_of(row: dict[str, Any]) -> list[str]:
    """Case, metric, baseline, candidate, ratio, interval and threshold of a row, as people read
    them."""
    values = [quantity(row[side], row["unit"]) for side in ("baseline", "candidate")]
    return [
        row["label"],
        row["metric"],
        *values,
        _ratio(row["ratio"]),
        _interval(row),
        quantity(row["threshold"], "1"),
    ]


def figures(row: dict[str, Any]) -> str:
    """A row's values and ratio in one line."""
    _, _, baseline, candidate, ratio, interval, threshold = columns_of(row)
    return (
        f"{baseline} → {candidate}, ratio {ratio}, 95 % interval {interval}, threshold {threshold}"
    )


def _ratio(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "–"


def _interval(row: dict[str, Any]) -> str:
    ends = (row["ci_low"], row["ci_high"])
    return f"{ends[0]:.4f} to {ends[1]:.4f}" if all(map(math.isfinite, ends)) else "–"
