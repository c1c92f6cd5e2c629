"""`hwbench summarize`: derive the tables of a run again from its raw ones."""

from pathlib import Path

import click

from hwbench.cli import options


@click.command("summarize")
@click.argument("run")
@options.output
@options.as_json
def command(run: str, output: Path, as_json: bool) -> int:
    """Rebuild the metrics of RUN, a run's folder or its id in OUTPUT; show its summary and its
    roofline."""
    from hwbench import tables as store
    from hwbench.analysis import roofline
    from hwbench.analysis.metrics import spans
    from hwbench.recording.session import derive
    from hwbench.report import terminal
    from hwbench.report.rows import plain_rows

    tables = store.read_run(store.find_run(run, output))
    metrics = derive(tables)
    if as_json:
        content = {
            "run_id": tables.run_id,
            "folder": str(tables.folder),
            "rows": terminal.summary_rows(tables),
        }
        content["metrics"] = plain_rows(metrics)
        content["span_metrics"] = plain_rows(spans.summarize_spans(tables))
        options.print_json(
            content | {"roofline": roofline.roofline_data(tables)} | terminal.together_rows(tables)
        )
        return 0
    for part in (terminal.summary_table(tables), *terminal.together_tables(tables)):
        options.print_table(part)
    if (sums := terminal.roofline_table(tables)) is not None:
        options.print_table(sums)
    return 0
