"""Tables for the terminal, and the same as data."""

from hwbench.report.terminal.run import (
    floors_table,
    roofline_table,
    summary_rows,
    summary_table,
    together_rows,
    together_tables,
)

__all__ = [
    "floors_table",
    "roofline_table",
    "summary_rows",
    "summary_table",
    "together_rows",
    "together_tables",
]
