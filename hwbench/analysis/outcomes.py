"""What became of each case of a run's plan."""

import json

import pandas as pd

from hwbench.analysis.once import once_a_run
from hwbench.records import case_label
from hwbench.tables.reader import RunTables


@once_a_run
def cases(run: RunTables) -> pd.DataFrame:
    """One row a case, in the order of the plan: case_id, workload, params (a dict), dtype, label,
    outcome, reason, processes (that came out ok), planned (processes asked for) and choices (what
    the workload settled for, a dict).

    `outcome` is ok only where every stored process was; `missing` where none is stored (yet).
    """
    by_case = dict(iter(run.measurements.groupby("case_id")))
    rows = []
    for planned in run.plan["cases"]:
        stored = by_case.get(planned["case_id"], run.measurements.iloc[:0]).sort_values("process")
        bad = stored[stored.outcome != "ok"]
        rows.append(
            {
                **planned,
                "label": case_label(planned["workload"], planned["params"], planned["dtype"]),
                "outcome": "missing"
                if stored.empty
                else "ok"
                if bad.empty
                else bad.outcome.iloc[0],
                "reason": "" if bad.empty else bad.reason.iloc[0],
                "processes": len(stored) - len(bad),
                "planned": max(run.plan["policy"]["processes"], len(stored)),
                "choices": _choices(stored),
            }
        )
    names = [
        "case_id",
        "workload",
        "params",
        "dtype",
        "label",
        "outcome",
        "reason",
        "processes",
        "planned",
        "choices",
    ]
    return pd.DataFrame(rows, columns=names)


def _choices(stored: pd.DataFrame) -> dict[str, str]:
    """What the processes of a case settled for, each of several once; older runs say nothing."""
    found: dict[str, dict[str, None]] = {}
    for text in stored.choices.dropna():
        for what, which in json.loads(text).items():
            found.setdefault(what, {})[which] = None
    return {what: ", ".join(those) for what, those in found.items()}
