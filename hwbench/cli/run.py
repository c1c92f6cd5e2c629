"""`hwbench run`: make a plan, measure it, store the run, show it."""

import math
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwbench.cli import options, targets
from hwbench.cli.measuring import command_line, measuring, plan_of, tell, warn_of_checks
from hwbench.records import FAILED, Policy, UserError

if TYPE_CHECKING:
    from hwbench.recording.rounds import Rounds
    from hwbench.tables.run import RunTables


@click.command("run")
@click.option(
    "--processes",
    type=int,
    metavar="N",
    help="Fresh processes for each case; without --max-processes exactly N.",
)
@click.option(
    "--max-processes",
    type=int,
    metavar="N",
    help="Most processes for a case whose interval over processes exceeds --precision.",
)
@click.option(
    "--precision",
    callback=options.share,
    metavar="P",
    help=(
        "Target half-width of the 95 % interval, such as 1% or 0.01 of the median.  [default: 1%]"
    ),
)
@click.option(
    "--budget",
    "budget_s",
    callback=options.duration,
    metavar="TIME",
    help=(
        "Time limit of the whole run, such as 3m: each case gets one process, then as many as "
        "there is time for."
    ),
)
@click.option(
    "--strict",
    is_flag=True,
    help="Exit with 1 if a case is not valid: wide, suspect or invalid.",
)
@options.label
@options.run_id
@measuring
def command(
    label: str, run_id: str | None, strict: bool, output: Path, as_json: bool, **asked: Any
) -> int:
    """Measure WORKLOADs, or a suite of them, on a device.

    A window lasts until the median step is known to --precision, or until --max-time. A case gets
    more processes until its interval over them is as narrow, or until --max-processes. With
    --budget it gets them as long as there is time, the widest intervals first. Every timed step is
    stored in OUTPUT/<run id>/ as Parquet, with a page report.html beside it. A case that fails is a
    row, and the run goes on; the exit status is then 1.
    """
    from hwbench.cli.progress import reporter
    from hwbench.recording.session import RunRequest, open_session
    from hwbench.report.numbers import count

    begin = time.monotonic()
    plan = plan_of(asked, may_search=True)
    request = RunRequest(
        plan, asked["device"], asked["files"], output, label, run_id, command_line()
    )
    session = open_session(request, tell, options.warn)
    plan, folder, name = session.plan, session.folder, session.device_info["name"]
    cases = count(len(plan.cases), "case")
    stopped: BaseException | None = None
    try:
        tell(f"{folder.name}: {cases} × {_processes(plan.policy)} on {name}")
        warn_of_checks(session.environment)
        with reporter(plan) as progress:
            rounds = session.measure(progress, time.monotonic() - begin)
        _report_cut(rounds)
    except BaseException as error:  # noqa: BLE001 - whatever it is, what is stored is shown first
        stopped = error
    run = session.close()
    _write_page(run)
    _show(run, as_json)
    if isinstance(stopped, OSError):
        message = f"{folder}: {stopped.strerror}; what was stored before is kept"
        raise UserError(message) from stopped
    if stopped:
        raise stopped
    return _exit_status(run, strict)


def _processes(policy: Policy) -> str:
    fewest, most = policy.processes, policy.max_processes
    count = f"{fewest} to {most}" if most > fewest else f"{fewest}"
    if policy.budget_s:
        return f"{count} processes, as many as fit into {policy.budget_s:g} s"
    return count


def _report_cut(rounds: "Rounds") -> None:
    """Print which planned processes the budget has cut."""
    from hwbench.report.numbers import count

    cut = rounds.cut()
    if not cut or not rounds.budget_s:
        return
    counts = Counter(taken for _, taken in cut)
    listed = ", ".join(
        f"{count(cases, 'case')} with {taken}" for taken, cases in sorted(counts.items())
    )
    minutes = math.ceil(rounds.needed_s() / 60)
    tell(
        f"the budget of {rounds.budget_s:g} s was too short for {rounds.planned} processes of each "
        f"case: {listed}; --budget {minutes}m is enough for all"
    )


def _write_page(run: "RunTables") -> None:
    from hwbench.report.page import html

    page = run.folder / "report.html"
    try:
        targets.write_page(page, html.render([run]))
        tell(f"report: {page}")
    except (OSError, UserError) as error:  # the figures are worth showing without it
        tell(f"no report written: {error}")


def _show(run: "RunTables", as_json: bool) -> None:
    from hwbench.report import terminal

    if as_json:
        head = {"run_id": run.run_id, "folder": str(run.folder), "rows": terminal.summary_rows(run)}
        options.print_json(head | terminal.together_rows(run))
        return
    for table in (terminal.summary_table(run), *terminal.together_tables(run)):
        options.print_table(table)


def _exit_status(run: "RunTables", strict: bool) -> int:
    """1 if a case failed or, if `strict`, is not valid; else 0."""
    from hwbench.analysis import metrics

    cases = metrics.cases(run)
    has_failed = cases.outcome.isin(FAILED).any()
    if not strict:
        return int(has_failed)
    table = metrics.summarize(run)
    doubtful = table[table.validity != "valid"].case_id.nunique()
    if doubtful:
        tell(f"strict: {doubtful} of {len(cases)} cases are not valid: wide, suspect or invalid")
    return int(has_failed or doubtful > 0)
