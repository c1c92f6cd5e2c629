"""Builds records from JSON."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

Noun = TypeVar("Noun")


def from_json(noun: type[Noun], content: Any) -> Noun:
    """The dataclass `noun` from the content that `dataclasses.asdict` made of it.

    The content may come from an older or a newer hwbench: unknown fields are left out, and missing
    ones get their defaults. Plain values are not checked. TypeError if a field without a default is
    missing or if a dataclass is anything but an object.
    """
    if not isinstance(content, dict):
        raise TypeError(f"{noun.__name__}: expected an object, not {type(content).__name__}")
    types = get_type_hints(noun)
    known = [name for name in types if name in content]
    return noun(**{name: _value(types[name], content[name]) for name in known})


def _value(kind: Any, content: Any) -> Any:
    """The value of a field of this type: a dataclass, a list or mapping of them, or a plain
    value."""
    parts = (kind, *get_args(kind))
    noun = next((part for part in parts if isinstance(part, type) and is_dataclass(part)), None)
    if noun is None or (content is None and type(None) in parts):
        return content
    if get_origin(kind) is list:
        return [from_json(noun, item) for item in content]
    if get_origin(kind) is Mapping:
        return {name: from_json(noun, item) for name, item in dict(content).items()}
    return from_json(noun, content)
