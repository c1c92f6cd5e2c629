"""Records back from JSON."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

Noun = TypeVar("Noun")


def from_json(noun: type[Noun], content: Any) -> Noun:
    """The dataclass `noun` that `dataclasses.asdict` took apart, with all that is in it.

    Fields that this version does not know are left out, and missing ones get their defaults: the
    content may come from an older or a newer hwbench. Plain values are taken as they are. TypeError
    if a field without a default is missing or if anything but an object stands for a dataclass.
    """
    if not isinstance(content, dict):
        raise TypeError(f"{noun.__name__}: expected an object, not {type(content).__name__}")
    types = get_type_hints(noun)
    known = [name for name in types if name in content]
    return noun(**{name: _value(types[name], content[name]) for name in known})


def _value(kind: Any, content: Any) -> Any:
    """What a field of this type holds: a dataclass, a list or a mapping of them, or a plain value."""
    parts = (kind, *get_args(kind))
    noun = next((part for part in parts if isinstance(part, type) and is_dataclass(part)), None)
    if noun is None or (content is None and type(None) in parts):
        return content
    if get_origin(kind) is list:
        return [from_json(noun, item) for item in content]
    if get_origin(kind) is Mapping:
        return {name: from_json(noun, item) for name, item in dict(content).items()}
    return from_json(noun, content)
