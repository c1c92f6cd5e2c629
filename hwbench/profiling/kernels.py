"""What an accelerator ran: its kernels, the operators that launched them, and when it was idle."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from hwbench.profiling.attribution import Call, Steps
from hwbench.profiling.events import LAUNCHES, STEP, Event
from hwbench.profiling.tables import add_row
from hwbench.records.profile import GapCause, Gaps, Ops

SHORTEST_GAP_NS = 1_000
"""Shorter gaps lie between any two kernels and are below the resolution of the clock."""


class Kernels:
    """The kernels of a trace, each with its launch."""

    def __init__(self, events: Sequence[Event], steps: Steps) -> None:
        self.steps = steps
        on_device = [event for event in events if event.on_device]
        launches = [event for event in events if event.activity in LAUNCHES]
        self.all = sorted(on_device, key=lambda event: event.start_ns)
        self._launches = {event.correlation: event for event in launches}
        self._by_operator: dict[int, list[Event]] = defaultdict(list)
        for kernel in self.all:
            self._by_operator[kernel.linked].append(kernel)

    def of(self, call: Call) -> list[Event]:
        """The kernels that an operator, or what it called, launched."""
        callers = [e for e in call.events if e.activity in ("cpu_op", "user_annotation")]
        kernels: list[Event] = []
        for correlation in {event.correlation for event in callers}:
            kernels += self._by_operator.get(correlation, [])
        return kernels

    def seconds_of(self, call: Call) -> float:
        return sum(kernel.seconds for kernel in self.of(call))

    def add_rows(self, calls: Sequence[Call], table: Ops, count: int) -> None:
        """Add the rows of level `kernel` to `table`, per step of `count`; kernels of one name and
        operator share a row."""
        groups: dict[tuple[str, str, bool, str], list[Event]] = defaultdict(list)
        for call in calls:
            for kernel in self.of(call):
                groups[call.span, call.module, call.backward, kernel.name].append(kernel)
        for (span, module, backward, name), kernels in groups.items():
            add_row(
                table,
                level="kernel",
                span=span,
                module=module,
                backward=backward,
                name=name,
                shapes="[]",
                dtype="",
                calls=len(kernels) / count,
                events=len(kernels) / count,
                seconds=sum(kernel.seconds for kernel in kernels) / count,
                host_s=0.0,
                flops=None,
                bytes=None,
            )

    def busy_s(self) -> float:
        """The seconds in which at least one kernel ran."""
        return sum(end - begin for begin, end, _, _ in self._busy_intervals()) / 1e9

    def launch_s(self) -> float:
        """The host's seconds in launches of the kernels; a graph of many kernels is launched
        once."""
        launched = {kernel.correlation for kernel in self.all}
        launches = [self._launches[number] for number in launched if number in self._launches]
        return sum(launch.seconds for launch in launches)

    def copy_s(self) -> float:
        """The seconds of copies between the host and the device."""
        copies = [kernel for kernel in self.all if kernel.activity == "gpu_memcpy"]
        return sum(copy.seconds for copy in copies if "DtoD" not in copy.name)

    def gaps(self) -> Gaps:
        """The times longer than SHORTEST_GAP_NS when nothing ran between two kernels."""
        step_begins = sorted(event.start_ns for event in self.steps.events if event.name == STEP)
        table = Gaps()
        for (_, end, _, last), (begin, _, first, _) in pairwise(self._busy_intervals()):
            if begin - end <= SHORTEST_GAP_NS:
                continue
            launch = self._launches.get(first.correlation)
            launched_ns = launch.start_ns if launch else end
            step = max(0, bisect_right(step_begins, launched_ns) - 1)
            add_row(
                table,
                step=step,
                span=self.steps.span_at(launched_ns),
                start_s=(end - step_begins[step]) / 1e9,
                gap_s=(begin - end) / 1e9,
                cause=_cause(launch, end),
                after=last.name,
                before=first.name,
            )
        return table

    def _busy_intervals(self) -> list[tuple[int, int, Event, Event]]:
        """The intervals in which the device was busy without a break: begin, end, the kernel that
        began the interval and the one that ended it."""
        intervals: list[tuple[int, int, Event, Event]] = []
        for kernel in self.all:
            if not intervals or kernel.start_ns > intervals[-1][1]:
                intervals.append((kernel.start_ns, kernel.end_ns, kernel, kernel))
                continue
            begin, end, first, _ = intervals[-1]
            if kernel.end_ns > end:
                intervals[-1] = begin, kernel.end_ns, first, kernel
        return intervals


def _cause(launch: Event | None, idle_since_ns: int) -> GapCause:
    """Why the device was idle: the launch of the next kernel ended after the idling began
    (host_late), or before it (kernel_wait)."""
    if launch is None:
        return "other"
    return "host_late" if launch.end_ns > idle_since_ns else "kernel_wait"
