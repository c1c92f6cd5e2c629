"""Why a step takes as long as it does: from the least that this machine's ceilings allow it up to
the clean step.

The parts, from the profile of the same process: `compute` and `memory`, the least times of the
operators that the matmul ceiling and the bandwidth bound; `launch_and_idle`, an accelerator's gaps
between kernels but for those in which its host was late (a CPU launches nothing); `framework`,
those gaps, or a CPU's time outside of all operators and in those that only look at a tensor in
another way; `rest`, what operators took beyond their least, and all of those that no ceiling is
known for.

The parts sum to the clean step. Corrected for the profiler's cost they should, and nearly do: what
they miss is scaled away (`missed_s`), and never out of the least times before all else is gone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from hwbench.analysis.metrics.ceilings import COPY, MATMUL, matmul_ceilings
from hwbench.analysis.profile.kinds import ARITHMETIC
from hwbench.analysis.profile.operators import ProfiledCase, computed_in, operators
from hwbench.tables.reader import RunTables

PARTS = ("compute", "memory", "launch_and_idle", "framework", "rest")

RESTS = ("matmul", "attention", "memory", "no_ceiling")
"""What `rest` is made of: products and attention beyond the matmul ceiling or the bandwidth, all
other operators beyond the bandwidth, and operators of which the work or a ceiling is not known."""

NO_IDEAL = "the least time of a step is not known"


@dataclass(frozen=True)
class Part:
    part: str
    seconds: float


@dataclass(frozen=True)
class Waterfall:
    """The parts (PARTS) of a clean step, in order, and the sums that `rest` is of (RESTS), all in
    seconds.

    `overhead` is what the profiler made the step longer by, as a share; `missed_s` what the parts
    came to less the clean step, before they were scaled; `operators` the rows of
    `operators.operators`, scaled with them; `notes` say what was not accounted for, and the cure.
    """

    clean_step_s: float
    profiled_step_s: float
    overhead: float
    parts: Sequence[Part]
    rest_of: Mapping[str, float]
    missed_s: float
    operators: pd.DataFrame = field(repr=False)
    notes: Sequence[str] = ()

    def seconds(self, part: str) -> float:
        return next(found.seconds for found in self.parts if found.part == part)


@dataclass(frozen=True)
class NoWaterfall:
    """Why there is none, in a line."""

    reason: str


def waterfall(run: RunTables, case: ProfiledCase) -> Waterfall | NoWaterfall:
    """The waterfall of a profiled case, or why there is none: the profile is invalid, or no ceiling
    is known."""
    if case.invalid:
        return NoWaterfall(f"the profile is invalid: {case.invalid}")
    if not case.clean_step_s > 0:
        return NoWaterfall("the clean step took no time")
    table = operators(run, case)
    if table.empty:
        return NoWaterfall("the profile has no operators")
    if missing := _missing_ceilings(run, case, table):
        return NoWaterfall(f"{NO_IDEAL}: {missing}")
    known, looks = table.least_s.notna(), only_looks(table)
    least = table[known].groupby("bound").least_s.sum()
    found = {
        "compute": float(least.get("compute", 0.0)),
        "memory": float(least.get("memory", 0.0)),
        **outside(run, case, table),
        "rest": float(table.over_s[~looks].sum() + table.seconds[~known].sum()),
    }
    found["framework"] += float(table.seconds[looks].sum())
    parts = fitted(found, case.clean_step_s, case.on_accelerator)
    factor = {name: parts[name] / seconds if seconds else 0.0 for name, seconds in found.items()}
    table = _scaled(table, factor)
    return Waterfall(
        clean_step_s=case.clean_step_s,
        profiled_step_s=case.profiled_step_s,
        overhead=case.overhead,
        parts=[Part(name, parts[name]) for name in PARTS],
        rest_of=_rest_of(table),
        missed_s=sum(found.values()) - case.clean_step_s,
        operators=table,
        notes=_notes(run, case, table),
    )


def only_looks(table: pd.DataFrame) -> "pd.Series[bool]":
    """Which operators only look at a tensor in another way: what they take is the framework's."""
    return table.bytes.eq(0) & table.flops.eq(0)


def outside(run: RunTables, case: ProfiledCase, table: pd.DataFrame) -> dict[str, float]:
    """The seconds of a step in which no operator of `table` worked: `launch_and_idle` and
    `framework`.

    On a CPU all of them are framework's: the profiled step less its operators and less what the
    profiler took for events outside of these. On an accelerator they are what the clean step leaves
    beside its busy time, divided as the gaps are by their causes: a profiled step's own gaps are
    longer, since it is the host that the profiler slows down.
    """
    if not case.on_accelerator:
        elsewhere = case.event_s * max(0.0, case.events - table.events.sum())
        alone = case.profiled_step_s - table.profiled_s.sum() - elsewhere
        return {"launch_and_idle": 0.0, "framework": max(0.0, float(alone))}
    idle = max(0.0, case.clean_step_s - (case.device_busy_s or 0.0))
    gaps = gap_seconds(run, case)
    late = gaps.get("host_late", 0.0) / sum(gaps.values()) if sum(gaps.values()) > 0 else 0.0
    return {"launch_and_idle": idle * (1 - late), "framework": idle * late}


def gap_seconds(run: RunTables, case: ProfiledCase) -> dict[str, float]:
    """The profiled step's idle seconds by their cause, the most first: the mean over steps, the
    median over processes."""
    gaps = run.gaps[(run.gaps.case_id == case.case_id) & run.gaps.process.isin(case.processes)]
    sums = gaps.groupby(["cause", "process"]).gap_s.sum().unstack("process", fill_value=0.0)
    sums = sums.reindex(columns=list(case.processes), fill_value=0.0) / pd.Series(
        case.steps, dtype="float64"
    )
    middle = sums.median(axis=1).sort_values(ascending=False, kind="stable")
    return {str(cause): float(seconds) for cause, seconds in middle.items()}


def fitted(
    parts: Mapping[str, float], clean_step_s: float, on_accelerator: bool
) -> dict[str, float]:
    """`parts` scaled so that they sum to the clean step.

    What is least certain gives way first: on a CPU all but the least times; on an accelerator,
    whose kernels were timed by the device, its gaps. Where nothing was seen of what is missing, it
    is put down to what nobody saw.
    """
    groups = (
        [("launch_and_idle", "framework"), ("rest",)] if on_accelerator else [("framework", "rest")]
    )
    found = dict(parts)
    missing = clean_step_s - sum(found.values())
    for group in [*groups, ("compute", "memory")]:
        total = sum(found[name] for name in group)
        wanted = max(0.0, total + missing)
        if total > 0:
            found |= {name: found[name] / total * wanted for name in group}
        elif missing > 0:
            found[group[0]] = wanted
        missing = clean_step_s - sum(found.values())
    return found


def _scaled(table: pd.DataFrame, factor: Mapping[str, float]) -> pd.DataFrame:
    """`table` with its seconds as the parts were scaled that they are in."""
    least = table.least_s * table.bound.map(
        {"compute": factor["compute"], "memory": factor["memory"]}
    ).astype("float64")
    scale = (
        only_looks(table).map({True: factor["framework"], False: factor["rest"]}).astype("float64")
    )
    over = table.over_s * scale
    return table.assign(
        least_s=least, over_s=over, seconds=(least + over).fillna(table.seconds * scale)
    )


def _rest_of(table: pd.DataFrame) -> dict[str, float]:
    table = table[~only_looks(table)]
    known = table.least_s.notna()
    cause = table.kind.where(table.kind.isin(ARITHMETIC), "memory").where(known, "no_ceiling")
    sums = table.over_s.where(known, table.seconds).groupby(cause).sum()
    return {name: float(sums.get(name, 0.0)) for name in RESTS}


def _missing_ceilings(run: RunTables, case: ProfiledCase, table: pd.DataFrame) -> str:
    """Why there is no ideal, in words: which workloads are to be measured with it; "" where there
    is one."""
    needed = _products(table)
    if needed.compute_ceiling.notna().any():
        needed = needed.iloc[:0]
    measured = matmul_ceilings(run)
    dtypes = _dtypes(case, needed)
    beaten, missing = [d for d in dtypes if d in measured], [d for d in dtypes if d not in measured]
    wanted = [f"`{MATMUL}` in {', '.join(missing)}"] if missing and not beaten else []
    wanted += [] if table.memory_ceiling.notna().any() else [f"`{COPY}`"]
    why = [f"no ceiling was measured in this run; add {' and '.join(wanted)}"] if wanted else []
    return "; ".join([*map(_beaten, beaten), *why])


def _notes(run: RunTables, case: ProfiledCase, table: pd.DataFrame) -> list[str]:
    """What is not accounted for although it could be."""
    needed, measured = _products(table), matmul_ceilings(run)
    return [
        _beaten(dtype)
        if dtype in measured
        else f"products in {dtype} have no measured ceiling; add `{MATMUL}` in it"
        for dtype in _dtypes(case, needed[needed.compute_ceiling.isna()])
    ]


def _beaten(dtype: str) -> str:
    return f"its products in {dtype} were faster than `{MATMUL}`, which is no ceiling then; measure when nothing else runs"


def _products(table: pd.DataFrame) -> pd.DataFrame:
    return table[table.kind.isin(ARITHMETIC) & (table.flops > 0)]


def _dtypes(case: ProfiledCase, table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(computed_in(dtype, case.dtype) for dtype in table.dtype))
