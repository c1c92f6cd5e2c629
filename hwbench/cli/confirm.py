"""`hwbench gate --confirm N`: measure the cases of suspected regressions once more, in fresh processes."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hwbench.cli import options
from hwbench.records import UserError

if TYPE_CHECKING:
    import pandas as pd

    from hwbench.recording.matrix import Plan
    from hwbench.tables.reader import RunTables


def check_machine(candidate: "RunTables") -> str:
    """The device on which to measure again, as `--device` names it. UserError if it is not the candidate's."""
    from hwbench.recording.launch.local import describe_device

    head = candidate.runs.iloc[0]
    index = json.loads(head.environment).get("device", {}).get("index")
    device = head.device_kind if index is None else f"{head.device_kind}:{index}"
    spec, found = describe_device(device, options.warn)
    if found["name"] != head.device_name:
        raise UserError(f"--confirm measures here, on {found['name']}; the candidate is of {head.device_name}")
    return spec


def measure_again(
    table: "pd.DataFrame", candidate: "RunTables", spec: str, processes: int, files: tuple[str, ...], output: Path
) -> "RunTables | None":
    """A new run on the device `spec`, in `output`, of the cases whose status in the gate's table is a regression; None
    if there is none. The candidate's plan is used."""
    from hwbench import tables
    from hwbench.cli.measuring import kept, new_run_id, run_of
    from hwbench.cli.progress import reporter
    from hwbench.machine import environment
    from hwbench.recording.launch.local import describe_device
    from hwbench.recording.runner import run_plan

    suspects = table[table.status == "regression"]
    if suspects.empty:
        return None
    _, found = describe_device(spec, options.warn)
    plan = _plan(candidate, suspects, processes)
    run_id = new_run_id(candidate.runs.device_kind.iloc[0])
    cases = suspects.case_id.nunique()
    click.echo(f"{run_id}: {cases} suspected, measured again in {processes} processes", err=True)
    writer = tables.Writer(output, run_of(plan, run_id, "confirm", spec, found, environment.collect(found)))
    with kept(writer.folder), reporter(plan) as progress:
        run_plan(plan, spec, files, writer, progress, found.get("formats"))
    return tables.read_run(writer.folder)


def _plan(candidate: "RunTables", suspects: "pd.DataFrame", processes: int) -> "Plan":
    """The suspected cases; where a share of a measured ceiling is suspected, the ceilings too."""
    from hwbench.analysis.metrics.ceilings import CEILING_SHARES, is_ceiling
    from hwbench.recording.matrix import Plan
    from hwbench.records import Case, Policy

    content = json.loads(candidate.runs.plan.iloc[0])
    known = {field.name for field in fields(Policy)}
    policy = Policy(**{name: value for name, value in content["policy"].items() if name in known})
    shares, suspected = suspects.metric.isin(list(CEILING_SHARES)).any(), set(suspects.case_id)
    chosen = [c for c in content["cases"] if c["case_id"] in suspected or (shares and is_ceiling(c["workload"]))]
    cases = [Case(c["workload"], c["params"], c["dtype"]) for c in chosen]
    return Plan(tuple(cases), replace(policy, processes=processes, max_processes=processes, budget_s=None))
