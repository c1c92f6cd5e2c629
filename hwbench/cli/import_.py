"""`hwbench import`: results of other benchmarking tools become a run."""

from pathlib import Path

import click

from hwbench.cli import options, streams
from hwbench.cli.measuring import command_line, tell
from hwbench.tables.importers import TOOLS


@click.command("import")
@click.argument("tool", type=click.Choice(list(TOOLS)), metavar="TOOL")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@options.label
@options.output
@options.as_json
def command(tool: str, files: tuple[Path, ...], label: str, output: Path, as_json: bool) -> int:
    """Make a run of FILEs, the JSON of TOOL; `report`, `compare` and `gate` take it.

    \b
    TOOL              how it writes FILE
    pytest-benchmark  --benchmark-json FILE
    pyperf            -o FILE
    hyperfine         --export-json FILE
    google-benchmark  --benchmark_out=FILE --benchmark_repetitions=10
    nvbench           --jsonbin FILE --devices 0
    llama-bench       -o json > FILE, or -o jsonl >> FILE

    A file is one process of each of its benchmarks, so several files make an
    interval; a pyperf file has its processes in it, and in a llama-bench file
    each entry is one. hyperfine and Google Benchmark do not say which processor
    they ran on: compare such runs with --allow-cross-device.
    """
    from hwbench.recording.collected import Collected, store_whole
    from hwbench.report import terminal
    from hwbench.tables import importers

    streams.drop_lost_output()  # the run is stored
    imported = importers.read(tool, files)
    run = store_whole(Collected(source=tool, **vars(imported)), output, label, command_line())
    if as_json:
        options.print_json(
            {"run_id": run.run_id, "folder": str(run.folder), "rows": terminal.summary_rows(run)}
        )
    else:
        options.print_table(terminal.summary_table(run))
        tell(f"run: {run.folder}")
    return 0
