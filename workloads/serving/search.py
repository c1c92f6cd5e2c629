"""The largest rate that still meets an objective, found by trying rates."""

import math
from collections.abc import Callable
from dataclasses import dataclass

PRECISION = 1.05
"""A search ends when the rate that fails is no more than this times the rate that met the
objective."""

MOST_DOUBLINGS = 12
"""How often a rate is doubled or halved in search of one that fails, or of one that does not."""


@dataclass(frozen=True)
class Found:
    """The largest rate that was seen to meet the objective, None if none did, and the tests that it
    took."""

    rate: float | None
    tests: int


def largest_rate(meets: Callable[[float], bool], start: float) -> Found:
    """Double or halve `start` until one rate meets the objective and one does not, then bisect on a
    logarithmic scale.

    It takes for granted that what a rate meets any smaller one meets too. A rate that
    `MOST_DOUBLINGS` doublings have not made fail is taken as it is.
    """
    tests, rate = 1, start
    met = meets(rate)
    factor = 2.0 if met else 0.5
    for _ in range(MOST_DOUBLINGS):
        tests, rate = tests + 1, rate * factor
        if meets(rate) != met:
            break
    else:
        return Found(rate if met else None, tests)
    low, high = (rate / factor, rate) if met else (rate, rate / factor)
    while high > low * PRECISION:
        tests, middle = tests + 1, math.sqrt(low * high)
        low, high = (middle, high) if meets(middle) else (low, middle)
    return Found(low, tests)
