"""Kinds of attack on the places that a command is told to write to."""

import os
from pathlib import Path
from random import Random

from hostile import columns, imports
from hostile.attack import REFUSED, Attack
from hostile.parts import file_name
from hostile.stored import GOOD, SLOW

WRITERS: list[tuple[str, int]] = [
    ("report good -o PLACE", 0),
    ("report good --format csv -o PLACE", 0),
    ("report good --format markdown -o PLACE", 0),
    ("gate --baseline good --candidate slow --junit PLACE", 1),
    ("gate --baseline good --candidate slow --markdown PLACE", 1),
    ("gate --baseline nothing --candidate slow --junit PLACE", 3),
    ("import pyperf file.json --output PLACE", 0),
    ("meter --output PLACE -- true", 0),
    ("profile gemm --trace PLACE", REFUSED),
    ("run gemm --output PLACE", REFUSED),
]
"""Commands with the place that they write to, and how they exit if they can."""

PLACES = [
    *("folder", "folder/", "loop", "loop/x", "dangling", "file/x", "file/", ".", "./", "/"),
    *("/dev/full", "/dev/null", "/dev/stdout", "/dev/stderr", "/dev/fd/1", "/proc/x", "/sys/x"),
    *("/proc/self/mem", "/dev/nonexistent", "deep/er/x.html", "x" * 255, "x" * 256, "é" * 128),
    *("x" * 250 + ".html", "y/" * 2000 + "x", " ", "-", "~", "$HOME", "a\nb", "\x1b[31m.html"),
]


def places(rng: Random, work: Path) -> Attack:
    """A folder, a loop, a device, another's file, or a name that no file can have, to write to."""
    columns.lay(rng, work)
    imports.lay(work, "pyperf")
    template, status = rng.choice(WRITERS)
    place = _place(rng, work)
    words = [place if word == "PLACE" else word for word in template.split()]
    return Attack(words, frozenset({status, REFUSED}), _writes(place))


def summaries(rng: Random, work: Path) -> Attack:
    """A step's summary that cannot be written, on a CI system: the verdict stands without it."""
    columns.lay(rng, work)
    place = _place(rng, work)
    environment = {
        "GITHUB_ACTIONS": rng.choice(["true", "false", "TRUE", ""]),
        "GITHUB_STEP_SUMMARY": place,
    }
    words = ["gate", "--baseline", GOOD, "--candidate", SLOW]
    return Attack(words, frozenset({1}), _writes(place), environment)


def _place(rng: Random, work: Path) -> bytes:
    """A place, and what stands in its way."""
    (work / "folder").mkdir()
    (work / "folder" / "x").write_text("x")
    (work / "file").write_text("file")
    (work / "loop").symlink_to("loop")
    (work / "dangling").symlink_to("/nonexistent/deep/file")
    return b"./" + file_name(rng) if rng.random() < 0.25 else rng.choice(PLACES).encode()


def _writes(place: bytes) -> list[str]:
    """What may then be written: that place, if it lies in the folder."""
    name = os.path.normpath(os.fsdecode(place))
    return [] if name.startswith(("/", "..")) else [name]
