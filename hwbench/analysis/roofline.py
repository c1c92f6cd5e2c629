"""The roofline of a run: what its machine allows each step and each part of it, against what they
took.

Williams, Waterman and Patterson (2009): work of F FLOPs and B bytes takes at least max(F / C, B /
M), with C the most FLOP/s of its dtype and M the most B/s of the memory. There are two rooflines:
`measured`, of the matmuls and copies of the same run, and `datasheet`, from the device's peaks.
FLOPs are those that the hardware does, recomputation included, where they are declared.
"""

import math
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
from hwbench.tables.reader import RunTables

Basis = Literal["measured", "datasheet"]

CEILINGS = ["basis", "kind", "dtype", "level", "value", "unit", "source", "case_id"]
POINTS = [
    "case_id", "label", "workload", "dtype", "span", "seconds", "flops", "bytes", "intensity", "flops_per_s",
    "bytes_per_s", "basis", "compute_ceiling", "memory_ceiling", "bound", "least_s", "share",
]  # fmt: skip
SUMS = ["case_id", "label", "basis", "spans", "least_s", "covered", "step_s", "share"]
WHOLE = ""
"""The span of a point that is a whole step."""


@once_a_run
def ceilings_of(run: RunTables) -> pd.DataFrame:
    """A row (CEILINGS) for each ceiling that is known: `kind` is compute, with its dtype, or
    memory, with its level; `value` in `unit`, FLOP/s or B/s; `case_id` of the case that measured
    it."""
    rows = [
        {
            "basis": "measured",
            "kind": "compute",
            "dtype": dtype,
            "value": found.typical,
            "unit": "FLOP/s",
        }
        | {"source": found.label, "case_id": found.case_id}
        for dtype, found in matmul_ceilings(run).items()
    ]
    rows += [
        {
            "basis": "measured",
            "kind": "memory",
            "level": level,
            "value": found.typical,
            "unit": "B/s",
        }
        | {"source": found.label, "case_id": found.case_id}
        for level, found in memory_ceilings(run).items()
    ]
    for dtype in run.measured.dtype.drop_duplicates():
        if peak := peak_of(run, "mfu", str(dtype)):
            rows.append(
                {"basis": "datasheet", "kind": "compute", "dtype": dtype, "value": peak.value}
            )
            rows[-1] |= {"unit": "FLOP/s", "source": peak.source}
    if peak := peak_of(run, "mbu", ""):
        rows.append({"basis": "datasheet", "kind": "memory", "level": MEMORY, "value": peak.value})
        rows[-1] |= {"unit": "B/s", "source": peak.source}
    return pd.DataFrame(rows, columns=CEILINGS)


@once_a_run
def points(run: RunTables) -> pd.DataFrame:
    """A row (POINTS) for each case and each span with declared work, and each basis of which a
    ceiling is known.

    `seconds` are those of the median step, median over processes; `span` is WHOLE for the step.
    `bound` is what takes longer at least, memory or compute; `least_s` how long; `share` is least_s
    / seconds. They are null where a ceiling that the work needs is not known, or is none since the
    work was done faster (NO_CEILING): out of a cache, say.
    """
    known = ceilings_of(run)
    rows = []
    for done in _done(run).to_dict("records"):
        for basis in known.basis.drop_duplicates():
            compute, memory = _roofs(known[known.basis == basis], done["dtype"])
            compute = math.nan if done["span"] in UPDATES else compute
            rows.append(done | {"basis": basis} | _held_against(done, compute, memory))
    return pd.DataFrame(rows, columns=POINTS)


def sums(points: pd.DataFrame) -> pd.DataFrame:
    """What the roofline allows whole steps, span by span: a row (SUMS) for each case and basis with
    such spans.

    `least_s` is the sum of the spans' least times, `spans` how many have one, `covered` the part of
    the step that they took, `step_s` the measured step, `share` least_s / step_s: with all of the
    step covered, what of it is needed.
    """
    rows = []
    for (case_id, label, basis), group in points.groupby(["case_id", "label", "basis"], sort=False):
        whole, parts = (
            group[group.span == WHOLE],
            group[(group.span != WHOLE) & group.least_s.notna()],
        )
        if len(parts) and len(whole):
            step_s, least_s = whole.seconds.iloc[0], parts.least_s.sum()
            row = {
                "case_id": case_id,
                "label": label,
                "basis": basis,
                "spans": len(parts),
                "least_s": least_s,
            }
            rows.append(
                row
                | {
                    "covered": parts.seconds.sum() / step_s,
                    "step_s": step_s,
                    "share": least_s / step_s,
                }
            )
    return pd.DataFrame(rows, columns=SUMS)


def _done(run: RunTables) -> pd.DataFrame:
    """The work and time of each step and span, in the order of the plan: the columns of POINTS up
    to bytes_per_s, and `in_memory`."""
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
    seconds = (
        timed_samples(run)
        .groupby(["case_id", "process"])
        .step_s.median()
        .reset_index(name="seconds")
    )
    steps = run.measured.assign(
        in_memory=moves_memory(run.measured), span=WHOLE, flops=_of_hardware(run.measured)
    )
    steps = steps.merge(seconds[seconds.seconds > 0], on=["case_id", "process"])
    return steps.astype({"bytes": "float64"}).dropna(subset=["flops", "bytes"], how="all")


def _of_hardware(work: pd.DataFrame) -> "pd.Series[float]":
    return work.hardware_flops.astype("float64").fillna(work.flops.astype("float64"))


def _roofs(known: pd.DataFrame, dtype: str) -> tuple[float, float]:
    """The compute ceiling of the dtype and that of memory, NaN where not known."""
    compute = known[(known.kind == "compute") & (known.dtype == dtype)].value
    memory = known[(known.kind == "memory") & (known.level == MEMORY)].value
    return _only(compute), _only(memory)


def _only(values: "pd.Series[float]") -> float:
    return float(values.iloc[0]) if len(values) else math.nan


def _held_against(done: dict[str, Any], compute: float, memory: float) -> dict[str, Any]:
    """The columns of POINTS from compute_ceiling on, of work that was done in some time."""
    found: dict[str, Any] = {"compute_ceiling": compute, "memory_ceiling": memory}
    needs = {"compute": (done["flops"], compute), "memory": (done["bytes"], memory)}
    if done["span"] in UPDATES:
        needs = {"memory": needs["memory"]}
    times = {
        name: work / ceiling for name, (work, ceiling) in needs.items() if not math.isnan(work)
    }
    unknown = (
        not times or any(math.isnan(least) for least in times.values()) or not done["in_memory"]
    )
    if unknown or max(times.values()) > NO_CEILING * done["seconds"]:
        return found | {"bound": None, "least_s": math.nan, "share": math.nan}
    bound = max(times, key=lambda name: times[name])
    return found | {
        "bound": bound,
        "least_s": times[bound],
        "share": times[bound] / done["seconds"],
    }


def roofline_data(run: RunTables) -> dict[str, list[dict[str, Any]]]:
    """Ceilings, points and sums as JSON takes them, null for what is not known."""
    found = points(run)
    return {"ceilings": _rows(ceilings_of(run)), "points": _rows(found), "sums": _rows(sums(found))}


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {name: None if pd.isna(value) else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]
