"""`hwbench ab`: two environments measured in turns and compared as pairs."""

import sys
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
from hwbench.records import FAILED

if TYPE_CHECKING:
    import pandas as pd

    from hwbench.tables.run import RunTables

FOLDER = click.Path(path_type=Path)


@click.command("ab")
@click.option(
    "--a",
    "a",
    default=sys.executable,
    metavar="PYTHON",
    help="Interpreter of side a.  [default: this one]",
)
@click.option(
    "--b",
    "b",
    default=sys.executable,
    metavar="PYTHON",
    help="Interpreter of side b.  [default: this one]",
)
@click.option("--a-dir", type=FOLDER, help="Checkout or working folder of side a.")
@click.option("--b-dir", type=FOLDER, help="Checkout or working folder of side b.")
@click.option(
    "--pairs",
    "processes",
    type=int,
    default=6,
    show_default=True,
    help="Pairs of processes for each case.",
)
@options.threshold
@options.metrics
@click.option("--strict", is_flag=True, help="Exit with 3 if a verdict is inconclusive.")
@measuring
def command(
    a: str,
    b: str,
    a_dir: Path | None,
    b_dir: Path | None,
    threshold: float,
    metrics: tuple[str, ...],
    strict: bool,
    as_json: bool,
    output: Path,
    **asked: Any,
) -> int:
    """Measure WORKLOADs, or a suite of them, on two sides in turns; judge side b against side a.

    A side is an interpreter (--a, --b) with the hwbench and torch that it imports. A folder
    (--a-dir, --b-dir) comes first on its import path, so a checkout is measured as it stands. Each
    case runs in --pairs pairs of fresh processes, A B B A …, and a pair is one observation: the
    fair way to judge a change on a noisy machine. The two runs are stored in OUTPUT/<id>-a and -b.
    The exit status is 1 if a case failed or is slower, 3 without a verdict.
    """
    from hwbench.analysis.verdict.paired import judge_pairs
    from hwbench.cli.progress import reporter
    from hwbench.recording.pairs import open_pairs
    from hwbench.recording.sides import open_side

    plan = plan_of(asked)
    device, files = asked["device"], asked["files"]
    sides = [
        open_side("a", a, a_dir, device, files),
        open_side("b", b, b_dir, device, files),
    ]
    session = open_pairs(plan, sides, output, command_line(), tell, options.warn)
    for side in sides:
        tell(str(side))
    warn_of_checks(session.environment)
    with report_partial(*session.folders), reporter(session.plan_of_both) as progress:
        session.measure(progress)
    runs = session.close()
    table = judge_pairs(runs[0], runs[1], metrics, threshold)
    # a case that was left out has rows that say why, and nothing to judge
    table = table[~table.case_id.isin(session.plan.left_out.keys())]
    _show(runs, table, as_json)
    outcomes = {outcome for run in runs for outcome in run.measurements.outcome}
    return exit_status(set(table.verdict), outcomes, strict)


def _show(runs: "list[RunTables]", table: "pd.DataFrame", as_json: bool) -> None:
    from hwbench.analysis.verdict import judgement
    from hwbench.report.terminal import comparison

    if as_json:
        content = comparison.comparison_data(table, judgement.overall(list(table.verdict)))
        options.print_json(content | {"runs": [run.run_id for run in runs]})
        return
    options.print_table(comparison.comparison_table(table))
    tell(f"runs: {', '.join(str(run.folder) for run in runs)}")


def exit_status(verdicts: set[str], outcomes: set[str], strict: bool) -> int:
    """1 if a case failed or is slower, 3 if there is no verdict, else 0."""
    if "slower" in verdicts or FAILED & outcomes:
        return 1
    has_no_verdict = verdicts & {"missing", "incomparable"}
    if has_no_verdict or (strict and "inconclusive" in verdicts):
        return 3
    return 0
