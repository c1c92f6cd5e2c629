"""The ceilings that a run measured of its own machine, and which share of them its workloads reach.

The matmul ceiling of a dtype is the best FLOP/s of `gemm` or `gemm/…` in it, the memory ceiling the
best B/s of `copy` on arrays that no cache holds, whatever it does with them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from hwbench.analysis.metrics.rates import rate
from hwbench.analysis.once import once_a_run
from hwbench.records import case_label
from hwbench.tables.reader import RunTables
from hwbench.tables.schema import KEY, OF_A_SHARE

MATMUL, COPY = "gemm", "copy"
MEMORY = "memory"
"""The level of what no cache holds, which is also that of arrays whose level is not said."""

NO_CEILING = 1.05
"""A share above this says that what was beaten is no ceiling (too small a matmul, bytes that a
cache holds): it is left out."""

CEILING_SHARES = {"mfu_achievable": "flops", "mbu_achievable": "bytes"}
"""Each metric with the work that it is of."""

CONVENTIONS = {
    "mfu_achievable": "model FLOPs, causal attention, over the best matmul of this run",
    "mbu_achievable": "fewest bytes, over the best copy of this run",
}

SHARE_COLUMNS = [*KEY, "metric", "unit", "value", *OF_A_SHARE]


@dataclass(frozen=True)
class Ceiling:
    """The fastest case of its kind: FLOP/s or B/s of each process, and the median over
    processes."""

    case_id: str
    label: str
    dtype: str
    typical: float
    by_process: Mapping[int, float]

    def of(self, process: int) -> float:
        """The ceiling of the same round, the process of the same number, so that its noise is in
        the shares; where that round has none, the median."""
        return self.by_process.get(process, self.typical)

    def holds(self, value: float) -> bool:
        """Whether `value` leaves it a ceiling."""
        return value <= NO_CEILING * self.typical


@once_a_run
def matmul_ceilings(run: RunTables) -> dict[str, Ceiling]:
    """By dtype."""
    matmuls = run.measured[run.measured.workload.map(is_matmul).astype(bool)]
    return {
        str(dtype): best
        for dtype, rows in matmuls.groupby("dtype")
        if (best := _best(rows, "flops"))
    }


@once_a_run
def memory_ceilings(run: RunTables) -> dict[str, Ceiling]:
    """By the level that the arrays lie in: `memory`, and the caches that were measured."""
    copies = run.measured[run.measured.workload == COPY]
    levels = copies.params.map(_level)
    return {
        str(level): best for level, rows in copies.groupby(levels) if (best := _best(rows, "bytes"))
    }


def shares_of_ceilings(run: RunTables) -> pd.DataFrame:
    """A row (SHARE_COLUMNS) for each process and metric of CEILING_SHARES whose work is declared and
    whose ceiling the run measured, round by round."""
    rows = []
    matmul, memory = matmul_ceilings(run), memory_ceilings(run).get(MEMORY)
    for _, processes in run.measured.groupby("case_id", sort=False):
        found = {"mfu_achievable": matmul.get(processes.dtype.iloc[0])}
        found["mbu_achievable"] = memory if moves_memory(processes).all() else None
        for metric, ceiling in found.items():
            if ceiling:
                rows.append(
                    share_of(
                        ceiling, metric, processes[KEY], rate(processes, CEILING_SHARES[metric])
                    )
                )
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=SHARE_COLUMNS)


def share_of(ceiling: Ceiling, metric: str, keyed: pd.DataFrame, rates: pd.Series) -> pd.DataFrame:
    """The rows (SHARE_COLUMNS) of one case or span: `rates` in the ceiling's unit, one a process of
    `keyed`. None where it is no ceiling for them (NO_CEILING)."""
    value = rates / keyed.process.map(ceiling.of)
    source = f"measured in this run: {ceiling.label}"
    rows = keyed[KEY].assign(
        metric=metric, unit="1", value=value, convention=CONVENTIONS[metric], source=source
    )
    dtype = ceiling.dtype if metric == "mfu_achievable" else None
    rows = rows.assign(peak=ceiling.typical, peak_dtype=dtype).dropna(subset="value")
    return (
        rows[SHARE_COLUMNS]
        if ceiling.holds(rates.dropna().median())
        else rows[SHARE_COLUMNS].iloc[:0]
    )


def is_matmul(workload: str) -> bool:
    """Whether it measures the matmul ceiling."""
    return workload == MATMUL or workload.startswith(f"{MATMUL}/")


def is_ceiling(workload: str) -> bool:
    """Whether shares of what a run reached depend on it."""
    return is_matmul(workload) or workload == COPY


def moves_memory(measured: pd.DataFrame) -> pd.Series:
    """Whether the bytes of each measurement are memory's: those of a copy within a cache are
    not."""
    return (measured.workload != COPY) | (measured.params.map(_level) == MEMORY)


def _best(measured: pd.DataFrame, work: str) -> Ceiling | None:
    """The case with the highest median rate; None if none declares the work."""
    rates = measured.assign(rate=rate(measured, work)).dropna(subset="rate")
    if rates.empty:
        return None
    case_id = rates.groupby("case_id").rate.median().idxmax()
    own = rates[rates.case_id == case_id]
    head = own.iloc[0].to_dict()
    label = case_label(head["workload"], json.loads(head["params"]), head["dtype"])
    by_process = {int(row.process): float(row.rate) for row in own.itertuples()}
    return Ceiling(str(case_id), label, str(head["dtype"]), float(own.rate.median()), by_process)


def _level(params: str) -> str:
    return str(json.loads(params).get("level") or MEMORY)
