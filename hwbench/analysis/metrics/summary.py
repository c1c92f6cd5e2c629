"""The metrics of a run, from its raw tables.

The process is the unit. Each figure is computed within a process; the median over processes is
reported, with an interval over processes. Processes differ from each other by more than the steps
of one process do.
"""

import json
import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from hwbench import stats
from hwbench.analysis.metrics.ceilings import CEILING_SHARES, shares_of_ceilings
from hwbench.analysis.metrics.energy import ENERGY, energy_of
from hwbench.analysis.metrics.latency import LATENCIES, PERCENTILES, latencies
from hwbench.analysis.metrics.peak_shares import SHARES, shares_of_peak
from hwbench.analysis.metrics.rates import RATES, as_metric, throughput
from hwbench.analysis.metrics.requests import REQUEST_TIMES, SERVING, requests_of
from hwbench.analysis.metrics.steps import timed_samples
from hwbench.analysis.metrics.validity import Validity, validity
from hwbench.analysis.once import once_a_run
from hwbench.tables.run import RunTables
from hwbench.tables.schema import KEY, OF_A_SHARE, SCHEMAS

WORK_METRICS = frozenset({*RATES, *SHARES, *CEILING_SHARES})
"""The metrics that follow from the declared work of a step."""

HIGHER_IS_BETTER = WORK_METRICS | frozenset(SERVING)
"""Of every other metric, lower is better."""

_REQUEST_LATENCIES = [f"{name}_{p}" for name in REQUEST_TIMES for p in PERCENTILES]

METRICS = [
    *RATES,
    *SHARES,
    *CEILING_SHARES,
    *SERVING,
    *dict.fromkeys([*LATENCIES, *_REQUEST_LATENCIES]),  # ttft_s_p50 is in both
    "memory_peak_bytes",
    "compile_s",
    *ENERGY,
]
"""Every metric that can be judged: higher, or lower, is better."""

PREDICTIONS = ("memory_predicted_bytes", "memory_predicted_ratio")
"""The memory that a workload predicts for itself, and that over what was held beyond the start."""

OF_ENERGY = ["uncertainty", "grade"]
SOURCED = [*OF_A_SHARE, *OF_ENERGY]
"""Columns that only shares and energies have."""

UNIT = ["case_id", "metric", "unit"]
METRICS_COLUMNS = SCHEMAS["metrics"].names


@once_a_run
def summarize(run: RunTables) -> pd.DataFrame:
    """The `metrics` table of a run: one row a case and metric, for cases with at least one measured
    process.

    `value` is the median over the `n` processes, `ci_low` and `ci_high` its 95 % interval over
    processes (stats.median_interval). With a single process, quantiles of the step have an
    order-statistic interval over its steps. A case without an ok process has no metrics.
    """
    values = per_process(run)
    if values.empty:
        return pd.DataFrame(columns=METRICS_COLUMNS)
    table = pd.DataFrame(
        [_estimate(run, key, group) for key, group in values.groupby(UNIT, sort=False)]
    )
    first = run.measured.drop_duplicates("case_id").set_index("case_id")
    validities = validity_by_case(run)
    table = table.assign(
        run_id=run.run_id,
        device_kind=run.device.kind,
        workload=table.case_id.map(first.workload),
        validity=[validities[case_id][0] for case_id in table.case_id],
        reasons=[json.dumps(validities[case_id][1]) for case_id in table.case_id],
    )
    return table[METRICS_COLUMNS]


@once_a_run
def per_process(run: RunTables) -> pd.DataFrame:
    """One value a process: case_id, process, metric, unit, value, for every metric of processes
    that came out ok.

    Shares also have the columns OF_A_SHARE, energies source, uncertainty and grade. In a test under
    load, latencies and tokens/s are those of the requests.
    """
    tables = [throughput(run.measured), _memory(run.measured), latencies(run)]
    served = requests_of(run, PERCENTILES)
    if len(served):  # before the metrics of the same name that steps and spans have
        tables = [pd.concat([*tables, served]).drop_duplicates([*KEY, "metric"], keep="last")]
    sourced = (shares_of_ceilings(run), shares_of_peak(run), energy_of(run))
    tables += [table for table in sourced if not table.empty]
    columns = [*KEY, "metric", "unit", "value", *SOURCED]
    return pd.concat(tables, ignore_index=True).reindex(columns=columns)


@once_a_run
def validity_by_case(run: RunTables) -> dict[str, tuple[Validity, list[str]]]:
    """By case_id, the validity of a case's figures and the codes of what speaks against it."""
    values = per_process(run)
    return {
        str(case_id): validity(run, rows, values)
        for case_id, rows in run.measured.groupby("case_id")
    }


def _estimate(run: RunTables, key: tuple[str, str, str], group: pd.DataFrame) -> dict[str, Any]:
    """The row of one case and metric."""
    case_id, metric, unit = key
    row = {"case_id": case_id, "metric": metric, "unit": unit} | over_processes(group)
    row |= {
        "uncertainty": group.uncertainty.max(),
        "grade": max(group.grade.dropna(), default=None),
    }
    if row["n"] == 1 and metric.startswith("step_s_p"):
        steps = timed_samples(run)
        q = int(metric.removeprefix("step_s_p")) / 100
        own = steps[(steps.case_id == case_id) & (steps.process == group.process.iloc[0])].step_s
        interval = stats.quantile_interval(own, q, times=stats.SHOWS_ITSELF)
        row |= {"value": interval.value, "ci_low": interval.low, "ci_high": interval.high}
        row["method"] = "order_statistics_of_one_process"
    return row


def over_processes(group: pd.DataFrame) -> dict[str, Any]:
    """The columns of one metric over its processes: the median with its interval, n, method, and
    OF_A_SHARE."""
    interval = stats.median_interval(group.value)
    return {
        "value": interval.value,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "n": int(np.isfinite(group.value).sum()),
        "method": "t_of_log_processes",
        "source": ", ".join(group.source.dropna().unique()) or None,
        "convention": next(iter(group.convention.dropna()), None),
        "peak": group.peak.astype("float64").max(),
        "peak_dtype": next(iter(group.peak_dtype.dropna()), None),
    }


@dataclass(frozen=True)
class Spread:
    """How the steps of a case vary. `lag1`, `effective_n` and `within_cv` are medians over
    processes, `between_cv` is of the processes' medians; `outliers` (by Tukey's fences) are counted
    and not dropped."""

    case_id: str
    lag1: float
    effective_n: float
    within_cv: float
    between_cv: float
    outliers: int


@once_a_run
def spread(run: RunTables) -> pd.DataFrame:
    """How the steps of each case vary: a row (Spread) a case."""
    rows = []
    for case_id, steps in timed_samples(run).groupby("case_id", sort=False):
        processes = [group.step_s.to_numpy() for _, group in steps.groupby("process")]
        rows.append(
            Spread(
                str(case_id),
                lag1=_median([stats.lag1(x) for x in processes]),
                effective_n=_median([stats.effective_n(x) for x in processes]),
                within_cv=_median([stats.variation(x) for x in processes]),
                between_cv=stats.variation([float(np.median(x)) for x in processes]),
                outliers=sum(stats.outliers(x) for x in processes),
            )
        )
    return pd.DataFrame(rows, columns=[column.name for column in fields(Spread)])


def _memory(measured: pd.DataFrame) -> pd.DataFrame:
    """memory_predicted_ratio is the predicted peak over the measured one less what was held
    before."""
    predicted = measured.memory_predicted_bytes.astype("float64")
    peak, base = (measured[f"memory_{name}_bytes"].astype("float64") for name in ("peak", "base"))
    held = peak - base
    return pd.concat(
        [
            as_metric(measured, "memory_peak_bytes", "B", measured.memory_peak_bytes),
            as_metric(measured, "memory_predicted_bytes", "B", predicted),
            as_metric(measured, "memory_predicted_ratio", "1", predicted / held.where(held > 0)),
            as_metric(measured, "compile_s", "s", measured.compile_s),
        ]
    )


def _median(values: list[float]) -> float:
    """The median of the values that are known; NaN if none is."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.median(known)) if known else math.nan
