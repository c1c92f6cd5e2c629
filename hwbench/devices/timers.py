"""Timestamps at step and span boundaries, and how they become samples and spans.

A timer belongs to one window. During the window it only appends: two list operations and a clock
per stamp, one more at the end of a step. Samples and spans are computed afterwards, when the device
is idle.
"""

from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Protocol

from hwbench.records import Samples, Spans, TimerKind

END = object()
"""The name of the stamp at the end of a step; not a text, so no workload can use it."""


class Timer(Protocol):
    kind: TimerKind

    def start(self) -> None:
        """Take the stamp at which the first step of the window starts."""

    def mark(self, name: str) -> None:
        """Take the stamp that ends the span `name`. Waits for the device only where it has neither
        events nor a synchronous queue (flag `synced`)."""

    def end_step(self) -> None:
        """Take the stamp that ends a step."""

    def wait_for(self, step: int, over: int) -> float:
        """Wait until step number `step` of the window (from 0) has ended on the device. Returns the
        mean seconds of a step over the last `over` steps up to that one."""

    def ended(self, most: int) -> list[float]:
        """The seconds of the last steps, `most` at most, that have ended on the device. Never
        waits."""

    def read(self, first_step: int, warmup: bool) -> tuple[Samples, Spans]:
        """The window's samples and spans. The device must be idle; steps are numbered from
        `first_step`.

        ValueError if the name of a mark is not a text.
        """


class HostTimer:
    """Stamps from the host's monotonic clock. With `synchronize` it waits for the device before
    each stamp, for devices whose work is not done when a call returns."""

    kind: TimerKind = "host"

    def __init__(
        self, now_ns: Callable[[], int], synchronize: Callable[[], None] | None = None
    ) -> None:
        self._now_ns = now_ns
        self._flag = "synced" if synchronize else ""
        self._names: list[object] = []
        # eight bytes a stamp: they count in the memory peak of a CPU, which is the process's
        self._times = array("q")
        self._bounds = array("q")  # where the window began, and the end of each step
        add_name, add_time, add_bound = self._names.append, self._times.append, self._bounds.append

        def stamp(name: object) -> None:
            add_time(now_ns())
            add_name(name)

        def synced_stamp(name: object) -> None:
            synchronize()  # type: ignore[misc]  # only chosen when synchronize is given
            stamp(name)

        def end_step() -> None:
            if synchronize:
                synchronize()
            now = now_ns()
            add_time(now)
            add_name(END)
            add_bound(now)

        self.mark: Callable[[str], None] = synced_stamp if synchronize else stamp
        self.end_step = end_step

    def start(self) -> None:
        self._bounds.append(self._now_ns())

    def wait_for(self, step: int, over: int) -> float:
        """Waits for nothing: a step with a stamp has ended."""
        first = max(0, step + 1 - over)
        return (self._bounds[step + 1] - self._bounds[first]) / 1e9 / (step + 1 - first)

    def ended(self, most: int) -> list[float]:
        return [(end - begin) / 1e9 for begin, end in pairwise(self._bounds[-most - 1 :])]

    def read(self, first_step: int, warmup: bool) -> tuple[Samples, Spans]:
        begin = self._bounds[0]
        offsets = [(time - begin) / 1e9 for time in self._times]
        return unfold(begin, self._names, offsets, first_step, warmup, self._flag)


class EventTimer:
    """Stamps from the device's own clock: events recorded into its queue and read when they have
    ended.

    `new_event()` makes an event with `record()`, `query()` and `elapsed_time(later) ->
    milliseconds`, as torch.Event has; `wait_for(event)` returns when it has ended. An event that
    was read is used again, so there are only as many as stamps in the queue. The time of a stamp is
    the sum of the gaps before it: a single gap over a long window would lose digits (it is a
    float32).
    """

    kind: TimerKind = "device_event"

    def __init__(
        self,
        now_ns: Callable[[], int],
        new_event: Callable[[], Any],
        wait_for: Callable[[Any], None],
    ) -> None:
        self._now_ns = now_ns
        self._new_event = new_event
        self._wait_for = wait_for
        self._names: list[object] = []  # of all stamps
        # of the stamps that were read, which come first: seconds since the window began
        self._offsets = array("d")
        self._unread: deque[Any] = deque()  # the events of the other stamps
        self._last: Any = None  # the event of the stamp that was read last
        self._spare: list[Any] = []
        self._ends = array("q")  # by step, the position of its last stamp

    def start(self) -> None:
        self._begin = self._now_ns()
        self._last = self._record()

    def mark(self, name: str) -> None:
        self._names.append(name)
        self._unread.append(self._record())

    def end_step(self) -> None:
        self._ends.append(len(self._names))
        self._names.append(END)
        self._unread.append(self._record())

    def _record(self) -> Any:
        event = self._spare.pop() if self._spare else self._new_event()
        event.record()
        return event

    def wait_for(self, step: int, over: int) -> float:
        end = self._ends[step]
        unread = end - len(self._offsets)
        if unread >= 0:
            self._wait_for(self._unread[unread])
            for _ in range(unread + 1):  # events end in the order of the queue
                self._read_one()
        first = max(0, step + 1 - over)
        return (self._offsets[end] - self._start_of(first)) / (step + 1 - first)

    def ended(self, most: int) -> list[float]:
        while self._unread and self._unread[0].query():
            self._read_one()
        past = bisect_left(self._ends, len(self._offsets))
        first = max(0, past - most)
        return [
            end - begin
            for begin, end in pairwise(self._start_of(step) for step in range(first, past + 1))
        ]

    def read(self, first_step: int, warmup: bool) -> tuple[Samples, Spans]:
        while self._unread:
            self._read_one()
        return unfold(self._begin, self._names, self._offsets, first_step, warmup, "")

    def _start_of(self, step: int) -> float:
        return self._offsets[self._ends[step - 1]] if step else 0.0

    def _read_one(self) -> None:
        """Replace the oldest event, which has ended, by its time."""
        event = self._unread.popleft()
        before = self._offsets[-1] if self._offsets else 0.0
        self._offsets.append(before + self._last.elapsed_time(event) / 1e3)
        self._spare.append(self._last)
        self._last = event


def unfold(
    begin_ns: int,
    names: list[object],
    offsets: Sequence[float],
    first_step: int,
    warmup: bool,
    flag: str,
) -> tuple[Samples, Spans]:
    """The samples and spans of stamps. `offsets` are seconds since `begin_ns`, one for each name; a
    step ends at END.

    ValueError if a name is not a printable text, or if the stamps go back in time: then no duration
    can be trusted.
    """
    for before, after in pairwise([0.0, *offsets]):
        if after < before:
            jump_s = before - after
            raise ValueError(
                f"the device's event clock went back by {jump_s:.3g} s within the window"
            )
    for name in set(names) - {END}:
        if not (isinstance(name, str) and name and name.isprintable()):
            raise ValueError(f"mark({name!r}): the name of a span is a printable text")
    samples, spans = Samples(), Spans()
    step, step_start, span_start, position = first_step, 0.0, 0.0, 0
    for name, offset in zip(names, offsets, strict=True):
        if name is END:
            samples.step.append(step)
            samples.warmup.append(warmup)
            samples.start_ns.append(begin_ns + round(step_start * 1e9))
            samples.step_s.append(offset - step_start)
            samples.flags.append(flag)
            step, step_start, position = step + 1, offset, 0
        else:
            spans.step.append(step)
            spans.name.append(str(name))
            spans.position.append(position)
            spans.span_s.append(offset - span_start)
            position += 1
        span_start = offset
    return samples, spans
