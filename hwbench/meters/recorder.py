"""Meters read over time: one thread in the background, on the clock of whoever asks."""

import threading
from array import array
from collections.abc import Callable, Sequence
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from hwbench.meters import Meter, Signal
from hwbench.records import Telemetry

INTERVAL_S = 0.05
"""Half the tick of an NVIDIA counter, and seldom enough to cost a step nothing."""


class Trace:
    """What was read: for each signal its times in nanoseconds and its values, in the order of time.

    A reading's time is the middle between the clock before and after its own question.
    """

    def __init__(self) -> None:
        self._times: dict[Signal, array[int]] = {}  # eight bytes a number: hours of readings must fit beside the work
        self._values: dict[Signal, array[float]] = {}

    def add(self, time_ns: int, signal: Signal, value: float) -> None:
        if signal not in self._times:
            self._times[signal], self._values[signal] = array("q"), array("d")
        self._times[signal].append(time_ns)
        self._values[signal].append(value)

    @property
    def signals(self) -> list[Signal]:
        return list(self._times)

    def series(self, signal: Signal) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Times in nanoseconds and values; both empty if there are none."""
        return np.array(self._times.get(signal, ()), np.int64), np.array(self._values.get(signal, ()), np.float64)

    def as_telemetry(self) -> Telemetry:
        """All of it as columns, signal by signal."""
        columns = Telemetry()
        for signal, times in self._times.items():
            n = len(times)
            columns.time_ns.extend(times)
            columns.meter.extend([signal.meter] * n)
            columns.scope.extend([signal.scope] * n)
            columns.device_index.extend([signal.index] * n)
            columns.quantity.extend([signal.quantity] * n)
            columns.value.extend(self._values[signal])
            columns.unit.extend([signal.unit] * n)
        return columns


class Recorder:
    """Reads `meters`, and those added to the list meanwhile, every INTERVAL_S from a thread of its own, from `with` on
    to its end; `trace` holds the result.

    A machine that is busy or asleep makes longer gaps; they are seen in the times, nothing is made up to fill them.
    """

    def __init__(self, meters: Sequence[Meter], now_ns: Callable[[], int], interval_s: float = INTERVAL_S) -> None:
        self.trace = Trace()
        self._meters, self._now_ns, self._interval_s = meters, now_ns, interval_s
        self._over, self._reading = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._record, name="meters", daemon=True)

    def read_once(self) -> None:
        """Read every meter now, from whatever thread."""
        with self._reading:
            for meter in self._meters:
                self._read(meter)

    def _read(self, meter: Meter) -> None:
        """Stamp each question by itself: a busy interpreter may hold this thread up for milliseconds at each."""
        before = self._now_ns()
        for answered in meter.read():
            middle = (before + self._now_ns()) // 2
            for signal, value in answered.items():
                self.trace.add(middle, signal, value)
            before = self._now_ns()

    def __enter__(self) -> "Recorder":
        self.read_once()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self.read_once()

    def _record(self) -> None:
        while not self._over.wait(self._interval_s):
            self.read_once()
