"""Runs side by side: for every case and headline metric, the value of each run.

Cases are joined by `case_id`, which does not depend on the device: the same case on CPU and on GPU
is one case here. A case that a run did not measure is a row too, with its outcome.
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
"""The metrics that are compared, in this order."""

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
    """Several runs as one table: a row (SIDE_BY_SIDE_COLUMNS) for each case, headline metric and
    run.

    `cases` and `metrics` hold the tables of metrics.cases and metrics.summarize for each run; the
    first run is the base. `run` is the position, from 0. `ratio` is the value over the base's: NaN
    where either is unknown, zero or invalid. A case that no run measured has one row a run, its
    metric null. Cases keep the order in which the runs name them.
    """
    outcomes = _stack(cases, ["case_id", "label", "outcome"])
    headline = [table[table.metric.isin(HEADLINE)] for table in metrics]
    values = _stack(headline, ["case_id", "metric", "unit", "validity", "value"])
    values = values.astype({"value": "float64"})
    table = _grid(outcomes, values, len(cases))
    table = table.merge(outcomes.drop(columns="label"), on=["case_id", "run"], how="left")
    table = table.merge(values, on=["case_id", "metric", "unit", "run"], how="left")
    table = table.assign(outcome=table.outcome.fillna(NOT_PLANNED))
    return table.assign(ratio=_ratio(table))[SIDE_BY_SIDE_COLUMNS]


def shared(table: pd.DataFrame) -> list[str]:
    """The case_ids of `side_by_side` that at least two runs have a value for, in the table's
    order."""
    runs = table.dropna(subset="value").groupby("case_id", sort=False).run.nunique()
    return [str(case_id) for case_id in runs[runs >= 2].index]


def presence(table: pd.DataFrame) -> pd.DataFrame:
    """The outcome of each case in each run: index case_id in the table's order, a column a run."""
    once = table.drop_duplicates(["case_id", "run"])
    wide = once.pivot(index="case_id", columns="run", values="outcome")
    return wide.reindex(table.case_id.drop_duplicates())


def _stack(tables: Sequence[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """The tables one below the other, each row with the position of its run."""
    stacked = [table[columns].assign(run=run) for run, table in enumerate(tables)]
    filled = [table for table in stacked if len(table)]  # pandas 2 warns of empty ones
    return pd.concat(filled or stacked, ignore_index=True)


def _grid(outcomes: pd.DataFrame, values: pd.DataFrame, runs: int) -> pd.DataFrame:
    """Every case with each metric that any run has for it and every run."""
    known = outcomes.drop_duplicates("case_id")[["case_id", "label"]]
    known = known.assign(order=range(len(known)))
    pairs = values[["case_id", "metric", "unit"]].drop_duplicates()
    pairs = pairs.assign(rank=pairs.metric.map(HEADLINE.index))
    pairs = known.merge(pairs, on="case_id", how="left")
    grid = pairs.merge(pd.DataFrame({"run": range(runs)}), how="cross")
    grid = grid.sort_values(["order", "rank", "run"], ignore_index=True)
    return grid.drop(columns=["order", "rank"])


def _ratio(table: pd.DataFrame) -> pd.Series:
    usable = table.value.where((table.value > 0) & (table.validity != "invalid"))
    of_base = usable.where(table.run == 0).groupby([table.case_id, table.metric], dropna=False)
    return usable / of_base.transform("max")
