"""`hwbench summarize`: the metrics table of a run, made anew from its raw tables."""

from pathlib import Path

import click

from hwbench.cli import options


@click.command("summarize")
@click.argument("run")
@options.output
@options.as_json
def command(run: str, output: Path, as_json: bool) -> int:
    """Rebuild the metrics table of RUN, a run's folder or its id in OUTPUT, and show the run's summary."""
    from hwbench import metrics, store
    from hwbench.report import terminal

    tables = store.read_run(store.find_run(run, output))
    summary = metrics.summarize(tables)
    store.write_metrics(tables, summary)
    if as_json:
        options.print_json({"metrics": options.plain_rows(summary)} | terminal.together_rows(tables))
    else:
        for part in (terminal.summary_table(tables), *terminal.together_tables(tables)):
            options.print_table(part)
    return 0
