"""Parses the words that users write: shares, thresholds and names. Errors are one clear line."""

import difflib
import math
from collections.abc import Iterable

from hwbench.records import UserError

MOST_CHANGE = 10.0
"""The greatest threshold, 1000 %: eleven times as long, or as fast."""


def share(word: object) -> float:
    """`"5%"`, `"0.05"` or `0.05` as a share. UserError unless it lies between 0 and 1."""
    value, _ = _number(word)
    if not 0 < value < 1:
        expected = "expected a share such as 5% or 0.05, above 0 and below 100%"
        raise UserError(f"{shortened(word)}: {expected}")
    return value


def threshold(word: object) -> float:
    """`"5%"`, `"0.05"` or `0.05` as a relative change that matters; of 100 % or more only with the
    sign, as a plain 5 may be meant as 5 %. UserError unless it lies between 0 and MOST_CHANGE."""
    value, is_percentage = _number(word)
    if not 0 < value <= MOST_CHANGE or (value >= 1 and not is_percentage):
        expected = f"expected a change such as 5% or 0.05, 100% to {MOST_CHANGE:.0%} with the sign"
        raise UserError(f"{shortened(word)}: {expected}")
    return value


def _number(word: object) -> tuple[float, bool]:
    """The number that a word stands for, NaN if it is none, and whether it is a percentage."""
    text = shortened(word).strip()
    is_percentage = text.endswith("%")
    try:
        value = float(text.removesuffix("%")) / (100 if is_percentage else 1)
    except ValueError:
        return math.nan, is_percentage
    return value, is_percentage


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
