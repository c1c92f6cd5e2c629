"""`hwbench profile`: profile one case beside the machine's ceilings, or compare two profiles."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwbench.cli import options, targets
from hwbench.cli.measuring import (
    DEVICE,
    OPTIONS,
    add_parameters,
    command_line,
    plan_of,
    report_partial,
    tell,
    warn_of_checks,
)
from hwbench.records import FAILED, UserError

if TYPE_CHECKING:
    from hwbench.recording.matrix import Plan
    from hwbench.records import Case
    from hwbench.tables.run import RunTables

LONGEST_S = 10.0
"""The most seconds of a clean window if --max-time is not given: a profile needs a typical step, no
narrow interval."""

TRACES = (".json", ".json.gz")


def _parameters(command: Any) -> Any:
    return add_parameters(command, click.argument("workload", required=False), DEVICE, *OPTIONS)


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

    The step is measured as by `run`, in one process. Then a few more steps run under
    torch.profiler, and one under a counter of FLOPs, bytes and memory. Then the same run measures
    `gemm` and `copy`, the ceilings that the step is compared with. FILE opens in Perfetto
    (ui.perfetto.dev).
    """
    if diff:
        if workload or trace:
            raise UserError("--diff compares two stored runs; it takes no workload and no --trace")
        return _compare(diff, output, as_json)
    if not workload:
        raise UserError(
            "name a workload to profile, e.g. `hwbench profile gpt/train`; "
            "`hwbench list` shows them all"
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
    from hwbench.recording.profiled import measure_profiled, settle_with_ceilings
    from hwbench.recording.session import RunRequest, open_session
    from hwbench.report.page import html

    plan, files = _one_case(workload, asked), asked["files"]
    request = RunRequest(plan, asked["device"], files, output, label, run_id, command_line())

    def settle_for(plan: "Plan", device_info: Mapping[str, Any]) -> "Plan":
        return settle_with_ceilings(plan, files, device_info)

    session = open_session(request, tell, options.warn, settle_for)
    plan, folder, name = session.plan, session.folder, session.device_info["name"]
    tell(f"{folder.name}: {plan.cases[-1]} on {name}, and {len(plan.cases) - 1} ceilings")
    warn_of_checks(session.environment)
    with report_partial(folder), reporter(plan) as progress:
        profiled = measure_profiled(session, progress, trace)
    run = session.close()
    targets.write_page(folder / "report.html", html.render([run]))
    _show(run, profiled, as_json)
    tell(f"report: {folder / 'report.html'}")
    invalid = run.profiles.empty or run.profiles.invalid.astype(bool).any()
    if trace and not invalid:
        tell(f"trace: {trace} (opens in ui.perfetto.dev)")
    failed = FAILED & set(run.measurements.outcome) or (len(run.profiles) and invalid)
    return 1 if failed else 0


def _one_case(workload: str, asked: dict[str, Any]) -> "Plan":
    """The plan of the case. UserError if there is not exactly one."""
    max_time_s = LONGEST_S if asked["max_time_s"] is None else asked["max_time_s"]
    limits = {"processes": 1, "max_time_s": max_time_s}
    plan = plan_of({**asked, **limits, "workloads": (workload,), "suite": None})
    if len(plan.cases) != 1:
        raise UserError(
            f"a profile is of one case, these are {len(plan.cases)}; "
            "give each axis one value (--set, --dtype)"
        )
    return plan


def _writable(trace: Path | None) -> Path | None:
    """The absolute path of the trace. UserError, before anything is measured, if it could not be
    written."""
    if trace is None:
        return None
    if not trace.name.endswith(TRACES):
        raise UserError(f"--trace {trace}: a trace is a file *.json or *.json.gz")
    targets.require_target(trace, "--trace ")
    if not trace.parent.is_dir():
        raise UserError(f"--trace {trace}: cannot be written; name a file in a folder that exists")
    return Path(os.path.realpath(trace))


def _show(run: "RunTables", case: "Case", as_json: bool) -> None:
    """Print the profile, or the reason why there is none."""
    from hwbench.report.terminal import profile

    if run.profiles.empty:
        row = run.measurements[run.measurements.case_id == case.case_id].iloc[0]
        tell(f"no profile: {case}: {row.outcome}: {row.reason}")
        if as_json:
            head = {"run_id": run.run_id, "folder": str(run.folder)}
            options.print_json(head | {"outcome": row.outcome, "reason": row.reason})
        return
    if as_json:
        options.print_json({"folder": str(run.folder)} | profile.profile_data(run))
        return
    for number, table in enumerate(profile.profile_tables(run)):
        if number:
            options.print_line("")
        options.print_table(table)


def _compare(names: tuple[str, str], output: Path, as_json: bool) -> int:
    from hwbench import tables
    from hwbench.analysis.profile import diff as opdiff
    from hwbench.report.terminal import profile

    first, second = (tables.read_run(tables.find_run(name, output)) for name in names)
    difference = opdiff.diff(first, second)
    if as_json:
        options.print_json(profile.diff_data(difference))
    else:
        options.print_table(profile.diff_table(difference))
    return 0
