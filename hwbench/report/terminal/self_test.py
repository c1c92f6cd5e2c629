"""The result of the gate's self-test (simulate.power) as a table."""

from typing import Any

import pandas as pd
from rich.table import Table

from hwbench.analysis.verdict.simulate import WORDS
from hwbench.report.terminal.tables import numbers, table_of


def self_test_table(shares: pd.DataFrame) -> Table:
    """Return a row for each slow-down: the shares of the verdicts, and the interval of "slower"."""
    columns = numbers("slow-down", "pairs", "slower", "95 % interval", *WORDS[1:])
    return table_of(columns, map(_row, shares.to_dict("records")))


def _row(row: dict[str, Any]) -> list[str]:
    slowdown = f"{row['slowdown']:.1%}" if row["slowdown"] else "none (A/A)"
    interval = f"{row['slower_low']:.2%} to {row['slower_high']:.2%}"
    others = [f"{row[word]:.1%}" for word in WORDS[1:]]
    return [slowdown, str(row["pairs"]), f"{row['slower']:.2%}", interval, *others]
