"""`hwbench ab`: two environments measured in turns and compared as pairs."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from hwbench.cli import options
from hwbench.cli.measuring import command_line, kept, measuring, plan_of, tell, warn_of
from hwbench.records import FAILED, UserError

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
@click.option("--strict", is_flag=True, help="Exit with 3 where a verdict is inconclusive.")
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

    A side is an interpreter (--a, --b) with the hwbench and torch that it imports; a folder
    (--a-dir, --b-dir) comes first on its import path, so that a checkout is measured as it stands.
    Each case runs in --pairs pairs of fresh processes, A B B A …, and a pair is one observation:
    the fair way to judge a change on a noisy machine. The two runs land in OUTPUT/<id>-a and -b.
    The exit status is 1 if a case failed or is slower, 3 without a verdict.
    """
    from hwbench import tables
    from hwbench.analysis.verdict.paired import judge_pairs
    from hwbench.cli.progress import reporter
    from hwbench.recording import pairs
    from hwbench.recording.matrix import settle
    from hwbench.recording.session import RunRequest, describe_run, new_run_id

    plan = plan_of(asked)
    device, files = asked["device"], asked["files"]
    sides = [
        pairs.open_side("a", a, a_dir, device, files),
        pairs.open_side("b", b, b_dir, device, files),
    ]
    if sides[0].device != sides[1].device:
        raise UserError(
            f"side a would run on {sides[0].device}, side b on {sides[1].device}; name one with --device"
        )
    run_id, writers = new_run_id(sides[0].device.partition(":")[0]), []
    described = [side.describe_device(options.warn) for side in sides]
    for remark in plan.remarks:
        tell(remark)
    plan = settle(plan, described[0])
    for side, found in zip(sides, described, strict=True):
        facts = side.environment(found)
        request = RunRequest(plan, run_id=f"{run_id}-{side.name}", argv=command_line())
        run = describe_run(request, side.device, found, facts)
        writers.append(tables.Writer(output, run))
        click.echo(side, err=True)
    warn_of(run.environment)
    twice = 2 * plan.policy.processes
    both = replace(plan, policy=replace(plan.policy, processes=twice, max_processes=twice))
    with kept(*(writer.folder for writer in writers)), reporter(both) as progress:
        pairs.measure_pairs(
            plan, sides, writers, progress, [found.get("formats") for found in described]
        )
    runs = [tables.read_run(writer.folder) for writer in writers]
    table = judge_pairs(runs[0], runs[1], metrics, threshold)
    # rows say why, and there is nothing to judge
    table = table[~table.case_id.isin(plan.left_out.keys())]
    return _conclude(runs, table, strict, as_json)


def _conclude(runs: list[Any], table: Any, strict: bool, as_json: bool) -> int:
    """Store the metrics and print the judgement; the exit status."""
    from hwbench.analysis.verdict import compare
    from hwbench.recording.session import derive
    from hwbench.report.terminal import comparison

    for run in runs:
        derive(run)
    if as_json:
        options.print_json(
            comparison.as_data(table, compare.overall(list(table.verdict)))
            | {"runs": [run.run_id for run in runs]}
        )
    else:
        options.print_table(comparison.as_table(table))
        click.echo(f"runs: {', '.join(str(run.folder) for run in runs)}", err=True)
    outcomes = {outcome for run in runs for outcome in run.measurements.outcome}
    return exit_status(set(table.verdict), outcomes, strict)


def exit_status(verdicts: set[str], outcomes: set[str], strict: bool) -> int:
    """1 where a case failed or is slower, 3 where there is no verdict, else 0."""
    if "slower" in verdicts or FAILED & outcomes:
        return 1
    return (
        3
        if verdicts & {"missing", "incomparable"} or (strict and "inconclusive" in verdicts)
        else 0
    )
