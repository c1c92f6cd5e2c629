"""Find the largest rate that still meets an objective, by trying rates."""

import math
from collections.abc import Callable
from dataclasses import dataclass

PRECISION = 1.05
"""A search ends when the rate that fails is at most this times the rate that met the objective."""

MOST_DOUBLINGS = 12
"""How often a rate is doubled until one fails, or halved until one meets the objective."""


@dataclass(frozen=True)
class Largest:
    """The largest tried rate that met the objective, None if none did, and how many tests it
    took."""

    rate: float | None
    tests: int


def largest_rate(meets: Callable[[float], bool], start: float) -> Largest:
    """Double or halve `start` until one rate meets the objective and one does not; then bisect.

    Bisection is on a logarithmic scale. It assumes that a rate below one that meets the objective
    meets it too. If `MOST_DOUBLINGS` doublings do not fail, the last rate is the result.
    """
    tests, rate = 1, start
    met = meets(rate)
    factor = 2.0 if met else 0.5
    for _ in range(MOST_DOUBLINGS):
        tests, rate = tests + 1, rate * factor
        if meets(rate) != met:
            break
    else:
        return Largest(rate if met else None, tests)
    low, high = (rate / factor, rate) if met else (rate, rate / factor)
    while high > low * PRECISION:
        tests, middle = tests + 1, math.sqrt(low * high)
        low, high = (middle, high) if meets(middle) else (low, middle)
    return Largest(low, tests)
