"""What holds however an attack ends."""

import csv
import io
import json
import os
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from html5lib.html5parser import ParseError
from html_page import SoundPage

from hostile.attack import REFUSED, Attack, Done
from hostile.stored import read_part
from hostile.texts import MARKDOWN_ACTS

MOST_LINES = 3
"""Of a refusal."""

MOST_CHARACTERS = 2000
"""Of a refusal, beside the words of the command line that it repeats."""

CPU_S = 10.0
MEMORY_BYTES = 700 << 20
"""Beyond what a process has that has imported everything: with it, a gigabyte."""

UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)
"""Control characters, and those that turn the order of others round."""

COLOUR = re.compile("\x1b\\[[0-9;]*m")
"""What a table is painted with where it is shown."""

COMMAND = re.compile(r"^\s*::(?!(error|warning|notice)( |::))|##\[|##vso\[", re.MULTILINE)
"""A line that a CI system carries out. We write annotations, and no other."""

PYTHON = re.compile(
    r"Traceback \(most recent call last\)|^\S*Warning:|: \w*Warning: ", re.MULTILINE
)
FORMULA = re.compile(
    "\\s*[=+@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]|\\s*-(?!(\\d+(\\.\\d+)?(e[+-]?\\d+)?)?$)"
)
"""A cell that a spreadsheet computes; a negative number is none."""


def faults(attack: Attack, done: Done) -> list[str]:
    """What is wrong with how an attack ended, each in a line; none if all is well."""
    found = [*_ending(attack, done), *_changes(attack, done), *_secrets(attack, done)]
    for name, content in (("stdout", done.stdout), ("stderr", done.stderr)):
        found += _stream(name, content, getattr(attack, name))
    if not found:
        found += _answer(attack, done)
    return found


def _ending(attack: Attack, done: Done) -> list[str]:
    found = []
    if done.is_late:
        found.append(f"hangs: killed after {done.seconds:.0f} s")
    elif done.status not in attack.statuses:
        found.append(f"exit status {done.status}, not one of {sorted(attack.statuses)}")
    if done.cpu_s > CPU_S:
        found.append(f"slow: {done.cpu_s:.0f} s of processor time")
    if done.memory_bytes > MEMORY_BYTES and not attack.measures:
        found.append(f"memory: {done.memory_bytes >> 20} MiB")
    return found


def _stream(name: str, content: bytes, kind: str) -> list[str]:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        if kind == "latin-1":
            return []
        return [f"{name}: not UTF-8: {error.object[error.start - 20 : error.end + 20]!r}"]
    found = []
    text = re.sub("\r+\n", "\n", text)  # as CSV and terminals end their lines
    if kind == "terminal":
        text = COLOUR.sub("", text)
    for what, pattern in (
        ("unprintable", UNPRINTABLE),
        ("a command to the CI system", COMMAND),
        ("Python's own words", PYTHON),
    ):
        if match := pattern.search(text):
            place = text[max(0, match.start() - 60) : match.end() + 60]
            found.append(f"{name}: {what}: {place!r}")
    if "a bug in hwbench" in text:
        found.append(f"{name}: a bug in hwbench: {text.strip()[-300:]!r}")
    return found


def _changes(attack: Attack, done: Done) -> list[str]:
    """Nothing but what the command may write is other than before, and nothing at all if it was
    refused."""
    inner = str(done.work.relative_to(done.top))
    # where a result cannot be shown, its files were written before
    is_refused = done.status == REFUSED and attack.stdout in ("file", "terminal", "broken")
    places = [inner if place == "." else f"{inner}/{place}" for place in attack.writes]
    allowed = ["home/cache/", *(f"{place}/" for place in places if not is_refused)]
    outside = [
        path
        for path in sorted(done.changed)
        if not any(_is_of(place, f"{path}/") for place in allowed)
    ]
    what = "refused, but changed" if is_refused else "changed"
    return [f"{what}: {', '.join(outside)[:300]!r}"] if outside else []


def _is_of(place: str, path: str) -> bool:
    """Whether a path is the place, in it, or one of the folders that lead to it."""
    return path.startswith(place) or place.startswith(path)


def _answer(attack: Attack, done: Done) -> list[str]:
    """A refusal is short, and a file or an answer is sound."""
    text = done.stderr.decode()
    if done.status == REFUSED and attack.stderr == "file":
        lines = text.splitlines()
        if len(lines) > MOST_LINES or len(text) > MOST_CHARACTERS:
            return [f"refusal of {len(lines)} lines, {len(text)} characters: {text[:300]!r}"]
        if not any(line.startswith(("hwbench: ", "Usage: ")) for line in lines):
            return [f"refused without a word: {text[:300]!r}"]
    if done.status == REFUSED:
        return []
    found = []
    if attack.stdout == "file":
        found += _sound("stdout", _form(attack), done.stdout)
    for path, file in _files(done):
        found += _sound(path, _form_of_file(attack, file), file.read_bytes())
    return found


def _secrets(attack: Attack, done: Done) -> list[str]:
    streams = {"stdout": done.stdout, "stderr": done.stderr}
    found = []
    for secret in attack.secrets:
        found += [f"a secret in {name}" for name in streams if secret.encode() in streams[name]]
        found += [f"a secret in {path}" for path, file in _files(done) if _holds(file, secret)]
    return found


def _files(done: Done) -> list[tuple[str, Path]]:
    """The files that a command has written, each with its path from the folder above all."""
    files = [(path, done.top / path) for path in sorted(done.changed)]
    return [(path, file) for path, file in files if file.is_file() and not file.is_symlink()]


def _holds(file: Path, word: str) -> bool:
    """Whether a file that was written holds the word."""
    if file.suffix == ".parquet":
        return word in str(read_part(file).to_pydict())
    return word.encode() in file.read_bytes()


def _form(attack: Attack) -> str:
    """What a command prints on standard output, as the ending of a file's name."""
    words = [word for word in attack.words if isinstance(word, str)]
    if "--json" in words:
        return "json"
    form = words[words.index("--format") + 1] if "--format" in words else ""
    return {"markdown": "md"}.get(form, form) if "-o" not in words else ""


def _form_of_file(attack: Attack, file: Path) -> str:
    """What a file holds: by the option that names it, whatever its name ends in."""
    words = list(map(os.fsencode, attack.words))
    for option, form in (("--junit", "xml"), ("--markdown", "md"), ("-o", _page_form(words))):
        place = words.index(option.encode()) + 1 if option.encode() in words else 0
        if place and Path(os.fsdecode(words[place])).name == file.name:
            return form
    summary = attack.environment.get("GITHUB_STEP_SUMMARY")
    if summary and Path(os.fsdecode(summary)).name == file.name:
        return "md"
    is_named = any(word.endswith(os.fsencode(file.name)) for word in words)
    return "" if is_named else file.suffix.removeprefix(".")


def _page_form(words: list[bytes]) -> str:
    form = os.fsdecode(words[words.index(b"--format") + 1]) if b"--format" in words else "html"
    return {"markdown": "md"}.get(form, form)


def _sound(name: str, form: str, content: bytes) -> list[str]:
    check = {
        "html": SoundPage,
        "md": _markdown,
        "csv": _sheet,
        "json": _json,
        "xml": ElementTree.fromstring,
        "svg": _drawing,
    }.get(form)
    if check is None:
        return []
    if not content:
        return [f"{name}: {form}: empty"]
    try:
        text = content.decode()
        check(text)
    except (AssertionError, ValueError, SyntaxError, ParseError) as error:
        return [f"{name}: {form}: {type(error).__name__}: {str(error)[:400]}"]
    found = UNPRINTABLE.search(text.replace("\r\n", "\n"))
    if found and form != "json":
        return [
            f"{name}: {form}: unprintable: {text[max(0, found.start() - 60) : found.end() + 60]!r}"
        ]
    return []


def _markdown(text: str) -> None:
    for word in MARKDOWN_ACTS:
        assert word not in text, f"{word}: {text[max(0, text.index(word) - 60) :][:160]!r}"
    assert not re.search("<(script|img|svg|iframe|http)|\\]\\(|@octocat|@evil", text, re.IGNORECASE)
    assert len(text.encode()) <= 65_536, f"{len(text.encode())} bytes"


def _drawing(text: str) -> None:
    tags = [element.tag.rpartition("}")[2] for element in ElementTree.fromstring(text).iter()]
    assert not {"script", "foreignObject", "a"} & set(tags), tags


def _sheet(text: str) -> None:
    csv.field_size_limit(1 << 30)
    for row in csv.reader(io.StringIO(text, newline="")):
        for cell in row:
            assert not FORMULA.match(cell), f"formula: {cell[:80]!r}"


def _json(text: str) -> Any:
    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)
