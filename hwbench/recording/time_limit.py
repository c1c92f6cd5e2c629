"""The time limit of a measurement."""

import time

import psutil

END_S, END_SHARE = 10.0, 0.2
"""What is kept of a time limit for the end of a process: so many seconds, or this share of a short
limit."""


class TimeLimit:
    """The time that a measurement may take, less what is kept for its end (`end_s`). It has taken
    `spent_s` seconds already."""

    def __init__(self, timeout_s: float, spent_s: float = 0.0) -> None:
        self.end_s = min(END_S, END_SHARE * timeout_s)
        self._end = time.monotonic() - spent_s + timeout_s - self.end_s

    @classmethod
    def of_this_process(cls, timeout_s: float) -> "TimeLimit":
        """The limit of a process from its start on. Beyond the whole of it the parent ends the
        process and keeps nothing of it."""
        return cls(timeout_s, max(0.0, time.time() - psutil.Process().create_time()))

    def left_s(self) -> float:
        """How many seconds are left; negative when they are over."""
        return self._end - time.monotonic()
