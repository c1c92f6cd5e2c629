"""Record meters over time: one thread in the background reads them, on the caller's clock."""

import threading
from array import array
from collections.abc import Callable, Sequence
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from hwbench.meters import Meter, Signal
from hwbench.records import Telemetry

INTERVAL_S = 0.05
"""Half the tick of an NVIDIA counter, and long enough not to slow the steps."""

PATIENCE_S = 5.0
"""How long to wait for a meter that does not answer, as a driver whose GPU is lost."""


class Trace:
    """The readings: for each signal its times in nanoseconds and its values, in order of time.

    The time of a reading is the middle between the clock before and after its own question.
    """

    def __init__(self) -> None:
        # eight bytes a number: hours of readings must fit into memory beside the work
        self._times: dict[Signal, array[int]] = {}
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
        times = np.array(self._times.get(signal, ()), np.int64)
        return times, np.array(self._values.get(signal, ()), np.float64)

    def as_telemetry(self) -> Telemetry:
        """All readings as columns, signal by signal."""
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
    """Reads `meters`, and those added to the list later, every INTERVAL_S in its own thread during
    its context; `trace` has the readings.

    A busy or sleeping machine makes longer gaps, which show in the times and are not filled. A
    meter that fails or hangs loses its own readings, which get a failure, and does not disturb the
    work. `hangs` is true after the end if a meter still does not answer; then no meter is read any
    more.
    """

    def __init__(
        self,
        meters: Sequence[Meter],
        now_ns: Callable[[], int],
        interval_s: float = INTERVAL_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.trace = Trace()
        self._meters, self._now_ns = meters, now_ns
        self._interval_s, self._patience_s = interval_s, patience_s
        self._began, self._over = threading.Event(), threading.Event()
        self._reading = threading.Lock()
        self._asked: Meter | None = None
        self._failed: list[Meter] = []
        self.hangs = False
        self._thread = threading.Thread(target=self._record, name="meters", daemon=True)

    @property
    def answering(self) -> list[Meter]:
        """The meters except one that hangs, which must not even be closed: that may hang, too."""
        return [meter for meter in self._meters if not (self.hangs and meter is self._asked)]

    def read_once(self) -> None:
        """Read every meter now; safe in any thread."""
        with self._reading:
            for meter in self._meters:
                if not any(meter is failed for failed in self._failed):
                    self._read(meter)

    def _read(self, meter: Meter) -> None:
        """Read a meter and stamp each question by itself: a busy interpreter may delay this thread
        by milliseconds at each."""
        self._asked = meter
        try:
            before = self._now_ns()
            for answer in meter.read():
                middle = (before + self._now_ns()) // 2
                if self.hangs:  # the answer came too late: the trace is in use
                    return
                for signal, value in answer.items():
                    self.trace.add(middle, signal, value)
                before = self._now_ns()
        except Exception as error:  # noqa: BLE001 - a driver's library may raise anything
            self._failed.append(meter)
            _fail(meter, f"the meter {meter.name} failed: {type(error).__name__}: {error}")

    def __enter__(self) -> "Recorder":
        self._thread.start()
        self._began.wait(self._patience_s)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join(self._patience_s)
        if self._thread.is_alive():
            self.hangs = True
            name = self._asked.name if self._asked else "meter"
            silence = f"the meter {name} did not answer for {self._patience_s:g} s"
            for meter in self._meters:
                _fail(meter, f"{silence}, and no other was read meanwhile")

    def _record(self) -> None:
        self.read_once()
        self._began.set()
        while not self._over.wait(self._interval_s):
            self.read_once()
        self.read_once()


def _fail(meter: Meter, why: str) -> None:
    """Give the meter's sources of energy a reason, in case they have no answer."""
    for source in meter.energy:
        meter.failures.setdefault(source.signal, why)
