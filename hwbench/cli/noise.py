"""`hwbench noise`: the noise floor of this machine, case by case."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwbench.cli import options
from hwbench.cli.measuring import (
    command_line,
    measuring,
    plan_of,
    report_partial,
    tell,
    warn_of_checks,
)
from hwbench.identity import Identity
from hwbench.records import FAILED, UserError

if TYPE_CHECKING:
    import pandas as pd

    from hwbench.tables.run import RunTables


@click.command("noise")
@click.option(
    "--processes",
    type=int,
    default=5,
    show_default=True,
    help="Fresh processes in each half of a case.",
)
@measuring
def command(processes: int, as_json: bool, output: Path, **asked: Any) -> int:
    """Measure WORKLOADs, or a suite of them, against themselves, and store the noise floor of each
    case and metric.

    A case runs in twice --processes fresh processes, which go to two halves in turns. The halves
    differ by noise only, and the floor is how large that difference can be: `compare` and `gate`
    call no smaller difference between runs on this device a change. Use as many processes as the
    runs that are compared, or fewer.
    """
    from hwbench import tables
    from hwbench.analysis.verdict import noise
    from hwbench.cli.progress import reporter
    from hwbench.recording.session import RunRequest, open_session
    from hwbench.report.numbers import count

    if processes < 3:
        raise UserError(
            f"--processes {processes}: too few to tell noise; give 3 or more for each half"
        )
    plan = plan_of({**asked, "processes": 2 * processes})
    request = RunRequest(
        plan, asked["device"], asked["files"], output, label="noise", argv=command_line()
    )
    session = open_session(request, tell, options.warn)
    cases, name = count(len(session.plan.cases), "case"), session.device_info["name"]
    tell(f"{session.folder.name}: {cases} × {2 * processes} on {name}")
    warn_of_checks(session.environment)
    if Identity.of(session.device.partition(":")[0], name, session.environment).is_unknown:
        options.warn(f"nothing identifies the device ({name}): its floors hold for no other run")
    with report_partial(session.folder), reporter(session.plan) as progress:
        session.measure(progress)
    run = session.close()
    table = noise.measure_floors(run)
    tables.write_derived(run.folder, "noise", table)
    _show(run, table, as_json)
    return 1 if FAILED & set(run.measurements.outcome) else 0


def _show(run: "RunTables", table: "pd.DataFrame", as_json: bool) -> None:
    from hwbench.report import terminal
    from hwbench.report.rows import plain_rows

    if as_json:
        head = {"run_id": run.run_id, "folder": str(run.folder)}
        options.print_json(head | {"rows": plain_rows(table)})
    else:
        options.print_table(terminal.floors_table(run, table))
