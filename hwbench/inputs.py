"""Parses the words that users write: shares and names. Errors are one clear line."""

import difflib
from collections.abc import Iterable

from hwbench.records import UserError


def share(word: object) -> float:
    """`"5%"`, `"0.05"` or `0.05` as a share. UserError unless it lies between 0 and 1."""
    text = str(word).strip()
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if isinstance(word, bool) or not 0 < value < 1:
        raise UserError(f"{shortened(text)}: expected a share such as 5% or 0.05")
    return value


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """One line for an unknown name: it suggests near names if there are any, else all of them."""
    names = sorted(known)
    same = [candidate for candidate in names if candidate.lower() == name.lower()]
    near = same or difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there is {', '.join(names)}"
    return f"unknown {what} {shortened(name)!r}; {hint}"


def shortened(value: object) -> str:
    """A value in at most 60 characters, for a message."""
    if isinstance(value, int) and abs(value) >= 10**40:
        return "a number of more than 40 digits"
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"
