"""Shares of what the device could do at most, process by process: how much of it a workload makes use of."""

import json

import pandas as pd

from hwbench import peaks
from hwbench.schema import KEY
from hwbench.store import RunTables

SHARES = {"mfu": "flops", "mfu_palm": "flops_full_attention", "mbu": "bytes"}
"""Each metric with the work that it is of: model FLOPs utilization, causal and as PaLM counts it, and bandwidth's."""

COLUMNS = [*KEY, "metric", "unit", "value", "source"]


def shares_of_peak(run: RunTables) -> pd.DataFrame:
    """A row (COLUMNS) for each process and metric of SHARES whose work is declared and whose peak is known.

    The value is (work of a step × steps) / window_s over the peak of the case's dtype; `source` says which peak, and
    where from.
    """
    measured = run.measurements[run.measurements.outcome == "ok"]
    rows = [
        _share(cases, metric, peak)
        for dtype, cases in measured.groupby("dtype", sort=False)
        for metric in SHARES
        if (peak := _peak(run, metric, str(dtype)))
    ]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=COLUMNS)


def _peak(run: RunTables, metric: str, dtype: str) -> peaks.Peak | None:
    device, environment = str(run.runs.device_name.iloc[0]), json.loads(run.runs.environment.iloc[0])
    return peaks.bandwidth(device, environment) if metric == "mbu" else peaks.flops(device, dtype, environment)


def _share(measured: pd.DataFrame, metric: str, peak: peaks.Peak) -> pd.DataFrame:
    rate = measured[SHARES[metric]].astype("float64") * measured.samples / measured.window_s
    rows = measured[KEY].assign(metric=metric, unit="1", value=rate / peak.value, source=peak.source)
    return rows.dropna(subset="value")
