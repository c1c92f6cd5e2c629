"""Statistics of arrays: intervals, changes, autocorrelation, steady state."""

from hwbench.stats.intervals import (
    CONFIDENCE,
    SHOWS_ITSELF,
    Change,
    Interval,
    center,
    change,
    change_from_runs,
    holm,
    median_interval,
    paired_change,
    quantile_interval,
    share_interval,
)
from hwbench.stats.series import Array, Numbers, effective_n, lag1, outliers, steady_from, variation

__all__ = [
    "CONFIDENCE",
    "SHOWS_ITSELF",
    "Array",
    "Change",
    "Interval",
    "Numbers",
    "center",
    "change",
    "change_from_runs",
    "effective_n",
    "holm",
    "lag1",
    "median_interval",
    "outliers",
    "paired_change",
    "quantile_interval",
    "share_interval",
    "steady_from",
    "variation",
]
