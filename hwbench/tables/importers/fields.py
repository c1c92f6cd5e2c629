"""The fields of another tool's JSON, each checked as it is taken out."""

import json
from pathlib import Path
from typing import Any

from hwbench.records import UserError


class NotAResult(Exception):
    """The file is not what it should be; the text says where."""


def load_json(file: Path) -> Any:
    """The content of a JSON file. UserError, one line, if it cannot be read or is no JSON."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # what is not UTF-8 is a ValueError too
        raise UserError(f"{file}: not JSON, or cut short") from error


def part(content: Any, key: str, kind: type, where: str) -> Any:
    """The part of `content` under `key`. NotAResult, which names `where`, unless it is a `kind`."""
    found = content.get(key) if isinstance(content, dict) else None
    if not isinstance(found, kind):
        raise NotAResult(f"{where} has no {key}")
    return found


def optional(content: Any, key: str, kind: type = dict) -> Any:
    """The part of `content` under `key`, an empty `kind` if there is none. NotAResult if it is of
    another type."""
    if isinstance(content, dict) and key in content:
        return part(content, key, kind, "a part of it")
    return kind()


def times(values: Any, name: str) -> list[float]:
    """Numbers of seconds, zero included. NotAResult, which names the benchmark, for an empty list
    or one with anything else in it."""
    if not isinstance(values, list) or not values:
        raise NotAResult(f"{name} has no times")
    for value in values:
        if type(value) not in (int, float) or not 0 <= value < 1e9:  # no comparison holds for NaN
            raise NotAResult(f"{name} has a time that is negative, infinite or no number")
    return [float(value) for value in values]


def storable(text: str) -> str:
    """The text without half surrogate pairs, which JSON can spell and Parquet cannot hold."""
    return text.encode(errors="backslashreplace").decode()
