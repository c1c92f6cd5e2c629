"""Read documents that a user or another tool wrote: JSON and TOML.

A document may be packed with gzip, and be in any of Unicode's encodings: PowerShell writes UTF-16,
Notepad a byte-order mark. How large and how deep it may be is bounded. All errors are one line.
"""

import gzip
import io
import json
import tomllib
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hwbench.errors import UserError
from hwbench.files import read_start

KIB = 1024
MOST_BYTES = 128 * 1024 * KIB
"""Of a document's text. Results with a million times take some 20 MiB."""

MOST_TOML_BYTES = 256 * KIB
LONGEST_TOML_LINE = 4000
"""In characters. tomllib's time for a key grows with the square of the number of its parts."""

PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
"""The first bytes of packed files. Of these only gzip is unpacked: pyperf itself writes it."""

BYTE_ORDER_MARK = "\ufeff"


def read_json(file: Path, lines: bool = False) -> Any:
    """The content of a JSON file; with `lines` also of JSON Lines, as a list.

    UserError, which names the file, if it cannot be read or is no JSON.
    """
    parse = _parse_lines if lines else json.loads
    return _parsed(file, MOST_BYTES, parse, "not JSON, or cut short")


def read_toml(file: Path) -> dict[str, Any]:
    """The content of a TOML file.

    UserError, which names the file, if it cannot be read, is no TOML, or has a number that no
    setting can have.
    """
    content: dict[str, Any] = _parsed(file, MOST_TOML_BYTES, _parse_toml, "not TOML: {}")
    for key, value, _ in walk(content):
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise UserError(f"{file}: {key:.60}: a whole number of more than 64 bits")
    return content


def walk(content: Any) -> Iterator[tuple[str, Any, int]]:
    """Every value in a document with the key it is under and how deep it is: tables and lists come
    before what is in them, the document itself at depth 0."""
    waiting = [("", content, 0)]
    while waiting:
        key, value, depth = waiting.pop()
        yield key, value, depth
        if isinstance(value, dict):
            waiting += [(name, part, depth + 1) for name, part in value.items()]
        elif isinstance(value, list):
            waiting += [(key, part, depth + 1) for part in value]


def _parsed(file: Path, most_bytes: int, parse: Callable[[str], Any], complaint: str) -> Any:
    """What `parse` makes of the file's text; `complaint` says what is wrong, with {} for parse's
    words."""
    content = _unpacked(file, most_bytes)
    try:
        # its first bytes tell the encoding, with a mark or without
        return parse(content.decode(json.detect_encoding(content)).removeprefix(BYTE_ORDER_MARK))
    except RecursionError as error:
        raise UserError(f"{file}: {complaint.format('its parts are nested too deep')}") from error
    except ValueError as error:  # what is not of its encoding is a ValueError too
        raise UserError(f"{file}: {complaint.format(error)}") from error


def _unpacked(file: Path, most_bytes: int) -> bytes:
    """The bytes of a file, unpacked if it is packed with gzip. UserError if it cannot be read or
    has more than `most_bytes`."""
    content = _read(file, most_bytes)
    packed = next((name for start, name in PACKED.items() if content.startswith(start)), None)
    if packed == "gzip":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as unpacked:
                content = unpacked.read(most_bytes + 1)
        except (EOFError, zlib.error, OSError) as error:
            raise UserError(f"{file}: a gzip file that is damaged or was cut short") from error
    elif packed:
        raise UserError(f"{file}: packed with {packed}; unpack it first")
    if len(content) > most_bytes:
        size = f"{most_bytes // KIB:,} KiB"
        raise UserError(f"{file}: larger than {size}, the most that is read of such a file")
    return content


def _read(file: Path, most_bytes: int) -> bytes:
    """The first bytes of a file, one more than `most_bytes` if it has them."""
    try:
        return read_start(file, most_bytes + 1)
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # a name with a zero in it
        raise UserError(f"{str(file)!r}: not a name that a file can have") from error


def _parse_lines(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        if not text.strip():
            raise
        # files that were put together may each have brought a mark
        lines = (line.removeprefix(BYTE_ORDER_MARK) for line in text.split("\n"))
        return [json.loads(line) for line in lines if line.strip()]


def _parse_toml(text: str) -> dict[str, Any]:
    for number, line in enumerate(text.splitlines(), start=1):
        if len(line) > LONGEST_TOML_LINE:
            raise ValueError(f"line {number} has more than {LONGEST_TOML_LINE} characters")
    return tomllib.loads(text)
