"""The console of tables and progress bars: whatever they hold, only what can be seen is written."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from hwbench.printable import printable

UNBOUNDED = 1000
"""Columns of a table that goes into a file or a pipe: nothing is cut off."""


class PrintableConsole(Console):
    """A console whose texts have escapes for what cannot be seen; its own codes stay."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable(segment.text, keep="\n"), segment.style)


def output_console() -> Console:
    """The console of standard output, as wide as the terminal; without one, as wide as what is
    printed."""
    console = PrintableConsole()
    return console if console.is_terminal else PrintableConsole(width=UNBOUNDED)


def error_console() -> Console:
    """The console of standard error."""
    return PrintableConsole(stderr=True)
