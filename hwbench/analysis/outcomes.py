"""The outcome of each case of a run's plan."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import pandas as pd

from hwbench.analysis.once import once_a_run
from hwbench.records import Param, case_label
from hwbench.tables.columns import PlannedCase
from hwbench.tables.run import RunTables


@dataclass(frozen=True)
class CaseOutcome:
    """A case of the plan and what became of it.

    `outcome` is ok only where every stored process was; `missing` where none is stored (yet).
    `processes` counts those that came out ok, `planned` those asked for; `choices` is what the
    workload settled for.
    """

    case_id: str
    workload: str
    params: Mapping[str, Param]
    dtype: str
    label: str
    outcome: str
    reason: str
    processes: int
    planned: int
    choices: Mapping[str, str]


@once_a_run
def cases(run: RunTables) -> pd.DataFrame:
    """A row (CaseOutcome) for each case, in the order of the plan."""
    by_case = dict(iter(run.decoded.groupby("case_id")))
    asked, nothing = run.planned.policy.processes, run.decoded.iloc[:0]
    rows = [_outcome_of(one, by_case.get(one.case_id, nothing), asked) for one in run.planned.cases]
    return pd.DataFrame(rows, columns=[column.name for column in fields(CaseOutcome)])


def _outcome_of(planned: PlannedCase, stored: pd.DataFrame, asked: int) -> CaseOutcome:
    """The outcome of a case of the plan, from its rows of `decoded`; `asked` is the number of
    processes."""
    stored = stored.sort_values("process")
    bad = stored[stored.outcome != "ok"]
    outcome, reason = ("missing", "") if stored.empty else ("ok", "")
    if len(bad):
        outcome, reason = bad.outcome.iloc[0], bad.reason.iloc[0]
    return CaseOutcome(
        case_id=planned.case_id,
        workload=planned.workload,
        params=planned.params,
        dtype=planned.dtype,
        label=case_label(planned.workload, planned.params, planned.dtype),
        outcome=outcome,
        reason=reason,
        processes=len(stored) - len(bad),
        planned=max(asked, len(stored)),
        choices=_choices(stored),
    )


def _choices(stored: pd.DataFrame) -> dict[str, str]:
    """The choices of the processes of a case, each of several values once; none in older runs."""
    values: dict[str, dict[str, None]] = {}
    for choices in stored.choices:
        for name, value in choices.items():
            values.setdefault(name, {})[str(value)] = None
    return {name: ", ".join(several) for name, several in values.items()}
