"""`hwbench completion`: complete commands and options in the shell, by click."""

import os

import click

from hwbench.cli import options

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS), required=False)
def command(shell: str | None) -> int:
    """Print the line that turns on completion; put it into your shell's start file.

    SHELL is bash, zsh or fish; without it, the one that $SHELL names.
    """
    chosen = shell or os.path.basename(os.environ.get("SHELL", ""))
    chosen = chosen if chosen in SHELLS else "bash"
    if chosen == "fish":
        options.print_line("_HWBENCH_COMPLETE=fish_source hwbench | source")
    else:
        options.print_line(f'eval "$(_HWBENCH_COMPLETE={chosen}_source hwbench)"')
    return 0
