"""The rows of `judgement.judge_runs` and of a gate as a table, as JSON takes them, and as text."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from hwbench.report.numbers import quantity
from hwbench.report.rows import plain_rows
from hwbench.report.terminal.tables import Column, numbers, one_line, table_of, words

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
ESTIMATE = (
    "baseline and candidate: geometric means over processes, whose ratio is judged"
    " (a run's own table has medians)"
)
"""Under a comparison: the two estimates of one run differ by some of its noise."""

COLORS = {"faster": "green", "same": "green", "pass": "green"} | dict.fromkeys(
    ("slower", "regression", "failed", "missing"), "red"
)
"""Of verdicts and of a gate's statuses; every other is yellow."""


def comparison_data(table: pd.DataFrame, verdict: str, more: Sequence[str] = ()) -> dict[str, Any]:
    """Return {"verdict": …, "rows": […]}, numbers in base units, null where unknown. `more` names
    further columns."""
    return {"verdict": verdict, "rows": plain_rows(table, [*ROW, *more])}


def comparison_table(table: pd.DataFrame, word: str = "verdict") -> Table:
    """Return one row a case and metric, with its `word` (a column): never a ratio without the
    values that it is of."""
    figures = numbers("baseline", "candidate", "ratio", "95 % interval", "threshold")
    columns = [*words("case"), Column("metric"), *figures, *words(word)]
    rows: list[list[str | Text]] = []
    for row in table.to_dict("records"):
        reason = f"{row[word]}: {row['reason']}" if row["reason"] else row[word]
        color = COLORS.get(row[word], "yellow")
        rows.append([*columns_of(row), one_line(reason, color)])
    shown = table_of(columns, rows)
    shown.caption, shown.caption_justify = one_line(ESTIMATE), "left"
    return shown


def columns_of(row: dict[str, Any]) -> list[str]:
    """Return case, metric, baseline, candidate, ratio, interval and threshold of a row as texts."""
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
    """Return a row's values and ratio in one line."""
    _, _, baseline, candidate, ratio, interval, threshold = columns_of(row)
    return (
        f"{baseline} → {candidate}, ratio {ratio}, 95 % interval {interval}, threshold {threshold}"
    )


def _ratio(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "–"


def _interval(row: dict[str, Any]) -> str:
    ends = (row["ci_low"], row["ci_high"])
    return f"{ends[0]:.4f} to {ends[1]:.4f}" if all(map(math.isfinite, ends)) else "–"
