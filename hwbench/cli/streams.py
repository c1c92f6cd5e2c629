"""The standard streams as all commands write to them: output that nobody takes changes no exit
status, and a text that the stream's encoding lacks is written in another way."""

import codecs
import io
import os
import re
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

OUTPUT, ERRORS = "standard output", "standard error"

LOOKALIKES = {
    "–": "-", "−": "-", "±": "+-", "×": "x", "·": ".", "…": "...", "µ": "u", "μ": "u",
    "→": "->", "′": "'", "°": "deg ", "\u00a0": " ",
}  # fmt: skip
"""What stands for our own signs where an encoding lacks them; all else has an escape."""

_COMMAND = re.compile(r"(?m)^([^\S\n]*):(?=:)")
"""A line that GitHub Actions would take for a command: it begins with `::`, after any spaces."""


@contextmanager
def prepared() -> Iterator[None]:
    """A context in which the standard streams take whatever is written.

    Output whose reader has left, as `head` does, or that goes to a closed stream, is dropped. So is
    what a full disk does not take on standard error; on standard output that is an OSError, once,
    unless `drop_lost_output` was called.
    """
    _open_closed_ones()
    before = sys.stdout, sys.stderr
    sys.stdout = _stream(before[0], 1, OUTPUT, is_strict=True)
    sys.stderr = _stream(before[1], 2, ERRORS, is_strict=False)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        sys.stdout, sys.stderr = before


def drop_lost_output() -> None:
    """From here on standard output that cannot be written is dropped, with one line on standard
    error: the work has another result than what it prints, such as a stored run or a verdict."""
    if isinstance(sys.stdout, Stream):
        sys.stdout.outlet.is_strict = False


class Outlet(io.RawIOBase):
    """The lowest layer of a standard stream. After the first write that fails it drops all."""

    def __init__(self, sink: Any, name: str, is_strict: bool) -> None:
        self._sink, self._name, self.is_strict = sink, name, is_strict
        self._is_lost = False

    def write(self, data: Any) -> int:
        if not self._is_lost:
            try:
                return self._write(data)
            except BrokenPipeError:
                self._is_lost = True
            except OSError as error:
                self._is_lost = True
                self._report(error)
        return len(data)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return bool(self._sink.isatty())

    def fileno(self) -> int:
        return int(self._sink.fileno())

    def _write(self, data: Any) -> int:
        # None: a pipe that does not block is full, as those of some CI systems
        while (written := self._sink.write(data)) is None:
            select.select([], [self._sink], [])
        return int(written)

    def _report(self, error: OSError) -> None:
        if self.is_strict:
            error.filename = self._name
            raise error
        if self._name == OUTPUT:
            sys.stderr.write(f"hwbench: {OUTPUT}: {error.strerror}; the rest of it is lost\n")


class Stream(io.TextIOWrapper):
    """Text over an outlet, in which no line begins like a command to the log of a CI system."""

    def __init__(self, outlet: Outlet, encoding: str) -> None:
        buffer = io.BufferedWriter(outlet)
        super().__init__(buffer, encoding, errors="hwbench.lookalike", line_buffering=True)
        self.outlet = outlet

    def write(self, text: str) -> int:
        return super().write(_COMMAND.sub(r"\1\\x3a", text))


def _stream(stream: TextIO | None, number: int, name: str, is_strict: bool) -> Any:
    if stream is None:  # it was closed when this process began
        sink: Any = open(number, "wb", buffering=0, closefd=False)  # noqa: SIM115
        return Stream(Outlet(sink, name, is_strict), "utf-8")
    buffer = getattr(stream, "buffer", None)
    if buffer is None:  # it takes no bytes: somebody has put an object of theirs here
        return stream
    outlet = Outlet(getattr(buffer, "raw", buffer), name, is_strict)
    return Stream(outlet, stream.encoding or "utf-8")


def _open_closed_ones() -> None:
    """Give standard streams that were closed the null device: the next file that is opened would
    get their number, and with it what a command or a library prints."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)


def _lookalike(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    missing = error.object[error.start : error.end]
    escaped = {one: one.encode("ascii", "backslashreplace").decode() for one in missing}
    return "".join(LOOKALIKES.get(one, escaped[one]) for one in missing), error.end


codecs.register_error("hwbench.lookalike", _lookalike)
