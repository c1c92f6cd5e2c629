"""Kinds of attack on the files of a stored run: damaged ones, and what is no file."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

from hostile import stored
from hostile.attack import REFUSED, Attack
from hostile.columns import a_part, lay
from hostile.reading import BY_LABEL, RESULTS, SAYS_ALL, any_reader, read
from hostile.stored import GOOD, OLDER, SLOW
from hostile.texts import text

LONGEST_NAME = 200
"""Bytes of a file's name; a file system takes 255, and our own have an ending."""


def flips(rng: Random, work: Path) -> Attack:
    """A bit that has changed: the figures are the same, or there are none."""
    run = lay(rng, work)
    file = a_part(rng, run)
    content = bytearray(file.read_bytes())
    bit = rng.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)
    attack = read(SAYS_ALL, SLOW)
    return Attack(attack.words, attack.statuses, attack.writes, clean=_clean)


def _clean(work: Path) -> None:
    stored.lay(work / RESULTS, GOOD, SLOW)


def cuts(rng: Random, work: Path) -> Attack:
    """A part that was cut short, is empty, or has something behind it."""
    run = lay(rng, work)
    file = a_part(rng, run)
    content = file.read_bytes()
    at = rng.choice([0, 1, 4, 8, len(content) - 1, rng.randrange(len(content))])
    file.write_bytes(rng.choice([content[:at], content[:at] + b"\0" * (len(content) - at)]))
    is_damaged = file.read_bytes() != content
    return any_reader(rng, SLOW, is_damaged=is_damaged)


def no_files(rng: Random, work: Path) -> Attack:
    """A folder, a pipe, a loop, a device or nothing where a part should be."""
    run = lay(rng, work)
    file = a_part(rng, run)
    is_more = rng.random() < 0.3
    place = file.with_name("more.parquet") if is_more else file
    if not is_more:
        file.unlink()
    rng.choice(NO_FILES)(place)
    return any_reader(rng, SLOW, is_damaged=True)


def no_folders(rng: Random, work: Path) -> Attack:
    """The same where a table's folder should be, the run's, or that of all results."""
    run = lay(rng, work)
    place = rng.choice([run / "samples", run / "runs", run / "metrics", run, run.parent])
    place.rename(work / "elsewhere")
    rng.choice(NO_FILES[1:])(place)
    return any_reader(rng, SLOW)


NO_FILES: list[Callable[[Path], None]] = [
    lambda place: place.mkdir(),
    lambda place: os.mkfifo(place),
    lambda place: place.symlink_to(place.name),
    lambda place: place.symlink_to("/nonexistent/file"),
    lambda place: place.symlink_to("/dev/zero"),
    lambda place: place.symlink_to("/dev/full"),
    lambda place: place.symlink_to("/proc/self/mem"),
    lambda place: place.write_bytes(b""),
    lambda place: place.write_bytes(b"PAR1" + b"\xff" * 100 + b"PAR1"),
    lambda place: place.write_text("run_id,case_id\n1,2\n"),
]


def names(rng: Random, work: Path) -> Attack:
    """A run in a folder with a hostile name, read by that name."""
    run = lay(rng, work)
    name = file_name(rng)
    os.rename(os.fsencode(run), os.path.join(os.fsencode(run.parent), name))
    by_path = rng.random() < 0.5
    word = b"results/" + name if by_path else name
    if word.startswith(b"-"):
        word = b"./" + word
    attack = any_reader(rng, "RUN_HERE")
    words = [word if "RUN_HERE" in str(one) else one for one in attack.words]
    return replace(attack, words=words, statuses=frozenset({REFUSED, 3}))


def company(rng: Random, work: Path) -> Attack:
    """A damaged run, or what is none, among others that are read by their label: it is left out
    with a warning, and nothing of it is believed."""
    stored.lay(work / RESULTS, GOOD, SLOW, OLDER, "old")
    run = work / RESULTS / OLDER
    way = rng.randrange(4)
    if way == 0:
        for file in stored.parts(run, rng.choice(["runs", "samples", "noise"])):
            file.write_bytes(b"PAR1")
    elif way == 1:
        place = rng.choice(stored.parts(run, rng.choice(["runs", "noise"])))
        place.unlink()
        rng.choice(NO_FILES)(place)
    elif way == 2:
        folder = os.path.join(os.fsencode(run.parent), file_name(rng))
        os.rename(os.fsencode(run), folder)
    else:
        rng.choice(NO_FILES)(run.with_name("stray"))
        (run.with_name("stray2") / "runs").mkdir(parents=True)
        (run.with_name("stray2") / "runs" / "run.parquet").write_text(
            text(rng)[:100].encode(errors="replace").decode()
        )
    return read(rng.choice(BY_LABEL), GOOD)


def file_name(rng: Random) -> bytes:
    """A hostile text, or bytes that are no text, as the name of one file."""
    if rng.random() < 0.3:
        return rng.choice([b"\xff\xfe", b"caf\xe9", b"\xed\xa0\x80", b"a\xffb\n", b"\x80" * 50])
    name = text(rng).replace("\0", "").replace("/", "_").encode(errors="replace")[:LONGEST_NAME]
    return name if name not in (b"", b".", b"..", SLOW.encode(), GOOD.encode()) else b"x y"
