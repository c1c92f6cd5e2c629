"""`hwbench import`: results of other benchmarking tools become a run."""

from collections import Counter
from pathlib import Path
from typing import Any

import click

from hwbench.cli import options
from hwbench.cli.measuring import command_line
from hwbench.records import Run
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
    from hwbench import tables
    from hwbench.recording.session import derive
    from hwbench.report import terminal
    from hwbench.tables import importers

    found = importers.read(tool, files)
    writer = tables.Writer(output, _run(tool, found, label))
    numbers: Counter[str] = Counter()
    for case, measurement in found.measured:
        writer.add(case, numbers[case.case_id], measurement)
        numbers[case.case_id] += 1
    run = tables.read_run(writer.folder)
    derive(run)
    if as_json:
        options.print_json(
            {"run_id": run.run_id, "folder": str(run.folder), "rows": terminal.summary_rows(run)}
        )
    else:
        options.print_table(terminal.summary_table(run))
        click.echo(f"run: {run.folder}", err=True)
    return 0


def _run(tool: str, found: Any, label: str) -> Run:
    from hwbench.recording.session import new_run_id

    cases = {case.case_id: case for case, _ in found.measured}
    processes = Counter(case.case_id for case, _ in found.measured)
    return Run(
        run_id=new_run_id(tool),
        started_at=found.started_at,
        label=label,
        device_kind=found.device_kind,
        device_name=found.device_name,
        environment=found.environment,
        argv=command_line(),
        plan={
            "policy": {"processes": max(processes.values())},
            "cases": [{**vars(case), "case_id": case_id} for case_id, case in cases.items()],
        },
    )
