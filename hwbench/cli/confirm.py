"""`hwbench gate --confirm N`: measure the cases of suspected regressions once more, in fresh processes."""

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hwbench.records import UserError

if TYPE_CHECKING:
    import pandas as pd

    from hwbench.plan import Plan
    from hwbench.store import RunTables


def measure_again(
    table: "pd.DataFrame", candidate: "RunTables", processes: int, files: tuple[str, ...], output: Path
) -> "RunTables | None":
    """A new run, in `output`, of the cases whose status in the gate's table is a regression; None if there is none.

    The candidate's plan is used, on this machine, which has to be the candidate's. UserError if it is another.
    """
    from hwbench import devices, environment, store
    from hwbench.cli.measuring import new_run_id, run_of
    from hwbench.cli.progress import reporter
    from hwbench.runner import describe_device, run_plan

    suspects = set(table[table.status == "regression"].case_id)
    if not suspects:
        return None
    head = candidate.runs.iloc[0]
    spec = devices.resolve(head.device_kind)
    found = describe_device(spec)
    if found["name"] != head.device_name:
        raise UserError(f"--confirm measures here, on {found['name']}; the candidate is of {head.device_name}")
    plan = _plan(candidate, suspects, processes)
    run_id = new_run_id(head.device_kind)
    click.echo(f"{run_id}: {len(suspects)} suspected, measured again in {processes} processes", err=True)
    writer = store.Writer(output, run_of(plan, run_id, "confirm", spec, found, environment.collect(found)))
    with reporter(plan) as progress:
        run_plan(plan, spec, files, writer, progress)
    return store.read_run(writer.folder)


def _plan(candidate: "RunTables", case_ids: set[str], processes: int) -> "Plan":
    import json

    from hwbench.plan import Plan
    from hwbench.records import Case, Policy

    content = json.loads(candidate.runs.plan.iloc[0])
    known = {field.name for field in fields(Policy)}
    policy = Policy(**{name: value for name, value in content["policy"].items() if name in known})
    cases = [Case(c["workload"], c["params"], c["dtype"]) for c in content["cases"] if c["case_id"] in case_ids]
    return Plan(tuple(cases), replace(policy, processes=processes, max_processes=processes))
