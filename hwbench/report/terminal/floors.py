"""Noise floors as a table for people."""

import pandas as pd
from rich.table import Table
from rich.text import Text

from hwbench.analysis.outcomes import cases
from hwbench.analysis.side_by_side import HEADLINE
from hwbench.report.numbers import clean, quantity
from hwbench.tables.reader import RunTables


def as_table(run: RunTables, floors: pd.DataFrame) -> Table:
    """One row a case and headline metric of an A/A run: a smaller difference than the floor says
    nothing."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    drawn.add_column("case", overflow="fold")
    drawn.add_column("metric", no_wrap=True)
    for title in ("floor", "processes in each half"):
        drawn.add_column(title, justify="right", no_wrap=True)
    for case in cases(run).itertuples():
        rows = floors[(floors.case_id == case.case_id) & floors.metric.isin(HEADLINE)]
        for row in rows.itertuples():
            drawn.add_row(
                Text(clean(case.label)), row.metric, quantity(row.floor, "1", 3), str(row.n)
            )
        if rows.empty:
            drawn.add_row(Text(clean(case.label)), "none", quantity(None, "1"), "")
    return drawn
