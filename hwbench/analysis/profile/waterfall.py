"""The waterfall of a step: from the least time that this machine's ceilings allow up to the clean
step, in parts.

The parts come from the profile of the same process:
- `compute` and `memory`: the least times of the operators that the matmul ceiling or the bandwidth
  bounds;
- `launch_and_idle`: an accelerator's gaps between kernels, except where its host was late (a CPU
  launches nothing);
- `framework`: the gaps in which the host was late; on a CPU the time outside of all operators, and
  in those that only view a tensor in another way;
- `rest`: the time of operators beyond their least time, and all time of operators without a known
  ceiling.

The parts sum to the clean step. Corrected for the profiler's cost they nearly do; the difference
(`missed_s`) is scaled away, out of the least times only when all other parts are used up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from hwbench.analysis.metrics.ceilings import COPY, MATMUL, matmul_ceilings
from hwbench.analysis.profile.kinds import ARITHMETIC
from hwbench.analysis.profile.operators import ProfiledCase, computed_in, operators
from hwbench.tables.run import RunTables

PARTS = ("compute", "memory", "launch_and_idle", "framework", "rest")

RESTS = ("matmul", "attention", "memory", "no_ceiling")
"""The parts of `rest`: products and attention beyond the matmul ceiling or the bandwidth, all other
operators beyond the bandwidth, and operators whose work or ceiling is unknown."""

NO_IDEAL = "the least time of a step is not known"


@dataclass(frozen=True)
class Part:
    part: str
    seconds: float


@dataclass(frozen=True)
class Waterfall:
    """The parts (PARTS) of a clean step, in order, and those of `rest` (RESTS), all in seconds.

    `overhead` is by how much the profiler made the step longer, as a share; `missed_s` the sum of
    the parts less the clean step, before they were scaled; `operators` the rows of
    operators.operators, scaled with the parts; `notes` say what is not accounted for, and the cure.
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
        return next(one.seconds for one in self.parts if one.part == part)


@dataclass(frozen=True)
class NoWaterfall:
    """Why there is no waterfall, in a line."""

    reason: str


def waterfall(run: RunTables, case: ProfiledCase) -> Waterfall | NoWaterfall:
    """The waterfall of a profiled case, or why there is none: the profile is invalid, or a ceiling
    is unknown."""
    if case.invalid:
        return NoWaterfall(f"the profile is invalid: {case.invalid}")
    if not case.clean_step_s > 0:
        return NoWaterfall("the clean step took no time")
    table = operators(run, case)
    if table.empty:
        return NoWaterfall("the profile has no operators")
    if missing := _missing_ceilings(run, case, table):
        return NoWaterfall(f"{NO_IDEAL}: {missing}")
    profiled = _profiled_parts(run, case, table)
    parts = fit_parts(profiled, case.clean_step_s, case.on_accelerator)
    table = _scale(table, {name: _ratio(parts[name], profiled[name]) for name in profiled})
    return Waterfall(
        clean_step_s=case.clean_step_s,
        profiled_step_s=case.profiled_step_s,
        overhead=case.overhead,
        parts=[Part(name, parts[name]) for name in PARTS],
        rest_of=_rest_of(table),
        missed_s=sum(profiled.values()) - case.clean_step_s,
        operators=table,
        notes=_notes(run, case, table),
    )


def _profiled_parts(run: RunTables, case: ProfiledCase, table: pd.DataFrame) -> dict[str, float]:
    """The parts as profiled, in seconds, which need not sum to the clean step."""
    known, views = table.least_s.notna(), only_looks(table)
    least = table[known].groupby("bound").least_s.sum()
    beside = outside(run, case, table)
    return {
        "compute": float(least.get("compute", 0.0)),
        "memory": float(least.get("memory", 0.0)),
        "launch_and_idle": beside["launch_and_idle"],
        "framework": beside["framework"] + float(table.seconds[views].sum()),
        "rest": float(table.over_s[~views].sum() + table.seconds[~known].sum()),
    }


def _ratio(scaled: float, profiled: float) -> float:
    return scaled / profiled if profiled else 0.0


def only_looks(table: pd.DataFrame) -> "pd.Series[bool]":
    """Whether each operator only views a tensor in another way; its time is the framework's."""
    return table.bytes.eq(0) & table.flops.eq(0)


def outside(run: RunTables, case: ProfiledCase, table: pd.DataFrame) -> dict[str, float]:
    """The seconds of a step in which no operator of `table` worked: `launch_and_idle` and
    `framework`.

    On a CPU all of them are the framework's: the profiled step less its operators and less the
    profiler's cost for events outside of these. On an accelerator they are the clean step less its
    busy time, divided in the proportion of the gaps' causes. The gaps themselves are longer in a
    profiled step, since the profiler slows the host down.
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
    """The profiled step's idle seconds by cause, the most first: the mean over steps, the median
    over processes."""
    gaps = run.gaps[(run.gaps.case_id == case.case_id) & run.gaps.process.isin(case.processes)]
    sums = gaps.groupby(["cause", "process"]).gap_s.sum().unstack("process", fill_value=0.0)
    sums = sums.reindex(columns=list(case.processes), fill_value=0.0)
    sums = sums / pd.Series(case.steps, dtype="float64")
    middle = sums.median(axis=1).sort_values(ascending=False, kind="stable")
    return {str(cause): float(seconds) for cause, seconds in middle.items()}


def fit_parts(
    parts: Mapping[str, float], clean_step_s: float, on_accelerator: bool
) -> dict[str, float]:
    """Scale `parts` so that they sum to the clean step.

    The least certain parts are scaled first: on a CPU all but the least times; on an accelerator,
    whose kernels were timed by the device, its gaps. If these are zero, the missing time goes to
    the first of them.
    """
    groups: list[tuple[str, ...]] = [("framework", "rest"), ("compute", "memory")]
    if on_accelerator:
        groups = [("launch_and_idle", "framework"), ("rest",), ("compute", "memory")]
    scaled = dict(parts)
    missing = clean_step_s - sum(scaled.values())
    for group in groups:
        total = sum(scaled[name] for name in group)
        wanted = max(0.0, total + missing)
        if total > 0:
            scaled |= {name: scaled[name] / total * wanted for name in group}
        elif missing > 0:
            scaled[group[0]] = wanted
        missing = clean_step_s - sum(scaled.values())
    return scaled


def _scale(table: pd.DataFrame, factor: Mapping[str, float]) -> pd.DataFrame:
    """`table` with the seconds of each row scaled by the factors of the parts that they are in."""
    of_bound = {name: factor[name] for name in ("compute", "memory")}
    of_rest = {True: factor["framework"], False: factor["rest"]}
    scale = only_looks(table).map(of_rest).astype("float64")
    least_s = table.least_s * table.bound.map(of_bound).astype("float64")
    over_s = table.over_s * scale
    seconds = (least_s + over_s).fillna(table.seconds * scale)
    return table.assign(least_s=least_s, over_s=over_s, seconds=seconds)


def _rest_of(table: pd.DataFrame) -> dict[str, float]:
    table = table[~only_looks(table)]
    known = table.least_s.notna()
    cause = table.kind.where(table.kind.isin(ARITHMETIC), "memory").where(known, "no_ceiling")
    sums = table.over_s.where(known, table.seconds).groupby(cause).sum()
    return {name: float(sums.get(name, 0.0)) for name in RESTS}


def _missing_ceilings(run: RunTables, case: ProfiledCase, table: pd.DataFrame) -> str:
    """Why the least time is unknown, and which workloads to measure with the case; "" where it is
    known."""
    needed = _products(table)
    if needed.compute_ceiling.notna().any():
        needed = needed.iloc[:0]
    ceilings = matmul_ceilings(run)
    dtypes = _dtypes(case, needed)
    exceeded = [dtype for dtype in dtypes if dtype in ceilings]
    unmeasured = [dtype for dtype in dtypes if dtype not in ceilings]
    to_measure = []
    if unmeasured and not exceeded:
        to_measure.append(f"`{MATMUL}` in {', '.join(unmeasured)}")
    if table.memory_ceiling.isna().all():
        to_measure.append(f"`{COPY}`")
    reasons = [_exceeded(dtype) for dtype in exceeded]
    if to_measure:
        reasons.append(f"no ceiling was measured in this run; add {' and '.join(to_measure)}")
    return "; ".join(reasons)


def _notes(run: RunTables, case: ProfiledCase, table: pd.DataFrame) -> list[str]:
    """The dtypes whose products have no ceiling, why, and the cure."""
    products, ceilings = _products(table), matmul_ceilings(run)
    notes = []
    for dtype in _dtypes(case, products[products.compute_ceiling.isna()]):
        unmeasured = f"products in {dtype} have no measured ceiling; add `{MATMUL}` in it"
        notes.append(_exceeded(dtype) if dtype in ceilings else unmeasured)
    return notes


def _exceeded(dtype: str) -> str:
    return (
        f"its products in {dtype} were faster than `{MATMUL}`, which is no ceiling then; "
        "measure when nothing else runs"
    )


def _products(table: pd.DataFrame) -> pd.DataFrame:
    return table[table.kind.isin(ARITHMETIC) & (table.flops > 0)]


def _dtypes(case: ProfiledCase, table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(computed_in(dtype, case.dtype) for dtype in table.dtype))
