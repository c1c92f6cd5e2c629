"""The ceilings of its machine that a run measured, and the shares of them that its workloads reach.

The matmul ceiling of a dtype is the best FLOP/s of `gemm` or `gemm/…` in it. The memory ceiling is
the best B/s of any `copy` on arrays that no cache holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from pandas.core.groupby import DataFrameGroupBy

from hwbench.analysis.metrics.rates import rate
from hwbench.analysis.once import once_a_run
from hwbench.records import Param, case_label
from hwbench.tables.run import RunTables
from hwbench.tables.schema import KEY, OF_A_SHARE

MATMUL, COPY = "gemm", "copy"
MEMORY = "memory"
"""The level of arrays that no cache holds; also that of a copy without a level."""

NO_CEILING = 1.05
"""A workload that exceeds the ceiling by more than 5 % means the ceiling was measured wrong (too
small a matmul), or does not apply (its bytes fit into a cache); the share is dropped."""

CEILING_SHARES = {"mfu_achievable": "flops", "mbu_achievable": "bytes"}
"""Each metric with the work that it is a share of."""

CONVENTIONS = {
    "mfu_achievable": "model FLOPs, causal attention, over the best matmul of this run",
    "mbu_achievable": "fewest bytes, over the best copy of this run",
}

SHARE_COLUMNS = [*KEY, "metric", "unit", "value", *OF_A_SHARE]


@dataclass(frozen=True)
class Ceiling:
    """The fastest case of its kind: the FLOP/s or B/s of each process, and their median
    (`typical`)."""

    case_id: str
    label: str
    dtype: str
    typical: float
    by_process: Mapping[int, float]

    def of(self, process: int) -> float:
        """The ceiling that the process of the same number measured, in the same round, so that its
        noise is in the shares; the median if there is none."""
        return self.by_process.get(process, self.typical)

    def bounds(self, value: float) -> bool:
        """Whether a rate stays below it, but for NO_CEILING."""
        return value <= NO_CEILING * self.typical


@once_a_run
def matmul_ceilings(run: RunTables) -> dict[str, Ceiling]:
    """The ceiling of each dtype with a matmul."""
    matmuls = run.measured[run.measured.workload.map(is_matmul).astype(bool)]
    return _best_of_each(matmuls.groupby("dtype"), "flops")


@once_a_run
def memory_ceilings(run: RunTables) -> dict[str, Ceiling]:
    """The ceiling of each level that arrays lie in: `memory`, and the measured caches."""
    copies = run.measured[run.measured.workload == COPY]
    return _best_of_each(copies.groupby(copies.params.map(_level)), "bytes")


def shares_of_ceilings(run: RunTables) -> pd.DataFrame:
    """A row (SHARE_COLUMNS) for each process and metric of CEILING_SHARES whose work is declared
    and whose ceiling the run measured, round by round."""
    tables = []
    matmul, memory = matmul_ceilings(run), memory_ceilings(run).get(MEMORY)
    for _, processes in run.measured.groupby("case_id", sort=False):
        ceilings = {"mfu_achievable": matmul.get(processes.dtype.iloc[0])}
        ceilings["mbu_achievable"] = memory if moves_memory(processes).all() else None
        for metric, ceiling in ceilings.items():
            if ceiling:
                rates = rate(processes, CEILING_SHARES[metric])
                tables.append(share_of(ceiling, metric, processes[KEY], rates))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=SHARE_COLUMNS)


def share_of(ceiling: Ceiling, metric: str, keyed: pd.DataFrame, rates: pd.Series) -> pd.DataFrame:
    """The rows (SHARE_COLUMNS) of one case or span: the shares of `rates`, in the ceiling's unit,
    one a process of `keyed`. No rows where the rates exceed the ceiling (NO_CEILING)."""
    value = rates / keyed.process.map(ceiling.of)
    source = f"measured in this run: {ceiling.label}"
    rows = keyed[KEY].assign(
        metric=metric, unit="1", value=value, convention=CONVENTIONS[metric], source=source
    )
    dtype = ceiling.dtype if metric == "mfu_achievable" else None
    rows = rows.assign(peak=ceiling.typical, peak_dtype=dtype).dropna(subset="value")
    if not ceiling.bounds(rates.dropna().median()):
        rows = rows.iloc[:0]
    return rows[SHARE_COLUMNS]


def is_matmul(workload: str) -> bool:
    """Whether a workload measures the matmul ceiling."""
    return workload == MATMUL or workload.startswith(f"{MATMUL}/")


def is_ceiling(workload: str) -> bool:
    """Whether a workload measures a ceiling, so that shares depend on it."""
    return is_matmul(workload) or workload == COPY


def moves_memory(measured: pd.DataFrame) -> pd.Series:
    """Whether the bytes of each measurement move through memory; those of a copy within a cache do
    not."""
    return (measured.workload != COPY) | (measured.params.map(_level) == MEMORY)


def _best_of_each(groups: DataFrameGroupBy, work: str) -> dict[str, Ceiling]:
    best = {str(name): _best(rows, work) for name, rows in groups}
    return {name: ceiling for name, ceiling in best.items() if ceiling}


def _best(measured: pd.DataFrame, work: str) -> Ceiling | None:
    """The case with the highest median rate; None if none declares work."""
    rates = measured.assign(rate=rate(measured, work))
    rates = rates[rates.rate > 0]
    if rates.empty:
        return None
    case_id = rates.groupby("case_id").rate.median().idxmax()
    own = rates[rates.case_id == case_id]
    head = own.iloc[0].to_dict()
    label = case_label(head["workload"], head["params"], head["dtype"])
    by_process = {int(row.process): float(row.rate) for row in own.itertuples()}
    return Ceiling(str(case_id), label, str(head["dtype"]), float(own.rate.median()), by_process)


def _level(params: Mapping[str, Param]) -> str:
    return str(params.get("level") or MEMORY)
