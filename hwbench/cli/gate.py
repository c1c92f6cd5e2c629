"""`hwbench gate`: judge a candidate against its baseline, for CI."""

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from hwbench.cli import options, streams, targets
from hwbench.cli.baseline import read_baseline
from hwbench.cli.confirm import check_machine, measure_again
from hwbench.cli.measuring import tell
from hwbench.records import UserError

if TYPE_CHECKING:
    import pandas as pd

    from hwbench.analysis.verdict.gate import Outcome
    from hwbench.analysis.verdict.rules import Rules
    from hwbench.tables.run import RunTables

FILE = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True)
class Judgement:
    """What the gate says: its table, the outcome, a message if there is no table, and which runs
    were compared."""

    table: "pd.DataFrame"
    outcome: "Outcome"
    message: str
    subject: str


@click.command("gate")
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    metavar="RUN",
    help="A run or label:NAME[:N]; may be repeated.",
)
@click.option("--candidate", metavar="RUN", help="The run to judge.")
@options.threshold
@options.metrics
@click.option(
    "--rules", "rules_file", type=FILE, help="A gate.toml: thresholds by workload and metric."
)
@options.across_devices
@click.option("--strict", is_flag=True, help="No verdict, exit status 3, if a row is inconclusive.")
@click.option(
    "--confirm",
    type=click.IntRange(3, 1000),
    metavar="N",
    help="Measure regressions again, in N processes.",
)
@click.option("--junit", type=FILE, help="Write JUnit XML.")
@click.option("--markdown", type=FILE, help="Write Markdown for a comment.")
@click.option(
    "--self-test",
    is_flag=True,
    help="Test the gate itself: how often it alarms falsely, and what it finds.",
)
@click.option(
    "--pairs",
    type=click.IntRange(10, 100_000),
    default=400,
    show_default=True,
    help="Of the self-test.",
)
@options.workload_files
@options.output
@options.as_json
def command(
    baselines: tuple[str, ...],
    candidate: str | None,
    threshold: float,
    metrics: tuple[str, ...],
    rules_file: Path | None,
    across_devices: bool,
    strict: bool,
    confirm: int | None,
    junit: Path | None,
    markdown: Path | None,
    self_test: bool,
    pairs: int,
    files: tuple[str, ...],
    output: Path,
    as_json: bool,
) -> int:
    """Judge a candidate against a baseline: exit status 0 if it passes, 1 for a regression, 3
    without a verdict.

    A regression: the 95 % interval excludes 1.0, the ratio exceeds the threshold and this machine's
    noise floor (`hwbench noise`), and the row stays significant among all rows (Holm). A case that
    is missing or failed in the candidate fails the gate too. A baseline is a run, a folder of runs,
    or label:NAME[:N]: the last N (5) runs in OUTPUT with that --name. With --self-test, --candidate
    names the run whose processes and noise the gate is tested on; the default is the newest run of
    `hwbench noise` in OUTPUT, or the noise in the docs.
    """
    from hwbench import tables
    from hwbench.analysis.verdict import gate, noise

    source = click.get_current_context().get_parameter_source("threshold")
    chosen_threshold = threshold if source is ParameterSource.COMMANDLINE else None
    if self_test:
        return _self_test(candidate, chosen_threshold, pairs, output, as_json)
    streams.drop_lost_output()  # the verdict is the exit status
    if not candidate or not baselines:
        missing = "--baseline" if candidate else "--candidate"
        raise UserError(f"{missing} is missing; `hwbench gate --help` shows how")
    for file in filter(None, (junit, markdown)):
        targets.require_target(file)
    rules = _rules(chosen_threshold, metrics, rules_file)
    run = tables.read_run(tables.find_run(candidate, output))
    runs, message = read_baseline(baselines, run, output)
    table, subject = gate.EMPTY, gate.subject(runs, run)
    if runs:
        floors = noise.floors(output, run, options.warn)
        hold = partial(gate.hold, runs, rules=rules, floors=floors, across_devices=across_devices)
        table = hold(candidate=run)
        _warn_of_unused(rules, table)
        _tell_differences(runs[-1], run)
        if confirm:
            spec = check_machine(run, across_devices)
            # measuring again may be cut short
            first = Judgement(table, gate.outcome(table), "", subject)
            _write(first, junit, markdown)
            again = measure_again(table, run, spec, confirm, files, output)
            if again:
                what = "the candidate and its second measurement differ"
                _tell_differences(run, again, what)
                table = gate.confirm(table, hold(candidate=again), confirm)
    judgement = Judgement(table, gate.outcome(table, strict), message, subject)
    _show(judgement, as_json)
    _write(judgement, junit, markdown)
    _tell_github(judgement, as_json)
    return gate.EXIT[judgement.outcome]


def _self_test(
    candidate: str | None, threshold: float | None, pairs: int, output: Path, as_json: bool
) -> int:
    """Try the gate on the processes of a run: the candidate's, the newest of `hwbench noise`, or
    simulated ones."""
    from hwbench import tables
    from hwbench.analysis.verdict import noise
    from hwbench.cli.self_test import run_self_test

    if candidate:
        folder: Path | None = tables.find_run(candidate, output)
    else:
        folder = noise.newest(output, options.warn)
    run = tables.read_run(folder) if folder else None
    floors = noise.floors(output, run, options.warn) if run else {}
    return run_self_test(run, floors, threshold, pairs, as_json)


def _rules(threshold: float | None, metrics: tuple[str, ...], file: Path | None) -> "Rules":
    """The rules of the file, if there is one; the command line's threshold replaces its default."""
    from hwbench.analysis.verdict.rules import Rules, read_rules

    rules = read_rules(file) if file else Rules()
    rules = rules if threshold is None else replace(rules, threshold=threshold)
    return rules.narrowed(metrics) if metrics else rules


def _tell_differences(
    one: "RunTables", other: "RunTables", what: str = "the environments differ"
) -> None:
    from hwbench.analysis.verdict import comparable

    for difference in comparable.differences(one, other):
        tell(f"{what}: {difference}")


def _warn_of_unused(rules: "Rules", table: "pd.DataFrame") -> None:
    for rule in rules.unused(table.workload):
        threshold = f"its threshold for {rule.metric!r} is unused"
        tell(f"rules: no case here is a {rule.workload!r}; {threshold}")


def _show(judgement: Judgement, as_json: bool) -> None:
    from hwbench.analysis.verdict import gate
    from hwbench.report.terminal import comparison

    table, outcome, message = judgement.table, judgement.outcome, judgement.message
    if message:
        tell(f"hwbench: {message}")
    if as_json:
        head = {"outcome": outcome, "message": message or None, "runs": judgement.subject}
        more = ("label", "unit", "threshold", "floor", "status")
        options.print_json(head | comparison.comparison_data(table, gate.overall(table), more))
    elif len(table):
        options.print_table(comparison.comparison_table(table, "status"))
    if len(table):  # without a baseline the message has said so
        tell(judgement.subject)
    summary = f" ({gate.summary(table)})" if len(table) else ""
    tell(f"gate: {outcome}{summary}")


def _write(judgement: Judgement, junit_file: Path | None, markdown_file: Path | None) -> None:
    from hwbench.report.formats import junit

    if junit_file:
        text = junit.render(judgement.table, judgement.message, judgement.subject)
        targets.write_page(junit_file, text)
    if markdown_file:
        targets.write_page(markdown_file, _as_markdown(judgement))


def _as_markdown(judgement: Judgement) -> str:
    from hwbench.report.formats import markdown_gate

    return markdown_gate.render(
        judgement.table, judgement.outcome, judgement.message, judgement.subject
    )


def _tell_github(judgement: Judgement, as_json: bool) -> None:
    """In GitHub Actions: annotations in the log (on standard error beside JSON), and the step's
    summary."""
    from hwbench.report.formats import github

    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    for line in github.annotations(judgement.table, judgement.outcome, judgement.message):
        options.print_text(f"{line}\n", err=as_json)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            targets.append(Path(summary), _as_markdown(judgement) + "\n")
        except OSError as error:  # the summary is an extra: the verdict stands without it
            options.warn(f"{summary}: cannot be written: {error.strerror}")
