"""`hwbench compare`: judge a candidate against a baseline, case by case."""

from pathlib import Path

import click

from hwbench.cli import options
from hwbench.cli.measuring import tell


@click.command("compare")
@click.argument("baseline")
@click.argument("candidate")
@options.threshold
@options.metrics
@options.across_devices
@options.output
@options.as_json
def command(
    baseline: str,
    candidate: str,
    threshold: float,
    metrics: tuple[str, ...],
    across_devices: bool,
    output: Path,
    as_json: bool,
) -> int:
    """Judge CANDIDATE against BASELINE, two runs by folder or id: for each case and metric the
    ratio with its interval.

    faster, slower: the 95 % interval excludes 1.0 and the ratio exceeds the threshold. same: the
    whole interval lies within the threshold. Otherwise inconclusive: measure more processes. Exit
    status 0, or 3 if nothing could be compared.
    """
    from hwbench import tables
    from hwbench.analysis.verdict import comparable, judgement, noise
    from hwbench.analysis.verdict.rules import Rules
    from hwbench.report.terminal import comparison

    runs = [tables.read_run(tables.find_run(name, output)) for name in (baseline, candidate)]
    floors = noise.floors(output, runs[1], options.warn)
    table = judgement.judge_runs(
        runs[:1], runs[1], Rules(metrics, threshold), floors, across_devices
    )
    for difference in comparable.differences(*runs):
        tell(f"the environments differ: {difference}")
    if as_json:
        options.print_json(
            comparison.comparison_data(table, judgement.overall(list(table.verdict)))
        )
    else:
        options.print_table(comparison.comparison_table(table))
    return 3 if set(table.verdict) <= {"missing", "incomparable"} else 0
