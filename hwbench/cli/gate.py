"""`hwbench gate`: does a candidate hold its baseline? For CI: an exit status, and reports where a
reader looks."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from hwbench.cli import options
from hwbench.records import UserError
from hwbench.tables import labels

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from hwbench.analysis.verdict.gate import Outcome
    from hwbench.analysis.verdict.rules import Rules
    from hwbench.tables.reader import RunTables

ROLLING = 5
"""How many runs of a label make a baseline, where nothing is said."""

FILE = click.Path(path_type=Path, dir_okay=False)


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
    help="Try the gate out: how often it cries wolf, and what it finds.",
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
    """Hold a candidate against a baseline: exit status 0 if it passes, 1 for a regression, 3
    without a verdict.

    A regression: the interval leaves no change out, the estimate passes the threshold and this
    machine's noise floor (`hwbench noise`), and the row stays significant among all rows (Holm). A
    case that is missing or failed in the candidate fails too. A baseline is a run, a folder of
    runs, or label:NAME[:N]: the last N (5) runs in OUTPUT with that --name. With --self-test,
    --candidate names the run on whose processes and noise the gate is tried; without it that is the
    newest of `hwbench noise` in OUTPUT, or the noise of the docs.
    """
    from hwbench import tables
    from hwbench.analysis.verdict import gate, noise

    given = (
        click.get_current_context().get_parameter_source("threshold") is ParameterSource.COMMANDLINE
    )
    if self_test:
        from hwbench.cli.self_test import run_self_test

        chosen = (
            tables.find_run(candidate, output) if candidate else noise.newest(output, options.warn)
        )
        own = tables.read_run(chosen) if chosen else None
        floors = noise.floors(output, own, options.warn) if own else {}
        return run_self_test(own, floors, threshold if given else None, pairs, as_json)
    if not candidate or not baselines:
        raise UserError(
            f"--{'baseline' if candidate else 'candidate'} is missing; `hwbench gate --help` shows how"
        )
    rules = _rules(threshold if given else None, metrics, rules_file)
    run = tables.read_run(tables.find_run(candidate, output))
    runs, message = _baseline(baselines, run, output)
    table, subject = gate.EMPTY, gate.subject(runs, run)
    if runs:
        floors = noise.floors(output, run, options.warn)
        hold = partial(gate.hold, runs, rules=rules, floors=floors, across_devices=across_devices)
        table = hold(candidate=run)
        _warn_of_unused(rules, table)
        _tell_differences(runs[-1], run)
        if confirm:
            write = partial(
                _write, message="", subject=subject, junit_file=junit, markdown_file=markdown
            )
            table = _confirmed(table, hold, write, run, confirm, files, output)
    outcome = gate.outcome(table, strict)
    _show(table, outcome, message, subject, as_json)
    _write(table, outcome, message, subject, junit, markdown)
    _tell_github(table, outcome, message, subject, as_json)
    return gate.EXIT[outcome]


def _confirmed(
    table: "pd.DataFrame",
    hold: "Callable[..., pd.DataFrame]",
    write: "Callable[..., None]",
    candidate: "RunTables",
    processes: int,
    files: tuple[str, ...],
    output: Path,
) -> "pd.DataFrame":
    """The table after its regressions were measured again; it is written before that too, which may
    be cut short."""
    from hwbench.analysis.verdict import gate
    from hwbench.cli.confirm import check_machine, measure_again

    spec = check_machine(candidate)
    write(table, gate.outcome(table))
    again = measure_again(table, candidate, spec, processes, files, output)
    if not again:
        return table
    _tell_differences(candidate, again, "the candidate and its second measurement differ")
    return gate.confirm(table, hold(candidate=again), processes)


def _rules(threshold: float | None, metrics: tuple[str, ...], file: Path | None) -> "Rules":
    """The rules of the file, if there is one; the command line's threshold replaces its default."""
    from hwbench.analysis.verdict.rules import Rules, read_rules

    rules = read_rules(file) if file else Rules()
    rules = rules if threshold is None else replace(rules, threshold=threshold)
    return rules.narrowed(metrics) if metrics else rules


def _baseline(
    baselines: tuple[str, ...], candidate: "RunTables", output: Path
) -> tuple[list["RunTables"], str]:
    """The runs of the baseline, each once, or why there is none. UserError if one of them is the
    candidate itself."""
    from hwbench import tables

    folders, message = _folders(baselines, candidate, output)
    runs = {run.run_id: run for run in map(tables.read_run, folders)}
    if candidate.run_id in runs:
        raise UserError(f"the baseline {candidate.run_id} is the candidate itself")
    return list(runs.values()), message


def _folders(
    baselines: tuple[str, ...], candidate: "RunTables", output: Path
) -> tuple[list[Path], str]:
    """The runs of the baseline, or why there is none. UserError for a `label:` that is misspelt."""
    from hwbench import tables
    from hwbench.analysis.verdict import gate

    found: list[Path] = []
    for name in baselines:
        if label := labels.parse(name, "--baseline "):
            heads = tables.read_heads(output, options.warn)
            rolling = gate.rolling(heads, label.name, label.count or ROLLING, candidate)
            if not rolling:
                return (
                    [],
                    f"no baseline: no other run in {output} has the label {label.name!r} (hwbench run --name)",
                )
            found += rolling
        elif inside := sorted(runs.parent for runs in Path(name).glob("*/runs")):
            found += [folder for folder in inside if folder.name != candidate.run_id]
        else:
            try:
                found.append(tables.find_run(name, output))
            except UserError as error:
                return [], f"no baseline: {error}"
    return (
        found,
        "" if found else f"no baseline: nothing but the candidate in {', '.join(baselines)}",
    )


def _tell_differences(
    one: "RunTables", other: "RunTables", what: str = "the environments differ"
) -> None:
    from hwbench.analysis.verdict import comparable

    for difference in comparable.differences(one, other):
        click.echo(f"{what}: {difference}", err=True)


def _warn_of_unused(rules: "Rules", table: "pd.DataFrame") -> None:
    for rule in rules.unused(table.workload):
        click.echo(
            f"rules: no case here is a {rule.workload!r}; its threshold for {rule.metric!r} is unused",
            err=True,
        )


def _show(
    table: "pd.DataFrame", outcome: "Outcome", message: str, subject: str, as_json: bool
) -> None:
    from hwbench.analysis.verdict import gate
    from hwbench.report.terminal import comparison

    if message:
        click.echo(f"hwbench: {message}", err=True)
    if as_json:
        more = ("label", "unit", "threshold", "floor", "status")
        content = comparison.as_data(table, gate.overall(table), more)
        options.print_json(
            {"outcome": outcome, "message": message or None, "runs": subject, **content}
        )
    elif len(table):
        options.print_table(comparison.as_table(table, "status"))
    click.echo(subject, err=True)
    click.echo(f"gate: {outcome}" + (f" ({gate.summary(table)})" if len(table) else ""), err=True)


def _write(
    table: "pd.DataFrame",
    outcome: "Outcome",
    message: str,
    subject: str,
    junit_file: Path | None,
    markdown_file: Path | None,
) -> None:
    from hwbench.report.formats import junit
    from hwbench.report.formats import markdown_gate as markdown

    if junit_file:
        options.write_page(junit_file, junit.render(table, message, subject))
    if markdown_file:
        options.write_page(markdown_file, markdown.render(table, outcome, message, subject))


def _tell_github(
    table: "pd.DataFrame", outcome: "Outcome", message: str, subject: str, as_json: bool
) -> None:
    """In GitHub Actions: annotations in the log (on standard error beside JSON), and the step's
    summary."""
    from hwbench.report.formats import github
    from hwbench.report.formats import markdown_gate as markdown

    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    for line in github.annotations(table, outcome, message):
        click.echo(line, err=as_json)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(markdown.render(table, outcome, message, subject) + "\n")
        except OSError as error:  # the verdict does not depend on it
            options.warn(f"{summary}: cannot be written: {error.strerror}")
