"""Kinds of attack on the files of other tools that `hwbench import` reads."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from foreign import DATA, FILES, SOURCES

from hostile import shapes
from hostile.attack import REFUSED, Attack
from hostile.parts import NO_FILES, file_name
from hostile.texts import text

SAMPLES = "nvbench.json-bin"
COPIES = 200
BOMB = 1 << 30


def command(
    tool: str, *files: str | bytes, statuses: frozenset[int] = frozenset({0, REFUSED})
) -> Attack:
    """An import, whose run can be read and compared if it becomes one."""
    return Attack(
        ["import", tool, *files, "--name", "imported"],
        statuses,
        ["results"],
        then=[
            ["report", "label:imported", "-o", "page.html"],
            ["report", "label:imported", "--format", "markdown"],
        ],
    )


def lay(work: Path, tool: str, name: str = "file.json") -> Path:
    """The tool's real file, and what lies beside it."""
    if tool == "nvbench":
        shutil.copytree(DATA / SAMPLES, work / SAMPLES)
        shutil.copytree(DATA / SAMPLES, work / f"{name}-bin")
    shutil.copy(FILES[tool], work / name)
    return work / name


def any_tool(rng: Random) -> str:
    return rng.choice(list(SOURCES))


def changes(rng: Random, work: Path) -> Attack:
    """A place of the document that is something else, missing, there twice, or named otherwise."""
    tool = any_tool(rng)
    file, content = lay(work, tool), SOURCES[tool]
    for _ in range(rng.choice([1, 1, 2])):
        changed = (
            shapes.changed(rng, content) if rng.random() < 0.8 else shapes.renamed(rng, content)
        )
        try:
            content = json.loads(changed)
        except (ValueError, RecursionError):
            break
    file.write_text(changed, encoding="utf-8", errors="surrogatepass")
    return command(tool, file.name)


def broken(rng: Random, work: Path) -> Attack:
    """A file that was cut short, is damaged, empty, or something else altogether."""
    tool = any_tool(rng)
    file = lay(work, tool)
    whole = file.read_text()
    content = rng.choice(
        [
            shapes.broken(rng, whole).encode(),
            shapes.spelled(rng).encode(errors="replace"),
            rng.choice([b"", b"\0" * 1000, b"\xff" * 1000, b" " * 1000, b"PK\x03\x04", b"<html>"]),
            "\n".join([json.dumps(SOURCES[tool])] * 3).encode(),
            whole.replace("0.", "0.0.").encode(),
        ]
    )
    file.write_bytes(content)
    return command(tool, file.name)


def mistaken(rng: Random, work: Path) -> Attack:
    """The file of another tool, the same file twice, or one that is not there."""
    tool, other = any_tool(rng), any_tool(rng)
    file = lay(work, tool)
    shutil.copy(FILES[other], work / "other.json")
    names = rng.choice(
        [
            ["other.json"],
            [file.name, "other.json"],
            [file.name, file.name],
            ["nonexistent.json"],
            [file.name] * 50,
            [file_name(rng).replace(b"-", b"_")],
        ]
    )
    return command(tool, *names)


def clothes(rng: Random, work: Path) -> Attack:
    """A sound file as others write it: compressed, with a mark in front, in another encoding."""
    tool = rng.choice([tool for tool in SOURCES if tool != "nvbench"])
    file = lay(work, tool)
    whole = file.read_text()
    file.unlink()
    way = rng.choice(
        ["gz", "gz twice", "mark", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "crlf"]
    )
    file = file.with_name("file.json.gz" if way == "gz" else "file.json")
    file.write_bytes(
        {
            "gz": gzip.compress(whole.encode()),
            "gz twice": gzip.compress(whole[:9].encode()) + gzip.compress(whole[9:].encode()),
            "mark": b"\xef\xbb\xbf" + whole.encode(),
            "crlf": whole.replace("\n", "\r\n").encode(),
        }.get(way)
        or whole.encode(way)
    )
    return command(
        tool, file.name, statuses=frozenset({0}) if way != "gz twice" else frozenset({0, 2})
    )


def compressed(rng: Random, work: Path) -> Attack:
    """A compressed file that is cut short, damaged, or very much larger than it looks."""
    tool = any_tool(rng)
    file = lay(work, tool, "file.json.gz")
    whole = gzip.compress(file.read_bytes(), mtime=0)
    at = rng.randrange(len(whole))
    file.write_bytes(
        rng.choice(
            [
                lambda: whole[:at],
                lambda: whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :],
                lambda: whole + b"more",
                lambda: gzip.compress(whole),
                lambda: _bomb(),
                lambda: b"\x1f\x8b",
                lambda: gzip.compress(b""),
            ]
        )()
    )
    return command(tool, file.name)


def _bomb() -> bytes:
    """A gigabyte of spaces in a megabyte."""
    block = gzip.compress(b" " * (BOMB >> 4))
    return block * 16


def no_files(rng: Random, work: Path) -> Attack:
    """A pipe, a folder, a loop or a device in place of the file, or of what lies beside it."""
    tool = any_tool(rng)
    file = lay(work, tool)
    if tool == "nvbench" and rng.random() < 0.7:
        file = rng.choice([work / SAMPLES / "0.bin", work / SAMPLES])
    shutil.rmtree(file) if file.is_dir() else file.unlink()
    rng.choice(NO_FILES)(file)
    return command(tool, "file.json")


def samples(rng: Random, work: Path) -> Attack:
    """The binary samples of nvbench: damaged, of another length, or at a hostile path."""
    file = lay(work, "nvbench")
    samples = rng.choice([SAMPLES, f"{file.name}-bin"])
    way = rng.randrange(3)
    if way == 0:
        content = rng.choice([b"", b"\0" * 7, b"\xff" * 4000, rng.randbytes(4000)])
        (work / samples / "0.bin").write_bytes(content)
    elif way == 1:
        with (work / samples / "0.bin").open("wb") as big:
            big.truncate(1 << 36)
    else:
        whole = file.read_text()
        names = [
            "../../VICTIM",
            "/dev/zero",
            "/etc/hostname",
            str(work.parent / "VICTIM"),
            text(rng)[:300],
        ]
        file.write_text(
            whole.replace("nvbench.json-bin/0.bin", json.dumps(rng.choice(names))[1:-1])
        )
    return command("nvbench", file.name)


def many(rng: Random, work: Path) -> Attack:
    """Very many benchmarks, parameters or times, or times out of all bounds."""
    tool = any_tool(rng)
    file, content = lay(work, tool), json.loads(json.dumps(SOURCES[tool]))
    rng.choice(GROWN[tool])(rng, content)
    file.write_text(json.dumps(content))
    return command(tool, file.name)


Grow = Callable[[Random, dict], None]


def _times(*path: str | int) -> Grow:
    def grow(rng: Random, content: dict) -> None:
        place = content
        for key in path[:-1]:
            place = place[key]
        time = rng.choice([0, 0.0, 5e-324, 1e-12, 1e8, 1e9, 1e300, -1e-9, 1, 2**70])
        place[path[-1]] = rng.choice([[time] * 100_000, [time] * 3, [0.001, time], [time, 0.001]])

    return grow


def _params(*path: str | int) -> Grow:
    def grow(rng: Random, content: dict) -> None:
        place = content
        for key in path:
            place = place.setdefault(key, {}) if isinstance(key, str) else place[key]
        place.update({f"p{n}": rng.choice([n, f"v{n}"]) for n in range(rng.choice([500, 20_000]))})

    return grow


def _entries(key: str | None, name: str | None) -> Grow:
    def grow(rng: Random, content: dict) -> None:
        entries = content[key] if key else content
        for number in range(COPIES):
            more = json.loads(json.dumps(entries[0]))
            if name:
                more[name] = f"{more[name]}-{number}"
            entries.append(more)

    return grow


GROWN: dict[str, list[Grow]] = {
    "pytest-benchmark": [
        _times("benchmarks", 0, "stats", "data"),
        _entries("benchmarks", "fullname"),
        _entries("benchmarks", None),
    ],
    "pyperf": [_times("benchmarks", 0, "runs", 1, "values"), _entries("benchmarks", None)],
    "hyperfine": [
        _times("results", 0, "times"),
        _params("results", 0, "parameters"),
        _entries("results", "command"),
    ],
    "google-benchmark": [_entries("benchmarks", "run_name"), _entries("benchmarks", None)],
    "nvbench": [_entries("benchmarks", "name"), _entries("benchmarks", None)],
    "llama-bench": [_times(0, "samples_ns"), _params(0), _entries(None, "model_filename")],
}
