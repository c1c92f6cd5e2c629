"""Shares of the device's datasheet peaks that a workload reaches, process by process."""

import pandas as pd

from hwbench.analysis.metrics.ceilings import SHARE_COLUMNS, is_matmul, moves_memory
from hwbench.analysis.metrics.rates import rate
from hwbench.analysis.metrics.steps import timed_samples
from hwbench.analysis.once import once_a_run
from hwbench.datasheets import peaks
from hwbench.tables.run import RunTables
from hwbench.tables.schema import KEY

SHARES = {
    "mfu": "flops",
    "mfu_palm": "flops_full_attention",
    "hfu": "hardware_flops",
    "mbu": "bytes",
}
"""Each metric with the work that it is a share of: model FLOPs utilization, with causal attention
and as PaLM counts it; hardware FLOPs utilization; memory bandwidth utilization."""

CONVENTIONS = {
    "mfu": "model FLOPs, causal attention, nothing that is computed again",
    "mfu_palm": "model FLOPs with every pair of tokens (Chowdhery et al. 2022)",
    "hfu": "model FLOPs, causal attention, and what is computed again",
    "mbu": "fewest bytes that must move",
}


def shares_of_peak(run: RunTables) -> pd.DataFrame:
    """A row (SHARE_COLUMNS) for each process and metric of SHARES whose work is declared and whose
    peak is known.

    The value is (work of a step × steps) / window_s over the peak of the case's dtype; `source`
    names the peak and its origin. A copy within a cache has no share of the memory's bandwidth.
    """
    tables = []
    for dtype, cases in run.measured.groupby("dtype", sort=False):
        for metric, work in SHARES.items():
            if peak := peak_of(run, metric, str(dtype)):
                counted = cases[moves_memory(cases)] if work == "bytes" else cases
                tables.append(share_of(peak, metric, counted[KEY], rate(counted, work)))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=SHARE_COLUMNS)


def share_of(peak: peaks.Peak, metric: str, keyed: pd.DataFrame, rates: pd.Series) -> pd.DataFrame:
    """The rows (SHARE_COLUMNS) of `rates`, in the peak's unit, one a process of `keyed`; none where
    a rate is null."""
    rows = keyed[KEY].assign(
        metric=metric, unit="1", value=rates / peak.value, convention=CONVENTIONS[metric]
    )
    rows = rows.assign(peak=peak.value, peak_dtype=peak.dtype, source=peak.source)
    return rows[SHARE_COLUMNS].dropna(subset="value")


@once_a_run
def peak_of(run: RunTables, metric: str, dtype: str) -> peaks.Peak | None:
    """The peak that a metric of SHARES is a share of, for cases in `dtype`; None if unknown."""
    if SHARES[metric] == "bytes":
        return peaks.bandwidth(run.device.name, run.environment)
    return peaks.flops(run.device.name, dtype, run.environment, sustained_mhz(run, dtype))


@once_a_run
def sustained_mhz(run: RunTables, dtype: str) -> float | None:
    """The processors' clock in MHz while they multiplied matrices in `dtype`: the median of the
    telemetry of the meter `host` in the windows of each process, then over processes. None where
    there is none."""
    measured = run.measured[run.measured.dtype == dtype]
    matmuls = measured[measured.workload.map(is_matmul).astype(bool)][KEY]
    is_clock = (run.telemetry.meter == "host") & (run.telemetry.quantity == "cpu_clock")
    clocks = run.telemetry[is_clock].merge(matmuls, on=KEY)
    if clocks.empty:
        return None
    steps = timed_samples(run).merge(matmuls, on=KEY).dropna(subset="start_ns")
    ends = steps.assign(end_ns=steps.start_ns + steps.step_s * 1e9)
    windows = ends.groupby(KEY).agg(begin=("start_ns", "min"), end=("end_ns", "max")).reset_index()
    clocks = clocks.merge(windows, on=KEY)
    within = clocks[(clocks.time_ns >= clocks.begin) & (clocks.time_ns <= clocks.end)]
    return None if within.empty else float(within.groupby(KEY).value.median().median()) / 1e6
