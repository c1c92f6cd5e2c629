"""An attack: hostile files in a folder, a command line over them, and how it may end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

REFUSED = 2
"""The exit status of what hwbench declines, in one line."""


@dataclass(frozen=True)
class Attack:
    """A command line, run in the folder that the attack was laid into, and what it may do.

    - `words`: what follows `hwbench`; `api` as the first reads the runs from Python instead.
    - `statuses`: with which it may exit.
    - `writes`: files and folders, relative to that folder, that it may make or change when it is
      not refused.
    - `environment`: variables that it is given, None takes one away.
    - `stdout`, `stderr`: `file`, `terminal` (stdout alone), `closed`, `full`, `broken` (a pipe that
      nobody reads), or the encoding of a file.
    - `locale_c`: as on a machine whose locale is C.
    - `measures`: it may start processes that measure; without it, asking for a device is refused.
    - `then`: command lines of other commands that must succeed if this one does.
    - `clean`: lays the files as they were before they were harmed. What is not refused must say the
      same of both.
    - `secrets`: texts that must reach no stream and no file.
    """

    words: Sequence[str | bytes]
    statuses: frozenset[int] = frozenset({0, REFUSED})
    writes: Sequence[str] = ()
    environment: Mapping[str, str | bytes | None] = field(default_factory=dict)
    stdout: str = "file"
    stderr: str = "file"
    locale_c: bool = False
    measures: bool = False
    then: Sequence[Sequence[str]] = ()
    clean: Callable[[Path], None] | None = None
    secrets: Sequence[str] = ()


@dataclass(frozen=True)
class Done:
    """What came of a command: how it ended, both streams as bytes, and the paths, from the folder
    above all, that are other than before. `memory_bytes` is its peak beyond its imports."""

    status: int
    is_late: bool
    seconds: float
    cpu_s: float
    memory_bytes: int
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)
    changed: frozenset[str]
    top: Path
    work: Path


Build = Callable[[Random, Path], Attack]
"""Lays an attack's files into a folder and says how to run it; the same for the same generator."""


@dataclass(frozen=True)
class Kind:
    """A kind of attack, of which every seed makes one; `share` is how many of all are of it."""

    name: str
    build: Build = field(repr=False)
    share: int = 1


def count_of(kind: Kind, kinds: Sequence[Kind], total: int) -> int:
    """How many of `total` attacks are of this kind: at least one."""
    return max(1, round(total * kind.share / sum(other.share for other in kinds)))
