"""The meters beside one measured process: open before its first step, evaluated over its window."""

from collections.abc import Sequence
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from hwbench.devices.protocol import Device
from hwbench.meters import EnergySource, PowerSensor, Signal
from hwbench.meters.agreement import disagreements
from hwbench.meters.energy import idle_power, readings_of, span_readings
from hwbench.meters.recorder import PATIENCE_S, Recorder, Trace
from hwbench.meters.throttling import conditions
from hwbench.records import Reading, Window

GRADE_B_S = 5.2
"""The energy of a window this long has grade B even if its edges are moved to a counter's ticks."""

SETTLE_S, REST_S = 1.0, 5.0
"""How long a device is left alone before, and while, its idle power is read."""


class Metering:
    """Reads the meters of `device` within its context, and gives the readings afterwards. It waits
    `patience_s` seconds for a meter that does not answer."""

    def __init__(self, device: Device, tdp_w: float | None, patience_s: float = PATIENCE_S) -> None:
        self._device = device
        self._meters = device.meters(tdp_w)
        self._recorder = Recorder(self._meters, device.now_ns, patience_s=patience_s)
        self._rested: tuple[int, int] | None = None

    @property
    def trace(self) -> Trace:
        return self._recorder.trace

    @property
    def window_s(self) -> float:
        """How long a window must be for energy of grade B; 0 if there is only an estimate."""
        failures = self._failures
        for source in self._sources:
            if source.signal not in failures and not _is_estimate(source):
                return GRADE_B_S
        return 0.0

    def rest(self) -> None:
        """Leave the device idle for a few seconds, to measure its power at rest with all that is
        resident. Does nothing if no meter counts energy."""
        if self.window_s:
            self._device.synchronize()
            self._device.rest(SETTLE_S)
            begin = self._device.now_ns()
            self._device.rest(REST_S)
            self._rested = begin, self._device.now_ns()

    def readings(self, window: Window) -> list[Reading]:
        """Energy and power over the window, of each span that is long enough, and at rest if that
        was measured."""
        begin, end = window.begin_ns, window.begin_ns + round(window.window_s * 1e9)
        step_s = float(np.median(window.timed_s))
        readings = readings_of(self.trace, self._sources, begin, end, self._failures, step_s)
        readings += span_readings(self.trace, self._sources, _intervals(window))
        if self._rested:
            readings += idle_power(self.trace, self._sources, *self._rested)
        return readings

    def notes(self, window: Window, readings: Sequence[Reading]) -> list[str]:
        """Conditions that the meters show and that make the window's figures doubtful, `code: what
        happened`; `readings` are those of the window."""
        end = window.begin_ns + round(window.window_s * 1e9)
        return [*conditions(self.trace, window.begin_ns, end), *disagreements(readings)]

    @property
    def _sources(self) -> list[EnergySource]:
        return [source for meter in self._meters for source in meter.energy]

    @property
    def _failures(self) -> dict[Signal, str]:
        return {signal: why for meter in self._meters for signal, why in meter.failures.items()}

    def __enter__(self) -> "Metering":
        self._recorder.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._recorder.__exit__(kind, error, trace)
        for meter in self._recorder.answering:
            meter.close()


def _is_estimate(source: EnergySource) -> bool:
    return isinstance(source, PowerSensor) and source.is_estimate


def _intervals(window: Window) -> dict[str, NDArray[np.int64]]:
    """By name, the begin and end in nanoseconds of each span of the timed steps, shape (n, 2).

    The spans of a step follow each other from its start; a step whose start is unknown is left out.
    """
    samples, spans = window.samples, window.spans
    starts = {
        step: start
        for step, start, warmup in zip(samples.step, samples.start_ns, samples.warmup, strict=True)
        if start is not None and not warmup
    }
    intervals: dict[str, list[tuple[int, int]]] = {}
    now = 0
    for step, name, position, span_s in zip(
        spans.step, spans.name, spans.position, spans.span_s, strict=True
    ):
        if step not in starts:
            continue
        begin = starts[step] if position == 0 else now
        now = begin + round(span_s * 1e9)
        intervals.setdefault(name, []).append((begin, now))
    return {name: np.array(pairs, np.int64) for name, pairs in intervals.items()}
