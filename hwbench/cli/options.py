"""Options and outputs that several commands share."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from hwbench import inputs
from hwbench.files import atomic_write
from hwbench.records import UserError

UNBOUNDED = 1000
"""Columns for a table that goes into a file or a pipe: nothing is cut off there."""

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")

output = click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder of the results.",
)


def _label(context: click.Context, parameter: click.Parameter, text: str) -> str:
    """UserError if it could not be the name of a run, which `label:NAME` would then not find."""
    if text:
        from hwbench.tables.schema import RUN_ID

        if not RUN_ID.fullmatch(text):
            raise UserError(f"--name {text!r}: use up to 100 letters, digits, '.', '_' and '-'")
    return text


label = click.option(
    "--name",
    "label",
    default="",
    callback=_label,
    help="A label for the run; runs that belong together share it.",
)

run_id = click.option(
    "--run-id", help="The name of the run's folder.  [default: made of time, device and chance]"
)

tdp = click.option(
    "--tdp",
    "tdp_w",
    type=float,
    metavar="W",
    help="What all processors take at most, to estimate energy where nothing counts it.",
)

workload_files = click.option(
    "--workloads",
    "files",
    type=click.Path(),
    multiple=True,
    help="A Python file with more workloads.",
)


def share(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """`5%` or `0.05`; None if the option is not given. UserError if it is no share between 0 and
    1."""
    try:
        return None if text is None else inputs.share(text)
    except UserError as error:
        raise UserError(f"--{parameter.name} {error}") from error


DURATION_UNITS = {"s": 1, "m": 60, "h": 3600}
"""By the letter of a unit, its seconds."""


def duration(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """`3m`, `90s`, `1.5h`, or a number of seconds; None if the option is not given. UserError if it
    is none of them."""
    if text is None:
        return None
    word = text.strip()
    unit = DURATION_UNITS.get(word[-1:], 0)
    try:
        return float(word[:-1]) * unit if unit else float(word)
    except ValueError as error:
        raise UserError(
            f"{parameter.opts[0]} {text!r}: expected a duration such as 3m, 90s or 1h"
        ) from error


def _metrics(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[str, ...]:
    """Names of metrics, separated by commas. UserError suggests near names for one that is not
    there."""
    from hwbench.analysis.metrics.summary import METRICS
    from hwbench.inputs import unknown

    names = tuple(name.strip() for name in text.split(",")) if text is not None else ()
    for name in names:
        if name not in METRICS:
            raise UserError(unknown("metric", name, METRICS))
    return names


threshold = click.option(
    "--threshold",
    default="5%",
    show_default=True,
    callback=share,
    help="A change that matters: 5% or 0.05.",
)
metrics = click.option(
    "--metric",
    "metrics",
    callback=_metrics,
    metavar="M[,M…]",
    help="Metrics to judge.  [default: throughput, …]",
)
across_devices = click.option(
    "--allow-cross-device",
    "across_devices",
    is_flag=True,
    help="Compare runs of different devices all the same.",
)


def warn(problem: str) -> None:
    """A line on standard error that does not end the command."""
    click.echo(f"warning: {problem}", err=True)


def plain_rows(table: Any) -> list[dict[str, Any]]:
    """The rows of a data frame as JSON takes them, to the last digit; null for what is no finite
    number."""
    from hwbench.report.numbers import plain

    return [{name: plain(value) for name, value in row.items()} for row in table.to_dict("records")]


def print_json(content: Any) -> None:
    """JSON on standard output."""
    with _if_anyone_reads():
        click.echo(json.dumps(content, indent=2, allow_nan=False))


def print_line(text: str) -> None:
    """A line on standard output."""
    with _if_anyone_reads():
        click.echo(text)


def print_text(text: str) -> None:
    """A text on standard output as it is, in UTF-8 whatever the terminal's encoding."""
    with _if_anyone_reads():
        click.echo(text.encode(), nl=False)


def print_table(table: Any) -> None:
    """A rich table on standard output: as wide as the terminal, or as wide as it likes where there
    is none."""
    from rich.console import Console

    console = Console()
    with _if_anyone_reads():
        (console if console.is_terminal else Console(width=UNBOUNDED)).print(table)


@contextmanager
def _if_anyone_reads() -> Iterator[None]:
    """A reader that has left does not change what the command has to say by its exit status."""
    try:
        yield
        if sys.stdout:
            sys.stdout.flush()
    except BrokenPipeError:
        drop_output()


def drop_output() -> None:
    """Send what is still to be printed nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write_page(file: Path, text: str) -> None:
    """Write a page whole or not at all. UserError if it cannot be written.

    A link is followed, and what is no plain file (a pipe, a device, /dev/stdout) is written into,
    not replaced.
    """
    try:
        if file.is_absolute() and file.parts[1:2] in (("dev",), ("proc",)):
            with file.open("a", encoding="utf-8") as stream:
                stream.write(text)
            return
        target = file.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not target.is_file():
            target.write_text(text, encoding="utf-8")
            return
        with atomic_write(target) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file}: cannot be written: {error.strerror}") from error
