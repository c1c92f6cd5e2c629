"""`hwbench profile`: one case in a profiled pass of its own, beside the ceilings of the machine; or
two such runs."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwbench.cli import options
from hwbench.cli.measuring import (
    DEVICE,
    OPTIONS,
    command_line,
    given,
    kept,
    plan_of,
    tell,
    warn_of,
)
from hwbench.records import FAILED, UserError

if TYPE_CHECKING:
    from hwbench.recording.matrix import Choice, Plan
    from hwbench.records import Case
    from hwbench.tables.reader import RunTables

LONGEST_S = 10.0
"""The most seconds of a clean window unless --max-time says else: a profile wants a typical step,
no interval."""

TRACES = (".json", ".json.gz")


def _parameters(command: Any) -> Any:
    return given(command, click.argument("workload", required=False), DEVICE, *OPTIONS)


@click.command("profile")
@click.option(
    "--trace",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep the trace, .json or .json.gz.",
)
@click.option(
    "--diff",
    nargs=2,
    metavar="RUN RUN",
    help="Compare two profiled runs instead, operator by operator.",
)
@options.label
@options.run_id
@_parameters
def command(
    workload: str | None,
    trace: Path | None,
    diff: tuple[str, str] | None,
    label: str,
    run_id: str | None,
    output: Path,
    as_json: bool,
    **asked: Any,
) -> int:
    """Show where the time and the memory of a step of WORKLOAD go, and what would make it faster.

    The step is measured as by `run`, in one process, then a few more steps go under torch.profiler,
    and one under a counter of FLOPs, bytes and memory. The same run measures `gemm` and `copy`,
    against which the step is held. FILE opens in Perfetto (ui.perfetto.dev).
    """
    if diff:
        if workload or trace:
            raise UserError(
                "--diff compares two runs that are there; it takes no workload and no --trace"
            )
        return _compare(diff, output, as_json)
    if not workload:
        raise UserError(
            "name a workload to profile, e.g. `hwbench profile gpt/train`; `hwbench list` shows them all"
        )
    return _profile(workload, _writable(trace), label, run_id, output, as_json, asked)


def _profile(
    workload: str,
    trace: Path | None,
    label: str,
    run_id: str | None,
    output: Path,
    as_json: bool,
    asked: dict[str, Any],
) -> int:
    """Measure, store and show."""
    from hwbench.cli.progress import reporter
    from hwbench.recording.matrix import settle
    from hwbench.recording.session import RunRequest, open_session
    from hwbench.report.page import html

    files = asked["files"]

    def settle_for(plan: "Plan", found: Mapping[str, Any]) -> "Plan":
        return _with_ceilings(settle(plan, found), files, found)

    request = RunRequest(
        _one_case(workload, asked), asked["device"], files, output, label, run_id, command_line()
    )
    session = open_session(request, tell, options.warn, settle_for)
    plan, folder = session.plan, session.folder
    profiled = plan.cases[-1]
    name, ceilings = session.device_info["name"], len(plan.cases) - 1
    tell(f"{folder.name}: {profiled} on {name}, and {ceilings} ceilings")
    warn_of(session.environment)
    with kept(folder), reporter(plan) as progress:
        runner = session.runner(progress)
        for case in plan.cases:
            if reason := plan.left_out.get(case.case_id):
                runner.leave_out(case, reason)
                continue
            asks = {"trace": str(trace) if trace else None} if case is profiled else None
            runner.measure(case, 0, profiled=asks)
    run = session.close()
    options.write_page(folder / "report.html", html.render([run]))
    _show(run, profiled, as_json)
    click.echo(f"report: {folder / 'report.html'}", err=True)
    invalid = run.profiles.empty or run.profiles.invalid.astype(bool).any()
    if trace and not invalid:
        click.echo(f"trace: {trace} (opens in ui.perfetto.dev)", err=True)
    failed = FAILED & set(run.measurements.outcome) or (len(run.profiles) and invalid)
    return 1 if failed else 0


def _one_case(workload: str, asked: dict[str, Any]) -> "Plan":
    """The plan of the case. UserError if it is not exactly one."""
    limits = {"processes": 1} | ({"max_time_s": LONGEST_S} if asked["max_time_s"] is None else {})
    plan = plan_of({**asked, **limits, "workloads": (workload,), "suite": None})
    if len(plan.cases) != 1:
        raise UserError(
            f"a profile is of one case, these are {len(plan.cases)}; give each axis one value (--set, --dtype)"
        )
    return plan


def _with_ceilings(plan: "Plan", files: tuple[str, ...], found: Mapping[str, Any]) -> "Plan":
    """The ceilings that the one case of a plan is held against, then the case itself. A product in
    a format that the device only emulates is no ceiling, and is left out."""
    from hwbench.discovery import discover
    from hwbench.recording.matrix import make_plan, named, settle

    case = plan.cases[0]
    gemm, copy = named(discover(files, ("gemm", "copy")), ("gemm", "copy"))
    multiplied = {"fp8": ("fp8", "bf16")}.get(case.dtype, (case.dtype,))
    dtypes = [dtype for dtype in multiplied if dtype in gemm.axes["dtype"].choices]
    choices: list[Choice] = [(gemm, {"dtype": dtypes})] if dtypes else []
    ceilings = settle(
        make_plan([*choices, (copy, {"op": ["copy", "read"]})], {}, plan.policy), found
    )
    cases = (*(other for other in ceilings.cases if other.case_id != case.case_id), case)
    left_out = {
        case_id: reason for case_id, reason in ceilings.left_out.items() if case_id != case.case_id
    }
    return replace(plan, cases=cases, left_out={**left_out, **plan.left_out})


def _writable(trace: Path | None) -> Path | None:
    """The file for the trace, absolute. UserError, before anything is measured, if it could not be
    written."""
    if trace is None:
        return None
    if not trace.name.endswith(TRACES):
        raise UserError(f"--trace {trace}: a trace is a file *.json or *.json.gz")
    if trace.is_dir():
        raise UserError(f"--trace {trace}: a folder; name a file in it")
    if not os.access(trace if trace.exists() else trace.parent, os.W_OK):
        raise UserError(
            f"--trace {trace}: cannot be written; name a file in a folder that is there and yours"
        )
    return trace.absolute()


def _show(run: "RunTables", case: "Case", as_json: bool) -> None:
    """The profile, or in a line why there is none."""
    from hwbench.report.terminal import profile

    if run.profiles.empty:
        row = run.measurements[run.measurements.case_id == case.case_id].iloc[0]
        click.echo(f"no profile: {case}: {row.outcome}: {row.reason}", err=True)
        if as_json:
            head = {"run_id": run.run_id, "folder": str(run.folder)}
            options.print_json(head | {"outcome": row.outcome, "reason": row.reason})
        return
    if as_json:
        options.print_json({"folder": str(run.folder)} | profile.as_data(run))
        return
    for number, table in enumerate(profile.tables(run)):
        if number:
            options.print_line("")
        options.print_table(table)


def _compare(names: tuple[str, str], output: Path, as_json: bool) -> int:
    from hwbench import tables
    from hwbench.analysis.profile import diff as opdiff
    from hwbench.report.terminal import profile

    first, second = (tables.read_run(tables.find_run(name, output)) for name in names)
    found = opdiff.diff(first, second)
    if as_json:
        options.print_json(profile.diff_data(found))
    else:
        options.print_table(profile.diff_table(found))
    return 0
