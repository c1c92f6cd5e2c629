"""Rates: the work of each process in a second."""

import pandas as pd

from hwbench.tables.schema import KEY

THROUGHPUT = {
    "tokens": ("tokens_per_s", "tokens/s"),
    "flops": ("flops_per_s", "FLOP/s"),
    "bytes": ("bytes_per_s", "B/s"),
}
"""The metric and the unit of each kind of work."""

RATES = [metric for metric, _ in THROUGHPUT.values()]


def rate(measured: pd.DataFrame, work: str) -> pd.Series:
    """Work over the window, (work of a step × steps) / window_s, of each measurement; NaN where it
    is not declared."""
    return measured[work].astype("float64") * measured.samples / measured.window_s


def throughput(measured: pd.DataFrame) -> pd.DataFrame:
    """The rates as metrics, of each process and kind of work that is declared."""
    return pd.concat(
        as_metric(measured, metric, unit, rate(measured, work))
        for work, (metric, unit) in THROUGHPUT.items()
    )


def as_metric(keyed: pd.DataFrame, metric: str, unit: str, value: pd.Series) -> pd.DataFrame:
    """A table of case_id, process, metric, unit, value, with the index of `keyed` and `value`; rows
    whose value is null are left out."""
    frame = keyed[KEY].assign(metric=metric, unit=unit, value=value.astype("float64"))
    return frame.dropna(subset="value")
