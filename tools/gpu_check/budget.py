"""The time limit of a stage: its own, or what is left of the budget."""

import time
from collections.abc import Callable

RESERVE_S, RESERVE_SHARE = 6.0, 0.05
"""The part of the budget reserved for the last hand-over: so many seconds, or this share of a short
budget."""


class Budget:
    """`seconds` from now, less a reserve for the last hand-over."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self._now, self._began = seconds, now, now()
        self._reserve_s = min(RESERVE_S, RESERVE_SHARE * seconds)

    def spent_s(self) -> float:
        return self._now() - self._began

    def left_s(self) -> float:
        """The seconds left for stages, never below 0."""
        return max(0.0, self.seconds - self._reserve_s - self.spent_s())

    def limit_s(self, seconds: float, least_s: float) -> float | None:
        """The limit of a stage that wants `seconds`; None if less than `least_s` is left."""
        left_s = self.left_s()
        return min(seconds, left_s) if left_s >= least_s else None
