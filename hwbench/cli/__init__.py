"""The command line: the only package that prints or exits. Each command is a module, imported when
it is called.

Exit status: 0 done · 1 a case failed · 2 usage or bad input · 128 + N ended by signal N (130 by
Ctrl-C). Tracebacks are shown only with --debug.
"""

import os
import sys
import traceback
from importlib import import_module

import click

from hwbench import __version__
from hwbench.cli import options, signals, streams
from hwbench.printable import printable, storable
from hwbench.records import UserError

COMMANDS = {
    "run": "Measure workloads on a device, store every sample, write a report.",
    "list": "Show the workloads with their axes, the suites and the devices.",
    "info": "Show the environment as a run records it.",
    "report": "Render one run, or several side by side, as one HTML page.",
    "compare": "Judge a run against another, case by case, with intervals.",
    "gate": "Hold a run against a baseline: for CI, with an exit status and reports.",
    "ab": "Measure two environments in turns and judge them as pairs.",
    "noise": "Measure what this machine's noise alone can do.",
    "profile": (
        "Show where the time and memory of a workload's step go, and what would make it faster."
    ),
    "meter": "Measure what any command takes: energy, power, memory.",
    "import": "Make a run of another tool's results.",
    "summarize": "Rebuild a run's metrics table from its raw tables.",
    "completion": "Print the line that turns on completion in your shell.",
}


class LazyCommands(click.Group):
    """A group whose commands live in modules of their own, so that `--help` imports none of
    them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS]  # `list` may be a command's module here

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = "import_" if name == "import" else name  # a keyword names no module
        command: click.Command = import_module(f"hwbench.cli.{module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from hwbench.inputs import unknown

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise UserError(unknown("command", args[0], COMMANDS))
        return super().resolve_command(ctx, args)


@click.command(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hwbench")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Measure what this machine can do for large models: tokens/s, FLOP/s, latency and memory."""


def _is_completion() -> bool:
    """Whether a shell asks what may come next, or for the script that asks. A shell gives the words
    that were typed so far."""
    instruction = os.environ.get("_HWBENCH_COMPLETE", "")
    return instruction.endswith("_source") or (bool(instruction) and "COMP_WORDS" in os.environ)


def main() -> None:
    """Run the command line and exit with its promised status."""
    with streams.prepared(), signals.raised():
        status = _run()
    sys.exit(status)


def _run() -> int:
    """Run the command line. Returns its exit status."""
    words = sys.argv[1:]
    # what follows `--` belongs to another command
    own = words[: words.index("--")] if "--" in words else words
    debug = "--debug" in own  # before or after the command
    try:
        _require_text(own)
        words = [word for word in own if word != "--debug"] + words[len(own) :]
        if _is_completion():
            cli.main(words, prog_name="hwbench")
        with cli.make_context("hwbench", words) as context:
            status = cli.invoke(context)
        sys.stdout.flush()
        return int(status)
    except click.exceptions.Exit as done:
        return done.exit_code
    except signals.Ended as end:
        return _report_error(str(end), end.status)
    except (KeyboardInterrupt, click.Abort):
        return _report_error("interrupted", 130)
    except Exception as error:  # noqa: BLE001 - no traceback to a user, whatever it is
        if debug:
            for line in traceback.format_exc().splitlines():
                options.print_line(line, err=True)
        return _report_error(_in_a_line(error), 2)


def _require_text(words: list[str]) -> None:
    """UserError for a word that is no text: it could name no run, no column and no case."""
    for word in words:
        if word != storable(word):
            encoding = sys.getfilesystemencoding()
            raise UserError(
                f"{word}: not in the encoding of this environment, {encoding}; rename it, or set"
                " LC_ALL=C.UTF-8"
            )


def _in_a_line(error: Exception) -> str:
    """What is wrong, for a user."""
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or error}"
    return f"{type(error).__name__}: {error} (a bug in hwbench; --debug shows the traceback)"


MESSAGE_END = 700
"""In characters: how much of the beginning and of the end of a message is shown, if it is longer
than both, as one that repeats a value of any length. What is wrong with it may stand at the end."""


def _report_error(message: str, status: int) -> int:
    message = printable(message)
    if len(message) > 2 * MESSAGE_END:
        message = f"{message[:MESSAGE_END]}…{message[-MESSAGE_END:]}"
    options.print_line(f"hwbench: {message}", err=True)
    return status
