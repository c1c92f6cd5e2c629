"""The metrics of each part of a step: its FLOP/s and bytes/s, and its shares of peaks and ceilings.

A span's rate is its declared work over the median time that the steps of a process spend in it.
Like all metrics, it is then the median over processes, with an interval over processes.
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
from hwbench.tables.run import RunTables
from hwbench.tables.schema import KEY, OF_A_SHARE, SCHEMAS

UPDATES = frozenset({"optimizer"})
"""Spans that update weights: vector arithmetic in fp32 whatever the dtype of the model, no matrix
products. They have no share of a matmul peak; memory bounds them."""

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
    validities = validity_by_case(run)
    workloads = run.measured.drop_duplicates("case_id").set_index("case_id").workload
    rows, by = [], ["case_id", "span", "metric", "unit"]
    for key, group in values.groupby(by, sort=False):
        rows.append(dict(zip(by, key, strict=True)) | over_processes(group))
    table = pd.DataFrame(rows)
    table = table.assign(
        run_id=run.run_id,
        device_kind=run.device.kind,
        workload=table.case_id.map(workloads),
        validity=[validities[case_id][0] for case_id in table.case_id],
        reasons=[json.dumps(validities[case_id][1]) for case_id in table.case_id],
    )
    return table[SPAN_METRICS_COLUMNS]


def per_process_and_span(run: RunTables) -> pd.DataFrame:
    """One value a process: case_id, process, span, metric, unit, value and OF_A_SHARE, in the order
    of the marks."""
    columns = [*KEY, "span", "metric", "unit", "value", *OF_A_SHARE]
    measured = matmul_ceilings(run), memory_ceilings(run).get(MEMORY)
    tables = []
    for (_, span), processes in span_work(run).groupby(["case_id", "span"], sort=False):
        metrics = _rates(processes)
        metrics += _shares_of_peaks(run, processes, str(span))
        metrics += _shares_of_ceilings(processes, str(span), *measured)
        tables += [table.assign(span=span) for table in metrics if not table.empty]
    if not tables:
        return pd.DataFrame(columns=columns)
    return pd.concat(tables, ignore_index=True).reindex(columns=columns)


@once_a_run
def span_work(run: RunTables) -> pd.DataFrame:
    """The spans with declared work, a row a process: case_id, process, span, dtype, in_memory
    (whether its bytes move through memory), seconds (of the median step), the work in WORK and
    `<work>_rate`, the work in a second; NaN where it is not declared."""
    measured = run.measured.assign(in_memory=moves_memory(run.measured))
    declared: list[dict[str, Any]] = []
    for row in measured.to_dict("records"):
        for span, work in row["span_work"].items():
            head = {name: row[name] for name in (*KEY, "dtype", "in_memory")}
            declared.append(head | {"span": span} | {name: getattr(work, name) for name in WORK})
    work = pd.DataFrame(declared, columns=[*KEY, "dtype", "in_memory", "span", *WORK])
    work = work.astype(dict.fromkeys(WORK, "float64") | {"process": "int64"})
    times = spans_of_processes(run).rename(columns={"name": "span"})
    table = times.merge(work, on=[*KEY, "span"])
    table = table[table.seconds > 0].dropna(subset=list(WORK), how="all")
    return table.assign(**{f"{name}_rate": table[name] / table.seconds for name in WORK})


def _rates(processes: pd.DataFrame) -> list[pd.DataFrame]:
    intensity = processes.flops / processes.bytes.where(processes.bytes > 0)
    return [
        as_metric(processes, "flops_per_s", "FLOP/s", processes.flops_rate),
        as_metric(processes, "bytes_per_s", "B/s", processes.bytes_rate),
        as_metric(processes, "intensity", "FLOP/B", intensity),
    ]


def _shares_of_peaks(run: RunTables, processes: pd.DataFrame, span: str) -> list[pd.DataFrame]:
    """The shares of datasheet peaks that one case's span reaches."""
    shares = []
    for metric, work in SHARES.items():
        applies = processes.in_memory.all() if work == "bytes" else span not in UPDATES
        peak = peak_of(run, metric, str(processes.dtype.iloc[0])) if applies else None
        if peak:
            rates = processes[f"{work}_rate"]
            shares.append(peak_shares.share_of(peak, metric, processes, rates))
    return shares


def _shares_of_ceilings(
    processes: pd.DataFrame, span: str, matmul: Mapping[str, Ceiling], memory: Ceiling | None
) -> list[pd.DataFrame]:
    """The shares of the run's own ceilings that one case's span reaches."""
    reached = []
    if span not in UPDATES and (ceiling := matmul.get(str(processes.dtype.iloc[0]))):
        reached.append((ceiling, "mfu_achievable", processes.flops_rate))
    if memory and processes.in_memory.all():
        reached.append((memory, "mbu_achievable", processes.bytes_rate))
    return [ceilings.share_of(one, metric, processes, rates) for one, metric, rates in reached]
