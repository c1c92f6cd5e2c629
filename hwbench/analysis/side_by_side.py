"""Runs side by side: every case and headline metric with what each run has of it.

Cases meet by `case_id`, which leaves the device out, so the same case on CPU and on GPU is one case
here. Whatever a run did not measure keeps its place in the table, with the outcome that says why.
"""

from collections.abc import Sequence

import pandas as pd

HEADLINE = (
    "tokens_per_s",
    "flops_per_s",
    "bytes_per_s",
    "step_s_p50",
    "ttft_s_p50",
    "tpot_s_p50",
    "memory_peak_bytes",
    "energy_j_per_token",
    "energy_j",
    "power_w",
)
"""The metrics that are set side by side, in this order."""

NOT_PLANNED = "not in this run"
"""The outcome of a case that a run was not asked for."""

SIDE_BY_SIDE_COLUMNS = [
    "case_id",
    "label",
    "metric",
    "unit",
    "run",
    "outcome",
    "validity",
    "value",
    "ratio",
]


def side_by_side(cases: Sequence[pd.DataFrame], metrics: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Several runs as one table: a row for each case, headline metric and run.

    `cases` and `metrics` hold what `metrics.cases` and `metrics.summarize` say of each run; the
    first is the base. Columns: case_id, label, metric, unit, run (position, from 0), outcome,
    validity, value, ratio. `ratio` is the value over the base's: NaN where either is unknown, zero
    or invalid. A case that nowhere was measured has one row a run, its metric null. Cases keep the
    order in which the runs name them.
    """
    outcomes = _stacked(cases, ["case_id", "label", "outcome"])
    headline = [table[table.metric.isin(HEADLINE)] for table in metrics]
    values = _stacked(headline, ["case_id", "metric", "unit", "validity", "value"]).astype(
        {"value": "float64"}
    )
    table = _grid(outcomes, values, len(cases))
    table = table.merge(outcomes.drop(columns="label"), on=["case_id", "run"], how="left")
    table = table.merge(values, on=["case_id", "metric", "unit", "run"], how="left")
    table = table.assign(outcome=table.outcome.fillna(NOT_PLANNED))
    return table.assign(ratio=_ratio(table))[SIDE_BY_SIDE_COLUMNS]


def shared(table: pd.DataFrame) -> list[str]:
    """The case_ids of `side_by_side` that at least two runs have a figure for, in the table's
    order."""
    runs = table.dropna(subset="value").groupby("case_id", sort=False).run.nunique()
    return [str(case_id) for case_id in runs[runs >= 2].index]


def presence(table: pd.DataFrame) -> pd.DataFrame:
    """What each run has of each case: index case_id in the table's order, a column a run, cells the
    outcome."""
    wide = table.drop_duplicates(["case_id", "run"]).pivot(
        index="case_id", columns="run", values="outcome"
    )
    return wide.reindex(table.case_id.drop_duplicates())


def _stacked(tables: Sequence[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """The tables one below the other, each row with the position of its run."""
    stacked = [table[columns].assign(run=run) for run, table in enumerate(tables)]
    filled = [table for table in stacked if len(table)]  # pandas 2 warns of empty ones
    return pd.concat(filled or stacked, ignore_index=True)


def _grid(outcomes: pd.DataFrame, values: pd.DataFrame, runs: int) -> pd.DataFrame:
    """Every case with each metric that any run has for it and every run."""
    known = outcomes.drop_duplicates("case_id")[["case_id", "label"]].assign(
        order=lambda t: range(len(t))
    )
    pairs = values[["case_id", "metric", "unit"]].drop_duplicates()
    pairs = known.merge(
        pairs.assign(rank=pairs.metric.map(HEADLINE.index)), on="case_id", how="left"
    )
    grid = pairs.merge(pd.DataFrame({"run": range(runs)}), how="cross")
    return grid.sort_values(["order", "rank", "run"], ignore_index=True).drop(
        columns=["order", "rank"]
    )


def _ratio(table: pd.DataFrame) -> pd.Series:
    usable = table.value.where((table.value > 0) & (table.validity != "invalid"))
    return usable / usable.where(table.run == 0).groupby(
        [table.case_id, table.metric], dropna=False
    ).transform("max")
