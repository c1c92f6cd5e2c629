"""`hwbench import`: results of pytest-benchmark or pyperf become a run."""

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
    """Make a run of FILEs, the JSON of TOOL: pytest-benchmark or pyperf; `report`, `compare` and
    `gate` take it.

    A pytest-benchmark file (--benchmark-json FILE) is one process, so several of them make an
    interval; a pyperf file (-o FILE) has its processes in it.
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
        device_kind="cpu",
        device_name=found.device_name,
        environment=found.environment,
        argv=command_line(),
        plan={
            "policy": {"processes": max(processes.values())},
            "cases": [{**vars(case), "case_id": case_id} for case_id, case in cases.items()],
        },
    )
