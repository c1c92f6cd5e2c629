"""The operators of a profiled case: their work, their time, and the least time that this machine's
ceilings allow.

The profiled step is longer than the clean one, since the profiler takes time for each event that it
records. The excess is divided evenly over all events, c = (profiled - clean) / events, and c ·
events is subtracted from the seconds of a row. c has a limit, as the machine may have been busy
during the profile. The kernels of an accelerator are timed by the device and need no correction.

An operator of F FLOPs and B bytes takes at least max(F / C, B / M), with C the run's best matmul in
its dtype and M its best copy (Williams, Waterman and Patterson, 2009). F / C counts for products
and attention only.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from hwbench.analysis.metrics.ceilings import MEMORY, NO_CEILING, matmul_ceilings, memory_ceilings
from hwbench.analysis.once import once_a_run
from hwbench.analysis.profile.kinds import ARITHMETIC, kind_of
from hwbench.records import UserError, case_label
from hwbench.tables.columns import PlannedCase
from hwbench.tables.run import RunTables

ROW = ["span", "module", "backward", "name", "shapes", "dtype"]
"""The key of a row of `ops` within a process and level."""

AMOUNTS = ["calls", "events", "seconds", "host_s"]
WORK = ["flops", "bytes"]
RATES = ["intensity", "flops_per_s", "bytes_per_s"]
ROOF = ["compute_ceiling", "memory_ceiling", "bound", "least_s", "over_s"]
OPERATORS = [*ROW, "kind", *AMOUNTS, "profiled_s", *WORK, *RATES, *ROOF]

MOST_EVENT_S = 20e-6
"""The most that an event can have cost. On a quiet machine of two Zen 4 cores it was 2.7
microseconds."""

ROUNDED = {"tf32": ("fp32",), "fp8": ("fp8", "float8_e4m3fn", "float8_e5m2")}
"""By the dtype of a case, the dtypes of tensors whose products run in it: TF32 multiplies tensors
of fp32."""


@dataclass(frozen=True)
class ProfiledCase:
    """A case that was profiled: each figure is the median over the processes whose profile is
    valid, None for unknown.

    `invalid` says why none of its profiles is valid, "" if one is; `unknown` names what a profile
    lacks, and why.
    """

    case_id: str
    workload: str
    dtype: str
    params: Mapping[str, Any]
    processes: tuple[int, ...]
    clean_step_s: float
    profiled_step_s: float
    events: float
    device_busy_s: float | None
    launch_s: float | None
    copy_s: float | None
    threads: float | None
    busy_share: float | None
    steps: Mapping[int, int] = field(repr=False)  # profiled, by process
    choices: Mapping[str, str] = field(default_factory=dict)  # those that the workload made
    invalid: str = ""
    unknown: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return case_label(self.workload, self.params, self.dtype)

    @property
    def overhead(self) -> float:
        """By how much the profiler made the step longer, as a share of the clean one."""
        return self.profiled_step_s / self.clean_step_s - 1 if self.clean_step_s else math.nan

    @property
    def on_accelerator(self) -> bool:
        """Whether the seconds of operators are those of kernels, timed by the device."""
        return self.device_busy_s is not None

    @property
    def event_s(self) -> float:
        """The mean time of the profiler for an event, at most MOST_EVENT_S: more has another
        cause."""
        if not self.events > 0:
            return 0.0
        excess = self.profiled_step_s - self.clean_step_s
        return min(MOST_EVENT_S, max(0.0, excess / self.events))


@once_a_run
def profiled_cases(run: RunTables) -> dict[str, ProfiledCase]:
    """The profiled cases by their ids, in the order of the plan."""
    profiles = run.profiles.assign(unknown=run.unknown)
    profiled = set(profiles.case_id)
    return {
        planned.case_id: _case(
            planned,
            profiles[profiles.case_id == planned.case_id],
            run.decoded[run.decoded.case_id == planned.case_id].choices,
        )
        for planned in run.planned.cases
        if planned.case_id in profiled
    }


def profiled_case(run: RunTables, named: str | None = None) -> ProfiledCase:
    """The profiled case with the id `named`; without one, the only profiled case. UserError if
    there is no such case, or more than one."""
    profiled = profiled_cases(run)
    if named in profiled:
        return profiled[named]
    if not profiled:
        raise UserError(f"run {run.run_id} has no profile; `hwbench profile WORKLOAD` makes one")
    ids = ", ".join(f"{case.case_id} ({case.label})" for case in profiled.values())
    if named is not None:
        raise UserError(f"run {run.run_id} has no profile of case {named}; it has {ids}")
    if len(profiled) > 1:
        count = len(profiled)
        raise UserError(f"run {run.run_id} has profiles of {count} cases; name one of {ids}")
    return next(iter(profiled.values()))


def operators(run: RunTables, case: ProfiledCase) -> pd.DataFrame:
    """A row (OPERATORS) for each operator of a valid profile, the most seconds first.

    `profiled_s` are the seconds as recorded, `seconds` those corrected for the profiler's cost.
    `bound` is compute or memory, whichever has the longer least time; `least_s` is that time, at
    most the seconds that the operator took; `over_s` is the rest. The three are null where the work
    or a ceiling that it needs is unknown.
    """
    table = rows_of(run, case, "operator")
    cost = 0.0 if case.on_accelerator else case.event_s
    table["profiled_s"] = table.seconds
    table["seconds"] = (table.seconds - cost * table.events).clip(lower=0.0)
    table["kind"] = table.name.map(kind_of).astype(object)
    memory = memory_ceilings(run).get(MEMORY)
    table["compute_ceiling"] = _compute_ceilings(run, case, table)
    table["memory_ceiling"] = memory.typical if memory else math.nan
    table = longest_first(with_rates(_with_limits(table)))
    return table[OPERATORS]


def computed_in(dtype: str, case_dtype: str) -> str:
    """The dtype whose matmul ceiling bounds a product of tensors of `dtype` in a case of
    `case_dtype`."""
    return case_dtype if dtype in ROUNDED.get(case_dtype, ()) else dtype


def _compute_ceilings(
    run: RunTables, case: ProfiledCase, table: pd.DataFrame
) -> "pd.Series[float]":
    """The matmul ceiling of each row's dtype; NaN where none is known, or where the case's own
    products of that dtype were faster together, so that it is no ceiling."""
    ceilings = {dtype: ceiling.typical for dtype, ceiling in matmul_ceilings(run).items()}
    computed = [computed_in(dtype, case.dtype) for dtype in table.dtype]
    dtypes = pd.Series(computed, index=table.index, dtype=object)
    products = table[table.kind.isin(ARITHMETIC) & table.flops.notna()]
    sums = products.groupby(dtypes.loc[products.index])[["flops", "profiled_s"]].sum()
    for dtype, work in sums.iterrows():
        if work.flops > NO_CEILING * ceilings.get(str(dtype), math.inf) * work.profiled_s:
            ceilings.pop(str(dtype), None)
    return dtypes.map(ceilings).astype("float64")


def rows_of(run: RunTables, case: ProfiledCase, level: str) -> pd.DataFrame:
    """The rows of `ops` at a level: ROW, AMOUNTS and WORK, the median over the valid processes. A
    process without the row counts with amounts of 0."""
    table = run.ops[(run.ops.case_id == case.case_id) & (run.ops.level == level)]
    table = table[table.process.isin(case.processes)]
    table = table.astype(dict.fromkeys([*AMOUNTS, *WORK], "float64"))
    within = totals(table, ["process", *ROW], [*AMOUNTS, *WORK])
    middle = within.groupby(ROW, sort=False)[WORK].median()
    wide = within.set_index([*ROW, "process"])[AMOUNTS].unstack("process", fill_value=0.0)
    for name in AMOUNTS if len(wide) else []:
        by_process = wide[name].reindex(columns=list(case.processes), fill_value=0.0)
        middle[name] = by_process.median(axis=1)
    return middle.reset_index().reindex(columns=[*ROW, *AMOUNTS, *WORK])


def totals(table: pd.DataFrame, by: list[str], columns: list[str]) -> pd.DataFrame:
    """The sums of `columns` in each group, in order of appearance; null where any value is null."""
    groups = table.groupby(by, sort=False, dropna=False)[columns]
    sums = groups.sum()
    complete = groups.count().eq(table.groupby(by, sort=False, dropna=False).size(), axis=0)
    return sums.where(complete).reset_index()


def with_rates(table: pd.DataFrame) -> pd.DataFrame:
    """`table` with the columns RATES, null where the work or the time is unknown or zero."""
    seconds = table.seconds.where(table.seconds > 0)
    return table.assign(
        intensity=table.flops / table.bytes.where(table.bytes > 0),
        flops_per_s=table.flops / seconds,
        bytes_per_s=table.bytes / seconds,
    )


def longest_first(table: pd.DataFrame) -> pd.DataFrame:
    """`table` sorted by seconds, the most first, with a new index."""
    return table.sort_values("seconds", ascending=False, kind="stable", ignore_index=True)


def by_name(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """The rows of `operators` added up by the columns `by`, the most seconds first: `by`, kind,
    AMOUNTS, WORK, RATES, bound (of the row with the most seconds), least_s and over_s; sums are
    null where a part is."""
    if table.empty:
        columns = [*by, "kind", *AMOUNTS, *WORK, *RATES, "bound", "least_s", "over_s"]
        return pd.DataFrame(columns=columns)
    summed = with_rates(totals(table, by, [*AMOUNTS, *WORK, "least_s", "over_s"]))
    longest = longest_first(table).drop_duplicates(by)
    others = [name for name in ("kind", "bound") if name not in by]
    return longest_first(summed.merge(longest[[*by, *others]], on=by))


def _with_limits(table: pd.DataFrame) -> pd.DataFrame:
    """`table` with the columns bound, least_s and over_s."""
    is_product = table.kind.isin(ARITHMETIC)
    arithmetic = (table.flops / table.compute_ceiling).where(is_product, 0.0)
    traffic = table.bytes / table.memory_ceiling
    # a product whose bytes are unknown is still bounded by its FLOPs
    traffic = traffic.where(~is_product | table.bytes.notna(), 0.0)
    least = pd.concat([arithmetic, traffic], axis=1).max(axis=1, skipna=False)
    longer = np.where(arithmetic > traffic, "compute", "memory")
    bound = pd.Series(longer, index=table.index, dtype=object).where(least.notna(), None)
    least_s = least.where(least < table.seconds, table.seconds).where(least.notna())
    return table.assign(bound=bound, least_s=least_s, over_s=table.seconds - least_s)


def _case(planned: PlannedCase, profiles: pd.DataFrame, choices: pd.Series) -> ProfiledCase:
    """A case of the plan, from its rows of `profiles` and the choices of its processes."""
    valid = profiles[profiles.invalid.fillna("") == ""].sort_values("process")
    used = valid if len(valid) else profiles
    figures: dict[str, Any] = {}
    for name in ("clean_step_s", "profiled_step_s", "events"):
        figures[name] = float(used[name].dropna().median())
    for name in ("device_busy_s", "launch_s", "copy_s", "threads", "busy_share"):
        figures[name] = _median(used[name])
    unknown: dict[str, str] = {}
    for lacking in used.unknown:
        unknown |= lacking
    return ProfiledCase(
        case_id=planned.case_id,
        workload=planned.workload,
        dtype=planned.dtype,
        params=planned.params,
        processes=tuple(int(process) for process in valid.process),
        steps={int(row.process): int(row.steps) for row in valid.itertuples()},
        **figures,
        choices=choices.iloc[0] if len(choices) else {},
        invalid="" if len(valid) else str(profiles.invalid.iloc[0]),
        unknown=unknown,
    )


def _median(values: "pd.Series[float]") -> float | None:
    """The median of the known values, None if there is none."""
    known = values.astype("float64").dropna()
    return float(known.median()) if len(known) else None
