"""Timestamps at step and span boundaries, and how they become samples and spans.

A timer belongs to one window. While the window runs it only appends: two list operations and a clock a stamp.
Durations are worked out afterwards, when the device is idle.
"""

from collections.abc import Callable
from typing import Any, Protocol

from hwbench.records import Samples, Spans, TimerKind

STEP_END = ""
"""The name of the stamp that ends a step; no span may be called so."""


class Timer(Protocol):
    kind: TimerKind

    def start(self) -> None:
        """Drop the stamp that the first step of the window starts at."""

    def stamp(self, name: str) -> None:
        """Drop a stamp that ends the span `name`, or the step if the name is STEP_END. Never waits for the device,
        except on a device with neither events nor a synchronous queue (flag `synced`)."""

    def wait_for(self, step: int) -> None:
        """Hold the host back until the window's step number `step` (from 0) has ended on the device."""

    def read(self, first_step: int, warmup: bool) -> tuple[Samples, Spans]:
        """The window's samples and spans. The device must be idle; steps are numbered from `first_step`."""


class HostTimer:
    """Stamps from the host's monotonic clock. `synchronize` is given where only waiting makes that clock true."""

    kind: TimerKind = "host"

    def __init__(self, now_ns: Callable[[], int], synchronize: Callable[[], None] | None = None) -> None:
        self._now_ns = now_ns
        self._flag = "synced" if synchronize else ""
        self._names: list[str] = []
        self._times: list[int] = []
        add_name, add_time = self._names.append, self._times.append

        def stamp(name: str) -> None:
            add_time(now_ns())
            add_name(name)

        def synced_stamp(name: str) -> None:
            synchronize()  # type: ignore[misc]  # only chosen when synchronize is given
            stamp(name)

        self.stamp = synced_stamp if synchronize else stamp

    def start(self) -> None:
        self._begin = self._now_ns()

    def wait_for(self, step: int) -> None:
        """A step that has been stamped has ended."""

    def read(self, first_step: int, warmup: bool) -> tuple[Samples, Spans]:
        offsets = [(time - self._begin) / 1e9 for time in self._times]
        return unfold(self._begin, self._names, offsets, first_step, warmup, self._flag)


class EventTimer:
    """Stamps from the device's own clock: an event recorded into its queue, read when all is done.

    `new_event()` makes an event with `record()`, `synchronize()` and `elapsed_time(later) -> milliseconds`, as
    torch.Event has.
    Each stamp's time is the sum of the gaps before it: one gap over a long window would lose digits (a float32).
    """

    kind: TimerKind = "device_event"

    def __init__(self, now_ns: Callable[[], int], new_event: Callable[[], Any]) -> None:
        self._now_ns = now_ns
        self._new_event = new_event
        self._names: list[str] = []
        self._events: list[Any] = []
        self._ends: list[Any] = []

    def start(self) -> None:
        self._begin = self._now_ns()
        self._first = self._new_event()
        self._first.record()

    def stamp(self, name: str) -> None:
        event = self._new_event()
        event.record()
        self._events.append(event)
        self._names.append(name)
        if name == STEP_END:
            self._ends.append(event)

    def wait_for(self, step: int) -> None:
        self._ends[step].synchronize()

    def read(self, first_step: int, warmup: bool) -> tuple[Samples, Spans]:
        offsets, total, previous = [], 0.0, self._first
        for event in self._events:
            total += previous.elapsed_time(event) / 1e3
            offsets.append(total)
            previous = event
        return unfold(self._begin, self._names, offsets, first_step, warmup, "")


def unfold(
    begin_ns: int, names: list[str], offsets: list[float], first_step: int, warmup: bool, flag: str
) -> tuple[Samples, Spans]:
    """Stamps → samples and spans. `offsets` are seconds since `begin_ns`, one a name; a step ends at STEP_END."""
    samples, spans = Samples(), Spans()
    step, step_start, span_start, position = first_step, 0.0, 0.0, 0
    for name, offset in zip(names, offsets, strict=True):
        if name == STEP_END:
            samples.step.append(step)
            samples.warmup.append(warmup)
            samples.start_ns.append(begin_ns + round(step_start * 1e9))
            samples.step_s.append(offset - step_start)
            samples.flags.append(flag)
            step, step_start, position = step + 1, offset, 0
        else:
            spans.step.append(step)
            spans.name.append(name)
            spans.position.append(position)
            spans.span_s.append(offset - span_start)
            position += 1
        span_start = offset
    return samples, spans
