"""What each part of a step came to: its FLOP/s and bytes/s, and the shares of what the device could
do.

A span's rate is the work that its workload declares for it over the median of what the steps of a
process spend in it; then it goes as with all metrics: the median over processes, with an interval
over processes.
"""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from hwbench.analysis.metrics import ceilings, peak_shares
from hwbench.analysis.metrics.ceilings import (
    MEMORY,
    Ceiling,
    matmul_ceilings,
    memory_ceilings,
    moves_memory,
)
from hwbench.analysis.metrics.peak_shares import SHARES, peak_of
from hwbench.analysis.metrics.rates import as_metric
from hwbench.analysis.metrics.steps import spans_of_processes
from hwbench.analysis.metrics.summary import over_processes, validity_by_case
from hwbench.analysis.once import once_a_run
from hwbench.tables.reader import RunTables
from hwbench.tables.schema import KEY, OF_A_SHARE, SCHEMAS

UPDATES = frozenset({"optimizer"})
"""Spans whose FLOPs are an update's: vector arithmetic in fp32, no model FLOPs and no matrix
product. They have no share of a matmul peak, whatever the dtype of the model; what bounds them is
bytes."""

WORK = ("flops", "flops_full_attention", "hardware_flops", "bytes")
SPAN_METRICS_COLUMNS = SCHEMAS["span_metrics"].names


@once_a_run
def summarize_spans(run: RunTables) -> pd.DataFrame:
    """The `span_metrics` table of a run: a row for each case, span and metric, of spans with
    declared work.

    Metrics: flops_per_s, bytes_per_s, intensity (FLOP/B), and the shares `mfu`, `mfu_palm`, `hfu`,
    `mbu`, `mfu_achievable` and `mbu_achievable`, as of whole steps. Validity is that of the case.
    """
    values = per_process_and_span(run)
    if values.empty:
        return pd.DataFrame(columns=SPAN_METRICS_COLUMNS)
    judged = validity_by_case(run)
    workloads = run.measured.drop_duplicates("case_id").set_index("case_id").workload
    rows = []
    for (case_id, span, metric, unit), group in values.groupby(
        ["case_id", "span", "metric", "unit"], sort=False
    ):
        verdict, reasons = judged[case_id]
        head = {
            "run_id": run.run_id,
            "case_id": case_id,
            "workload": workloads[case_id],
            "span": span,
        }
        head |= {
            "metric": metric,
            "unit": unit,
            "validity": verdict,
            "reasons": json.dumps(reasons),
        }
        rows.append(head | over_processes(group))
    return pd.DataFrame(rows).assign(device_kind=run.device.kind)[SPAN_METRICS_COLUMNS]


def per_process_and_span(run: RunTables) -> pd.DataFrame:
    """One value a process: case_id, process, span, metric, unit, value and OF_A_SHARE, in the order
    of the marks."""
    columns = [*KEY, "span", "metric", "unit", "value", *OF_A_SHARE]
    measured = matmul_ceilings(run), memory_ceilings(run).get(MEMORY)
    rows = [
        metrics.assign(span=span)
        for (_, span), processes in span_work(run).groupby(["case_id", "span"], sort=False)
        for metrics in [
            *_rates(processes),
            *_shares_of_peaks(run, processes, str(span)),
            *_shares_of_ceilings(processes, str(span), *measured),
        ]
        if not metrics.empty
    ]
    return (
        pd.concat(rows, ignore_index=True).reindex(columns=columns)
        if rows
        else pd.DataFrame(columns=columns)
    )


@once_a_run
def span_work(run: RunTables) -> pd.DataFrame:
    """The spans with declared work, a row a process: case_id, process, span, dtype, in_memory
    (whether its bytes are memory's), seconds (of the median step), the work in WORK and its
    `<work>_rate` in a second; NaN where it is not declared."""
    measured = run.measured.assign(in_memory=moves_memory(run.measured)).dropna(subset="span_work")
    declared: list[dict[str, Any]] = []
    for row in measured.to_dict("records"):
        for span, work in json.loads(row["span_work"]).items():
            head = {name: row[name] for name in (*KEY, "dtype", "in_memory")}
            declared.append(head | {"span": span} | {name: work.get(name) for name in WORK})
    found = pd.DataFrame(declared, columns=[*KEY, "dtype", "in_memory", "span", *WORK])
    times = spans_of_processes(run).rename(columns={"name": "span"})
    found = times.merge(
        found.astype(dict.fromkeys(WORK, "float64") | {"process": "int64"}), on=[*KEY, "span"]
    )
    found = found[found.seconds > 0].dropna(subset=list(WORK), how="all")
    return found.assign(**{f"{name}_rate": found[name] / found.seconds for name in WORK})


def _rates(processes: pd.DataFrame) -> list[pd.DataFrame]:
    return [
        as_metric(processes, "flops_per_s", "FLOP/s", processes.flops_rate),
        as_metric(processes, "bytes_per_s", "B/s", processes.bytes_rate),
        as_metric(
            processes,
            "intensity",
            "FLOP/B",
            processes.flops / processes.bytes.where(processes.bytes > 0),
        ),
    ]


def _shares_of_peaks(run: RunTables, processes: pd.DataFrame, span: str) -> list[pd.DataFrame]:
    """The shares of datasheets' peaks that one case's span reaches."""
    found = []
    for metric, work in SHARES.items():
        peak = (
            None
            if work != "bytes" and span in UPDATES
            else peak_of(run, metric, str(processes.dtype.iloc[0]))
        )
        if peak and (work != "bytes" or processes.in_memory.all()):
            found.append(peak_shares.share_of(peak, metric, processes, processes[f"{work}_rate"]))
    return found


def _shares_of_ceilings(
    processes: pd.DataFrame, span: str, matmul: Mapping[str, Ceiling], memory: Ceiling | None
) -> list[pd.DataFrame]:
    """The shares of the run's own ceilings that one case's span reaches."""
    found = []
    if span not in UPDATES and (of_dtype := matmul.get(str(processes.dtype.iloc[0]))):
        found.append(ceilings.share_of(of_dtype, "mfu_achievable", processes, processes.flops_rate))
    if memory and processes.in_memory.all():
        found.append(ceilings.share_of(memory, "mbu_achievable", processes, processes.bytes_rate))
    return found
