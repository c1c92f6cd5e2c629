"""Options and outputs that several commands share."""

import json
import os
from pathlib import Path
from typing import Any

import click

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

workload_files = click.option(
    "--workloads", "files", type=click.Path(), multiple=True, help="A Python file with more workloads."
)


def print_json(content: Any) -> None:
    """JSON on standard output; a number that is not one (NaN) becomes null, as JSON has none."""
    click.echo(json.dumps(content, indent=2, allow_nan=False))


def print_table(table: Any) -> None:
    """A rich table on standard output: as wide as the terminal, or as wide as it likes where there is none."""
    from rich.console import Console

    console = Console()
    (console if console.is_terminal else Console(width=UNBOUNDED)).print(table)


def write_page(file: Path, text: str) -> None:
    """Write a page whole or not at all. OSError if it cannot be written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(file.name + ".part")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
