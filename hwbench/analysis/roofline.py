"""The roofline of a run: the least time that its machine allows each step and span, beside the
measured time.

Williams, Waterman and Patterson (2009): work of F FLOPs and B bytes takes at least max(F / C, B /
M), with C the most FLOP/s of its dtype and M the most B/s of the memory. There are two rooflines:
`measured`, from the matmuls and copies of the same run, and `datasheet`, from the device's peaks.
FLOPs are those that the hardware does, recomputation included, where they are declared.
"""

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

import pandas as pd

from hwbench.analysis.metrics.ceilings import (
    MEMORY,
    NO_CEILING,
    matmul_ceilings,
    memory_ceilings,
    moves_memory,
)
from hwbench.analysis.metrics.peak_shares import peak_of
from hwbench.analysis.metrics.spans import UPDATES, span_work
from hwbench.analysis.metrics.steps import timed_samples
from hwbench.analysis.once import once_a_run
from hwbench.analysis.outcomes import cases
from hwbench.tables.run import RunTables

Basis = Literal["measured", "datasheet"]

DONE = ["case_id", "label", "workload", "dtype", "span"]
DONE += ["seconds", "flops", "bytes", "intensity", "flops_per_s", "bytes_per_s"]
"""The columns of POINTS that do not depend on the roofline."""

WHOLE = ""
"""The span of a point that is a whole step."""


@dataclass(frozen=True)
class KnownCeiling:
    """A ceiling of compute, with its dtype, or of memory, with its level. `value` is in `unit`,
    FLOP/s or B/s; `case_id` names the case that measured it."""

    basis: Basis
    kind: Literal["compute", "memory"]
    dtype: str | None
    level: str | None
    value: float
    unit: str
    source: str
    case_id: str | None = None


@dataclass(frozen=True)
class Limit:
    """The ceilings for some work, and which of them bounds it: `least_s` is the least time that it
    takes, `share` that over the measured time."""

    compute_ceiling: float
    memory_ceiling: float
    bound: str | None = None
    least_s: float = math.nan
    share: float = math.nan


@dataclass(frozen=True)
class Sum:
    """What a roofline allows a whole step, span by span.

    `least_s` is the sum of the least times of the `spans` that have one, `covered` the share of the
    step that these spans took, `step_s` the measured step, `share` least_s / step_s.
    """

    case_id: str
    label: str
    basis: Basis
    spans: int
    least_s: float
    covered: float
    step_s: float
    share: float


CEILINGS = [column.name for column in fields(KnownCeiling)]
POINTS = [*DONE, "basis", *(column.name for column in fields(Limit))]
SUMS = [column.name for column in fields(Sum)]


@once_a_run
def ceilings_of(run: RunTables) -> pd.DataFrame:
    """A row (CEILINGS, see KnownCeiling) for each ceiling that is known."""
    rows = []
    for dtype, best in matmul_ceilings(run).items():
        value, source = best.typical, best.label
        rows.append(_compute("measured", dtype, value, source, best.case_id))
    for level, best in memory_ceilings(run).items():
        value, source = best.typical, best.label
        rows.append(_memory("measured", level, value, source, best.case_id))
    for dtype in run.measured.dtype.drop_duplicates():
        if peak := peak_of(run, "mfu", str(dtype)):
            rows.append(_compute("datasheet", str(dtype), peak.value, peak.source))
    if peak := peak_of(run, "mbu", ""):
        rows.append(_memory("datasheet", MEMORY, peak.value, peak.source))
    return pd.DataFrame(rows, columns=CEILINGS)


def _compute(
    basis: Basis, dtype: str, value: float, source: str, case_id: str | None = None
) -> KnownCeiling:
    return KnownCeiling(basis, "compute", dtype, None, value, "FLOP/s", source, case_id)


def _memory(
    basis: Basis, level: str, value: float, source: str, case_id: str | None = None
) -> KnownCeiling:
    return KnownCeiling(basis, "memory", None, level, value, "B/s", source, case_id)


@once_a_run
def points(run: RunTables) -> pd.DataFrame:
    """A row (POINTS, see Limit) for each basis with a known ceiling and each case and span with
    declared work.

    `seconds` is the time of the median step, median over processes; `span` is WHOLE for the step.
    `bound` is memory or compute. It, `least_s` and `share` are null where a ceiling that the work
    needs is unknown, or where the work was faster than the ceiling allows (NO_CEILING), as in a
    cache.
    """
    known = ceilings_of(run)
    rows = []
    for done in _done(run).to_dict("records"):
        for basis in known.basis.drop_duplicates():
            compute, memory = _roofs(known[known.basis == basis], done["dtype"])
            compute = math.nan if done["span"] in UPDATES else compute
            rows.append({**done, "basis": basis, **vars(_limit(done, compute, memory))})
    return pd.DataFrame(rows, columns=POINTS)


def sums(points: pd.DataFrame) -> pd.DataFrame:
    """The spans of `points` added up: a row (SUMS, see Sum) for each case and basis that has spans
    with a least time."""
    rows = []
    for (case_id, label, basis), group in points.groupby(["case_id", "label", "basis"], sort=False):
        is_whole = group.span == WHOLE
        whole, spans = group[is_whole], group[~is_whole & group.least_s.notna()]
        if len(spans) and len(whole):
            step_s, least_s = whole.seconds.iloc[0], spans.least_s.sum()
            covered, share = spans.seconds.sum() / step_s, least_s / step_s
            rows.append(Sum(case_id, label, basis, len(spans), least_s, covered, step_s, share))
    return pd.DataFrame(rows, columns=SUMS)


def _done(run: RunTables) -> pd.DataFrame:
    """The work and time of each step and span, in the order of the plan: DONE and `in_memory`."""
    spans = span_work(run)
    spans = spans.assign(flops=_of_hardware(spans))
    done = pd.concat([_steps(run), spans], ignore_index=True)
    columns = {name: (name, "median") for name in ("seconds", "flops", "bytes")}
    head = {name: (name, "first") for name in ("dtype", "in_memory")}
    done = done.groupby(["case_id", "span"], sort=False).agg(**columns, **head).reset_index()
    done = cases(run)[["case_id", "label", "workload"]].merge(done, on="case_id")
    return done.assign(
        intensity=done.flops / done.bytes.where(done.bytes > 0),
        flops_per_s=done.flops / done.seconds,
        bytes_per_s=done.bytes / done.seconds,
    )


def _steps(run: RunTables) -> pd.DataFrame:
    """Whole steps with declared work, as `span_work` has spans."""
    by_process = timed_samples(run).groupby(["case_id", "process"])
    seconds = by_process.step_s.median().reset_index(name="seconds")
    in_memory, flops = moves_memory(run.measured), _of_hardware(run.measured)
    steps = run.measured.assign(in_memory=in_memory, span=WHOLE, flops=flops)
    steps = steps.merge(seconds[seconds.seconds > 0], on=["case_id", "process"])
    return steps.astype({"bytes": "float64"}).dropna(subset=["flops", "bytes"], how="all")


def _of_hardware(work: pd.DataFrame) -> "pd.Series[float]":
    return work.hardware_flops.astype("float64").fillna(work.flops.astype("float64"))


def _roofs(known: pd.DataFrame, dtype: str) -> tuple[float, float]:
    """The compute ceiling of the dtype and that of memory, NaN where unknown."""
    compute = known[(known.kind == "compute") & (known.dtype == dtype)].value
    memory = known[(known.kind == "memory") & (known.level == MEMORY)].value
    return _only(compute), _only(memory)


def _only(values: "pd.Series[float]") -> float:
    return float(values.iloc[0]) if len(values) else math.nan


def _limit(done: dict[str, Any], compute: float, memory: float) -> Limit:
    """The limit of work (a row of `_done`) under these ceilings."""
    unknown = Limit(compute, memory)
    needs = {"memory": (done["bytes"], memory)}
    if done["span"] not in UPDATES:
        needs = {"compute": (done["flops"], compute)} | needs
    declared = {name: need for name, need in needs.items() if not math.isnan(need[0])}
    times = {name: work / ceiling for name, (work, ceiling) in declared.items()}
    if not times or not done["in_memory"] or any(map(math.isnan, times.values())):
        return unknown
    bound = max(times, key=lambda name: times[name])
    if times[bound] > NO_CEILING * done["seconds"]:
        return unknown
    return Limit(compute, memory, bound, times[bound], times[bound] / done["seconds"])


def roofline_data(run: RunTables) -> dict[str, list[dict[str, Any]]]:
    """Ceilings, points and sums as rows for JSON, None for what is unknown."""
    tables = {"ceilings": ceilings_of(run), "points": points(run), "sums": sums(points(run))}
    return {name: _rows(table) for name, table in tables.items()}


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return list(table.astype(object).where(table.notna(), None).to_dict("records"))
