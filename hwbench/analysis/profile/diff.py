"""The operators that account for the difference between two runs' clean steps.

Operators are joined by span, common name and direction, so that a CPU and a GPU, or two versions of
torch, line up. The framework's time and idle time have rows of their own. The residual is the part
of the difference that the rows do not account for.
"""

from dataclasses import dataclass, field

import pandas as pd

from hwbench.analysis.profile.kinds import common_name
from hwbench.analysis.profile.operators import (
    ProfiledCase,
    operators,
    profiled_case,
    profiled_cases,
)
from hwbench.analysis.profile.waterfall import Waterfall, only_looks, outside, waterfall
from hwbench.records import UserError
from hwbench.tables.run import RunTables

JOINED = ["span", "name", "backward"]
DIFF = [*JOINED, "kind", "a_s", "b_s", "difference_s", "share"]

OUTSIDE = {"framework": "(framework)", "launch_and_idle": "(launch and idle)"}
"""The names of the rows that are not operators."""


@dataclass(frozen=True)
class OpDiff:
    """Two profiled cases and the rows (DIFF) that account for the difference of their clean steps,
    b - a, the largest first.

    `a_s` and `b_s` are 0 where a run has no such operator; `share` is of the whole difference, null
    where that is zero. `residual_s` is not accounted for by the rows; `notes` say how the cases
    differ.
    """

    a: ProfiledCase
    b: ProfiledCase
    rows: pd.DataFrame = field(repr=False)
    difference_s: float
    residual_s: float
    notes: tuple[str, ...] = ()


def diff(a: RunTables, b: RunTables, *, named: str | None = None) -> OpDiff:
    """Compare the profiles of two runs: of the case that both profiled, or the one with the id
    `named`. UserError if there is none, if there are several and none is named, or if a profile is
    invalid."""
    first, second = _common_case(a, b, named)
    for run, case in ((a, first), (b, second)):
        if case.invalid:
            raise UserError(
                f"the profile of run {run.run_id} is invalid ({case.invalid}); profile it again"
            )
    rows = _seconds(a, first).merge(
        _seconds(b, second), on=JOINED, how="outer", suffixes=("_a", "_b"), sort=False
    )
    difference_s = second.clean_step_s - first.clean_step_s
    table = rows.assign(
        kind=rows.kind_a.fillna(rows.kind_b),
        a_s=rows.seconds_a.fillna(0.0),
        b_s=rows.seconds_b.fillna(0.0),
    )
    table["difference_s"] = table.b_s - table.a_s
    table["share"] = table.difference_s / difference_s if difference_s else None
    table = table.sort_values(
        "difference_s", key=abs, ascending=False, kind="stable", ignore_index=True
    )
    residual_s = difference_s - float(table.difference_s.sum())
    return OpDiff(first, second, table[DIFF], difference_s, residual_s, _notes(first, second))


def _seconds(run: RunTables, case: ProfiledCase) -> pd.DataFrame:
    """JOINED, kind and seconds of all that a step is made of."""
    parts = waterfall(run, case)
    if isinstance(parts, Waterfall):  # scaled, so that all sums to the clean step
        table, beside = parts.operators, {part.part: part.seconds for part in parts.parts}
        table = table[~only_looks(table)]  # their time is in the framework's part
    else:
        table = operators(run, case)
        beside = outside(run, case, table)
    table = table.assign(name=table.name.map(common_name).astype(object))
    groups = table.groupby(JOINED, sort=False)
    joined = groups.agg(kind=("kind", "first"), seconds=("seconds", "sum")).reset_index()
    rows = [
        {"span": "", "name": name, "backward": False, "kind": "outside", "seconds": beside[part]}
        for part, name in OUTSIDE.items()
    ]
    return pd.concat([joined.astype({"backward": bool}), pd.DataFrame(rows)], ignore_index=True)


def _common_case(
    a: RunTables, b: RunTables, named: str | None
) -> tuple[ProfiledCase, ProfiledCase]:
    """The case of each run: the same one, or else the only pair of one workload."""
    if named is not None:
        return profiled_case(a, named), profiled_case(b, named)
    first, second = profiled_cases(a), profiled_cases(b)
    for run, cases in ((a, first), (b, second)):
        if not cases:
            profiled_case(run)  # raises the UserError
    shared = [case_id for case_id in first if case_id in second]
    if len(shared) == 1:
        return first[shared[0]], second[shared[0]]
    if shared:
        ids = ", ".join(f"{case_id} ({first[case_id].label})" for case_id in shared)
        raise UserError(f"both runs have profiles of {len(shared)} cases; name one of {ids}")
    alike = [(x, y) for x in first.values() for y in second.values() if x.workload == y.workload]
    if len(alike) != 1:
        labels = [", ".join(case.label for case in cases.values()) for cases in (first, second)]
        profiled = f"{a.run_id} has {labels[0]}; {b.run_id} {labels[1]}"
        raise UserError(f"the runs have no profiled case in common: {profiled}")
    return alike[0]


def _notes(a: ProfiledCase, b: ProfiledCase) -> tuple[str, ...]:
    keys = dict.fromkeys([*a.params, *b.params])
    differing = [key for key in keys if (a.params.get(key) or None) != (b.params.get(key) or None)]
    words = [f"{key}: {a.params.get(key)} in a, {b.params.get(key)} in b" for key in differing]
    if a.dtype != b.dtype:
        words.append(f"dtype: {a.dtype} in a, {b.dtype} in b")
    return (f"the cases differ in {'; '.join(words)}",) if words else ()
