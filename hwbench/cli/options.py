"""Options and outputs that several commands share."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hwbench import inputs
from hwbench.printable import json_text, printable
from hwbench.records import UserError

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")

output = click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder of the results.",
)


def _label(context: click.Context, parameter: click.Parameter, text: str) -> str:
    """The label. UserError if `label:NAME` could not name it."""
    if not text:
        return text
    from hwbench.tables.labels import checked

    try:
        return checked(text)
    except UserError as error:
        raise UserError(f"--{error}") from error


label = click.option(
    "--name",
    "label",
    default="",
    callback=_label,
    help="A label for the run; give runs that belong together the same one.",
)

run_id = click.option(
    "--run-id", help="The name of the run's folder.  [default: made of time, device and chance]"
)

tdp = click.option(
    "--tdp",
    "tdp_w",
    type=float,
    metavar="W",
    help="The power limit of all processors, to estimate energy where no meter counts it.",
)

workload_files = click.option(
    "--workloads",
    "files",
    type=click.Path(),
    multiple=True,
    help="A Python file with more workloads.",
)


def share(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """The share that `5%` or `0.05` stands for; None if the option is not given. UserError if it is
    not between 0 and 1."""
    return None if text is None else _parsed(inputs.share, parameter, text)


def _threshold(context: click.Context, parameter: click.Parameter, text: str) -> float:
    return _parsed(inputs.threshold, parameter, text)


def _parsed(parse: Callable[[str], float], parameter: click.Parameter, text: str) -> float:
    try:
        return parse(text)
    except UserError as error:
        raise UserError(f"--{parameter.name} {error}") from error


DURATION_UNITS = {"s": 1, "m": 60, "h": 3600}
"""Seconds of each unit."""


def duration(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """The seconds that `3m`, `90s`, `1.5h` or a plain number stands for; None if the option is not
    given. UserError if it is none of these."""
    if text is None:
        return None
    word = text.strip()
    unit = DURATION_UNITS.get(word[-1:], 0)
    try:
        return float(word[:-1]) * unit if unit else float(word)
    except ValueError as error:
        option = parameter.opts[0]
        expected = "expected a duration such as 3m, 90s or 1h"
        raise UserError(f"{option} {text!r}: {expected}") from error


def _metrics(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[str, ...]:
    """The metrics that a list separated by commas names. UserError suggests near names for an
    unknown one."""
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
    callback=_threshold,
    help="The smallest change that matters: 5%, 0.05 or 150%.",
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
    help="Compare runs even if their devices differ.",
)


def warn(problem: str) -> None:
    """Print a warning on standard error."""
    print_line(f"warning: {problem}", err=True)


def print_line(text: str, err: bool = False) -> None:
    """Print a text as one line on standard output, or on standard error."""
    (sys.stderr if err else sys.stdout).write(f"{printable(text)}\n")


def print_heading(head: str, rest: str = "") -> None:
    """Print a line on standard output that begins with `head`, bold on a terminal."""
    head = printable(head)
    head = click.style(head, bold=True) if sys.stdout.isatty() else head
    sys.stdout.write(f"{head}{printable(rest)}\n")


def print_json(content: Any) -> None:
    """Print JSON on standard output."""
    print_text(json_text(content))


def print_text(text: str, err: bool = False) -> None:
    """Print a text that is ready for it unchanged, in UTF-8 whatever the terminal's encoding."""
    stream = sys.stderr if err else sys.stdout
    stream.flush()
    stream.buffer.write(text.encode())
    stream.buffer.flush()


def print_table(table: Any) -> None:
    """Print a rich table on standard output."""
    from hwbench.cli.console import output_console

    output_console().print(table)
