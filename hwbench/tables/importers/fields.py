"""Takes fields out of another tool's JSON and checks each."""

import math
from typing import Any

from hwbench.tables.columns import LONGEST_S

SHORTEST_S = 1e-12
"""Less than a cycle of any clock. No measured time above zero is shorter."""


class NotAResult(Exception):
    """The file is not what its tool writes. The text says which field, and how to cure it."""


class Unusable(Exception):
    """The file is what its tool writes, but one of its benchmarks has no times that make a
    measurement. The text says why, and how to cure it."""


def part(content: Any, key: str, kind: type, where: str) -> Any:
    """The part of `content` under `key`. NotAResult, which names `where`, unless it is a `kind`."""
    found = content.get(key) if isinstance(content, dict) else None
    if not isinstance(found, kind):
        raise NotAResult(f"{where} has no {key}")
    return found


def optional(content: Any, key: str, kind: type = dict, where: str = "a part of it") -> Any:
    """The part of `content` under `key`, an empty `kind` if there is none. NotAResult, which names
    `where`, if it is of another type."""
    if isinstance(content, dict) and key in content:
        return part(content, key, kind, where)
    return kind()


def times(values: Any, where: str) -> list[float]:
    """Numbers of seconds, most of them above zero. Unusable, which names `where`, for anything
    else."""
    checked = seconds(values, where)
    if sum(value == 0 for value in checked) > len(checked) / 2:
        raise Unusable(f"{where} has mostly times of zero: its clock is too coarse")
    return checked


def seconds(values: Any, where: str) -> list[float]:
    """Numbers of seconds from zero on. Unusable, which names `where`, if the list is empty or has
    anything else in it."""
    if not isinstance(values, list) or not values:
        raise Unusable(f"{where} has no times")
    for value in values:
        # no comparison holds for NaN
        is_number = type(value) in (int, float)
        if not is_number or (value != 0 and not SHORTEST_S <= value < LONGEST_S):
            raise Unusable(f"{where} has a time that is negative, infinite or no number")
    return [float(value) for value in values]


def distribution(values: list[Any], where: str, unit_s: float, cure: str) -> list[float]:
    """Seconds of two or more times in units of `unit_s`. Unusable for a time that is no number
    above zero, and with the `cure` for a single one: nothing says how far it varies."""
    for number, value in enumerate(values):
        is_number = type(value) in (int, float)
        if not is_number or not SHORTEST_S / unit_s <= value < LONGEST_S / unit_s:
            raise Unusable(f"{where}[{number}] is no time above zero")
    if not values:
        raise Unusable(f"{where} is empty")
    if len(values) == 1:
        raise Unusable(f"{where} has one time, which is no distribution; {cure}")
    return [float(value) * unit_s for value in values]


def whole_number(value: Any) -> int | None:
    """The value if it is a whole number above zero that a column can hold, else None."""
    return value if type(value) is int and 0 < value < 2**63 else None


def positive(value: Any) -> float | None:
    """The value if it is a finite number above zero, else None."""
    return float(value) if type(value) in (int, float) and 0 < value < 1e300 else None


def near_whole(value: float | None) -> int | None:
    """The whole number above zero that this is but for rounding, None if it is none."""
    if value is None or not 0 < value < 2**63:
        return None
    return whole_number(round(value)) if math.isclose(value, round(value), rel_tol=1e-9) else None
