"""`hwbench gate --confirm N`: measure suspected regressions again, in fresh processes."""

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hwbench.cli import options
from hwbench.records import UserError

if TYPE_CHECKING:
    import pandas as pd

    from hwbench.recording.matrix import Plan
    from hwbench.tables.run import RunTables


def check_machine(candidate: "RunTables", across_devices: bool = False) -> str:
    """The device to measure again on, as `--device` names it. UserError if this machine's is not
    the candidate's, or may not be and `across_devices` does not allow it."""
    from hwbench.identity import Identity
    from hwbench.recording.launch.exchange import describe_device
    from hwbench.system import cpu

    measured = candidate.device
    index = (candidate.environment.get("device") or {}).get("index")
    device = measured.kind if index is None else f"{measured.kind}:{index}"
    spec, device_info = describe_device(device, options.warn)
    name = device_info["name"]
    known = {"device": device_info, "cpu": vars(cpu.identify())}
    here = Identity.of(measured.kind, name, known)
    if name != measured.name:
        raise UserError(
            f"--confirm measures on this machine's {name}; the candidate was measured on "
            f"{measured.name}"
        )
    if difference := here.difference(candidate.identity):
        raise UserError(f"--confirm measures on another device: {difference}")
    if here.is_unknown and not across_devices:
        raise UserError(
            f"--confirm measures on this machine's {name}, and nothing says whether the candidate "
            "was measured on it; if it was, add --allow-cross-device"
        )
    return spec


def measure_again(
    table: "pd.DataFrame",
    candidate: "RunTables",
    spec: str,
    processes: int,
    files: tuple[str, ...],
    output: Path,
) -> "RunTables | None":
    """Measure the cases whose status in the gate's table is a regression again, with the
    candidate's policy, in a new run on the device `spec` in `output`.

    Returns that run, or None if there is no regression.
    """
    from hwbench.cli.measuring import command_line, report_partial, tell
    from hwbench.cli.progress import reporter
    from hwbench.recording.session import RunRequest, open_session
    from hwbench.report.numbers import count

    suspects = table[table.status == "regression"]
    if suspects.empty:
        return None
    plan = _plan(candidate, suspects, processes)
    request = RunRequest(plan, spec, files, output, label="confirm", argv=command_line())
    # the candidate's plan was settled when that was measured
    session = open_session(request, tell, options.warn, settle_for=lambda plan, _: plan)
    cases = suspects.case_id.nunique()
    again = f"{count(cases, 'suspected case')} again in {processes} processes"
    tell(f"{session.folder.name}: measuring {again}")
    with report_partial(session.folder), reporter(plan) as progress:
        session.measure(progress)
    return session.close()


def _plan(candidate: "RunTables", suspects: "pd.DataFrame", processes: int) -> "Plan":
    """The plan of the suspected cases, and of the ceilings if a share of a measured ceiling is
    suspected."""
    from hwbench.analysis.metrics.ceilings import CEILING_SHARES, is_ceiling
    from hwbench.recording.matrix import Plan
    from hwbench.records import Case, Policy

    stored = {field.name: getattr(candidate.planned.policy, field.name) for field in fields(Policy)}
    policy = Policy(**{name: value for name, value in stored.items() if value is not None})
    shares, suspected = suspects.metric.isin(list(CEILING_SHARES)).any(), set(suspects.case_id)
    chosen = [
        c
        for c in candidate.planned.cases
        if c.case_id in suspected or (shares and is_ceiling(c.workload))
    ]
    cases = [Case(c.workload, c.params, c.dtype) for c in chosen]
    return Plan(
        tuple(cases), replace(policy, processes=processes, max_processes=processes, budget_s=None)
    )
