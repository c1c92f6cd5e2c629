"""What an accelerator ran: its kernels, the operators that launched them, and when it had nothing
to do."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from hwbench.profiling.attribution import Call, Steps, add_row
from hwbench.profiling.events import LAUNCHES, STEP, Event
from hwbench.records.profile import GapCause, Gaps, Ops

SHORTEST_GAP_NS = 1_000
"""Shorter ones lie between any two kernels and within what the clock resolves."""


class Kernels:
    """The kernels of a trace, each with its launch."""

    def __init__(self, events: Sequence[Event], steps: Steps) -> None:
        self.steps = steps
        self.all = sorted(
            (event for event in events if event.on_device), key=lambda event: event.start_ns
        )
        self._launches = {
            event.correlation: event for event in events if event.activity in LAUNCHES
        }
        self._of: dict[int, list[Event]] = defaultdict(list)
        for kernel in self.all:
            self._of[kernel.linked].append(kernel)

    def of(self, call: Call) -> list[Event]:
        """Those that an operator, or what it called, has launched."""
        inside = {
            event.correlation
            for event in call.events
            if event.activity in ("cpu_op", "user_annotation")
        }
        return [kernel for correlation in inside for kernel in self._of.get(correlation, [])]

    def seconds_of(self, call: Call) -> float:
        return sum(kernel.seconds for kernel in self.of(call))

    def rows(self, calls: Sequence[Call], found: Ops, count: int) -> None:
        """Add the rows of level `kernel` to `found`, those of one name and operator as one, for a
        step of `count`."""
        alike: dict[tuple[str, str, bool, str], list[Event]] = defaultdict(list)
        for call in calls:
            for kernel in self.of(call):
                alike[call.span, call.module, call.backward, kernel.name].append(kernel)
        for (span, module, backward, name), kernels in alike.items():
            seconds, times = sum(kernel.seconds for kernel in kernels) / count, len(kernels) / count
            row = {
                "level": "kernel",
                "span": span,
                "module": module,
                "backward": backward,
                "name": name,
            }
            row |= {
                "shapes": "[]",
                "dtype": "",
                "calls": times,
                "events": times,
                "seconds": seconds,
                "host_s": 0.0,
            }
            add_row(found, **row, flops=None, bytes=None)

    def busy_s(self) -> float:
        """How long any of them ran."""
        return sum(end - begin for begin, end, _, _ in self._stretches()) / 1e9

    def launch_s(self) -> float:
        """How long the host took to launch them; a graph of many kernels is launched once."""
        launches = (
            self._launches.get(correlation)
            for correlation in {kernel.correlation for kernel in self.all}
        )
        return sum(launch.seconds for launch in launches if launch)

    def copy_s(self) -> float:
        """How long they copied between the host and the device."""
        copies = (
            kernel
            for kernel in self.all
            if kernel.activity == "gpu_memcpy" and "DtoD" not in kernel.name
        )
        return sum(kernel.seconds for kernel in copies)

    def gaps(self) -> Gaps:
        """When nothing ran between two kernels, for longer than SHORTEST_GAP_NS."""
        begins = sorted(event.start_ns for event in self.steps.events if event.name == STEP)
        found, stretches = Gaps(), self._stretches()
        for (_, end, _, last), (begin, _, first, _) in pairwise(stretches):
            if begin - end > SHORTEST_GAP_NS:
                launch = self._launches.get(first.correlation)
                at = launch.start_ns if launch else end
                step = max(0, bisect_right(begins, at) - 1)
                add_row(
                    found,
                    step=step,
                    span=self.steps.span_at(at),
                    start_s=(end - begins[step]) / 1e9,
                    gap_s=(begin - end) / 1e9,
                    cause=_cause(launch, end),
                    after=last.name,
                    before=first.name,
                )
        return found

    def _stretches(self) -> list[tuple[int, int, Event, Event]]:
        """When it was busy without a break: begin, end, the kernel that began it and that which
        ended it."""
        found: list[tuple[int, int, Event, Event]] = []
        for kernel in self.all:
            if found and kernel.start_ns <= found[-1][1]:
                begin, end, first, last = found[-1]
                found[-1] = (
                    begin,
                    max(end, kernel.end_ns),
                    first,
                    kernel if kernel.end_ns > end else last,
                )
            else:
                found.append((kernel.start_ns, kernel.end_ns, kernel, kernel))
        return found


def _cause(launch: Event | None, idle_since_ns: int) -> GapCause:
    """A launch that ended after the device had run dry was late; one before that left the kernel to
    wait."""
    if launch is None:
        return "other"
    return "host_late" if launch.end_ns > idle_since_ns else "kernel_wait"
