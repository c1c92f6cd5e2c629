"""The result of the gate's self-test (simulate.power) as a table."""

import pandas as pd
from rich.table import Table

from hwbench.analysis.verdict.simulate import WORDS


def as_table(found: pd.DataFrame) -> Table:
    """A row for each slow-down: the shares of the verdicts, with the interval of `slower`."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("slow-down", "pairs", "slower", "95 % interval", *WORDS[1:]):
        drawn.add_column(heading, justify="right", no_wrap=True)
    for row in found.to_dict("records"):
        slowdown = f"{row['slowdown']:.1%}" if row["slowdown"] else "none (A/A)"
        bound = f"{row['slower_low']:.2%} to {row['slower_high']:.2%}"
        drawn.add_row(
            slowdown,
            str(row["pairs"]),
            f"{row['slower']:.2%}",
            bound,
            *(f"{row[w]:.1%}" for w in WORDS[1:]),
        )
    return drawn
