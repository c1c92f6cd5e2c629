"""Reads the results of other benchmarking tools as measurements.

Each tool is a module with a function `read`. Times stay as the tool measured them, in seconds of
one execution. What a file does not say stays unknown; host names, users and paths are left out.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from hwbench.identity import Identity
from hwbench.printable import storable
from hwbench.records import UserError
from hwbench.tables.importers import (
    google_benchmark,
    hyperfine,
    llama_bench,
    nvbench,
    pyperf,
    pytest_benchmark,
)
from hwbench.tables.importers.fields import NotAResult
from hwbench.tables.importers.imported import Imported, is_unusable


class Reader(Protocol):
    """Reads one file of a tool."""

    def __call__(self, file: Path, /) -> Imported:
        """The results in `file`. UserError if it cannot be read, NotAResult if it is not what the
        tool writes."""


TOOLS: dict[str, Reader] = {
    "pytest-benchmark": pytest_benchmark.read,
    "pyperf": pyperf.read,
    "hyperfine": hyperfine.read,
    "google-benchmark": google_benchmark.read,
    "nvbench": nvbench.read,
    "llama-bench": llama_bench.read,
}


def read(tool: str, files: Sequence[Path]) -> Imported:
    """The results in `files` of one of TOOLS, from one machine. Each file adds processes to the
    cases.

    A benchmark without times that make a measurement is `unsupported`. UserError, one line, for a
    file that cannot be read, is damaged, empty, of another tool or of another machine, or has no
    benchmark that can be imported.
    """
    parts = [_read(tool, file) for file in files]
    first = parts[0]
    for file, part in zip(files, parts, strict=True):
        ours, theirs = _device(part), _device(first)
        if ours.difference(theirs):
            raise UserError(f"{file}: measured on {ours}, and {files[0]} on {theirs}")
    for number, part in enumerate(parts):
        if _is_repeated(part, parts[:number]):
            raise UserError(
                f"{files[number]}: the same results a second time; they would count twice"
            )
    return Imported(
        first.started_at,
        first.device_kind,
        first.device_name,
        first.environment,
        [pair for part in parts for pair in part.measured],
    )


def _device(part: Imported) -> Identity:
    return Identity.of(part.device_kind, part.device_name, part.environment)


def _is_repeated(part: Imported, earlier: Sequence[Imported]) -> bool:
    """Whether figures of a file are those of an earlier one: figures, as failures may be alike."""
    has_figures = any(measurement.window for _, measurement in part.measured)
    return has_figures and any(part.measured == other.measured for other in earlier)


def _read(tool: str, file: Path) -> Imported:
    try:
        found = TOOLS[tool](file)
    except NotAResult as error:
        reason = storable(" ".join(str(error).split()))
        raise UserError(f"{file}: not a result of {tool}: {reason}") from error
    except RecursionError as error:
        raise UserError(f"{file}: not a result of {tool}: its parts are nested too deep") from error
    if not found.measured:
        raise UserError(f"{file}: no benchmark in it")
    processes = [measurement for _, measurement in found.measured]
    if all(map(is_unusable, processes)):
        others = f" (and {len(processes) - 1} more)" if len(processes) > 1 else ""
        raise UserError(f"{file}: {processes[0].reason}{others}")
    return found
