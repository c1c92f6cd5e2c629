"""How devices of torch time short trials (see `findings.Stopwatch`)."""

import math
import time
from collections.abc import Callable

import torch

from hwbench.devices.findings import Way

LONG_ENOUGH_S = 2e-3
"""A queue is timed over so many calls that they take this long: a launch and a wait take tens of
microseconds, which would hide a shorter time."""


class OneThread:
    """The stopwatch of a CPU: the processor time of one thread, to which other work on the machine
    adds nothing."""

    def __enter__(self) -> None:
        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self._threads_before)

    def require_device(self) -> None:
        """A CPU stays usable after an error."""

    def seconds(self, way: Way) -> float:
        begin = time.thread_time_ns()
        way()
        return max(1, time.thread_time_ns() - begin) / 1e9


class Queue:
    """The stopwatch of a device with a queue: the host's clock, from an empty queue to an empty
    queue."""

    def __init__(self, synchronize: Callable[[], None]) -> None:
        self._synchronize = synchronize

    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...

    def seconds(self, way: Way) -> float:
        single_s = self._mean_s(way, 1)
        if single_s >= LONG_ENOUGH_S:
            return single_s
        return self._mean_s(way, math.ceil(LONG_ENOUGH_S / single_s))

    def require_device(self) -> None:
        self._synchronize()

    def _mean_s(self, way: Way, calls: int) -> float:
        """The seconds of one call, from `calls` of them in a row."""
        self._synchronize()
        begin = time.perf_counter_ns()
        for _ in range(calls):
            way()
        self._synchronize()
        return max(1, time.perf_counter_ns() - begin) / 1e9 / calls
