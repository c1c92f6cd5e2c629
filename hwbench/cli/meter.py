"""`hwbench meter`: measure the energy and power of any command, or list the meters."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hwbench.cli import options, streams, targets
from hwbench.printable import json_text, storable
from hwbench.records import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwbench.meters.command import Metered


STDOUT = Path("-")


@click.command("meter")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="-- COMMAND…")
@click.option(
    "--list",
    "as_list",
    is_flag=True,
    help="List which meters work here, and what would make the others work.",
)
@options.tdp
@options.label
@click.option("--output", type=click.Path(path_type=Path), help="Store it as a run in this folder.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write JSON to this file instead of a table; with --list, - is standard output.",
)
def command(
    words: tuple[str, ...],
    as_list: bool,
    tdp_w: float | None,
    label: str,
    output: Path | None,
    json_file: Path | None,
) -> int:
    """Measure the energy and power that processors and GPUs take while COMMAND runs, and show where
    each figure comes from.

    The command owns the terminal and Ctrl-C. When it has ended, a table follows on standard output,
    or FILE is written, and its exit status becomes that of this command. A quantity that cannot be
    measured is listed with the reason, never as 0.
    """
    from hwbench.meters.command import run_metered
    from hwbench.meters.selection import all_sources
    from hwbench.report.terminal import meters as shown

    if tdp_w is not None and not 0 < tdp_w < 1e6:
        raise UserError(f"--tdp {tdp_w:g}: expected watts above 0, such as 65")
    if json_file and not (as_list and json_file == STDOUT):
        _require_place(json_file)
    if as_list:
        sources = all_sources(tdp_w)
        if json_file is None:
            options.print_table(shown.sources_table(sources))
        elif json_file == STDOUT:
            options.print_json(shown.sources_data(sources))
        else:
            _write_json(json_file, shown.sources_data(sources))
        return 0
    if not words:
        raise UserError(
            "no command to measure; try `hwbench meter -- python train.py`; --list shows the meters"
        )
    streams.drop_lost_output()  # the exit status is the command's
    folder, store = _store(words, output, label) if output else (None, None)
    metered = run_metered(words, tdp_w)
    if metered.problem:
        options.print_line(f"hwbench: {metered.problem}", err=True)
    elif json_file is None:
        _show(metered)
    if json_file:
        data = shown.metered_data(metered) | {"folder": str(folder) if folder else None}
        try:
            _write_json(json_file, data)
        except UserError:  # a full disk must not cost the figures
            _show(metered)
            raise
    if store:  # after the figures are shown, for the same reason
        store(metered)
        options.print_line(f"run: {folder}", err=True)
    return metered.exit_status


def _show(metered: "Metered") -> None:
    from hwbench.report.terminal import meters as shown

    options.print_table(shown.metered_table(metered))
    options.print_line(shown.summary(metered))


def _require_place(file: Path) -> None:
    """UserError if the file cannot be written. This comes before the command starts, so that it
    costs no measurement."""
    if file == STDOUT:
        raise UserError("--json -: standard output belongs to the command; name a file")
    targets.require_target(file, "--json ")


def _write_json(file: Path, content: object) -> None:
    targets.write_page(file, json_text(content))


def _store(
    words: tuple[str, ...], output: Path, label: str
) -> "tuple[Path, Callable[[Metered], None]]":
    """Open a run for the command. Returns its folder and a function that stores the outcome.

    This comes before the command starts, so that a folder that cannot be written costs no time.
    """
    from hwbench import tables as store
    from hwbench.cli.measuring import command_line
    from hwbench.identity import UNKNOWN_CPU
    from hwbench.machine import environment
    from hwbench.meters.command import as_measurement
    from hwbench.meters.machine import Place
    from hwbench.privacy import without_secrets
    from hwbench.recording.matrix import Plan
    from hwbench.recording.session import RunRequest, derive, describe_run, new_run_id
    from hwbench.records import Case, Policy

    argv = storable(shlex.join(without_secrets(words)))
    case = Case("command", {"argv": argv}, "none")
    plan = Plan((case,), Policy(processes=1, max_processes=1))
    device_info = {"kind": "cpu", "name": Place.here().cpu or UNKNOWN_CPU}
    request = RunRequest(plan, label=label, run_id=new_run_id("meter"), argv=command_line())
    run = describe_run(request, "cpu", device_info, environment.collect(device_info))
    writer = store.Writer(output, run)

    def add(metered: "Metered") -> None:
        writer.add(case, 0, as_measurement(metered))
        derive(store.read_run(writer.folder))

    return writer.folder, add
