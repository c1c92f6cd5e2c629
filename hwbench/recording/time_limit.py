"""The time limit of a process."""

import time

import psutil

END_S, END_SHARE = 10.0, 0.2
"""What is kept of a time limit for the end of a process: so many seconds, or this share of a short
limit."""


class TimeLimit:
    """The time that this process may take from its start, less what is kept for its end (`end_s`).

    Beyond the whole limit the parent ends the process and keeps nothing of it.
    """

    def __init__(self, timeout_s: float) -> None:
        age_s: float = max(0.0, time.time() - psutil.Process().create_time())
        self.end_s = min(END_S, END_SHARE * timeout_s)
        self._end = time.monotonic() - age_s + timeout_s - self.end_s

    def left_s(self) -> float:
        """How many seconds are left; negative when they are over."""
        return self._end - time.monotonic()
