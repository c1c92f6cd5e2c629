"""What `torch.profiler` recorded, as events that need no torch, and what speaks against a trace."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

STEP, MARK, MODULE = "hwbench step", "hwbench mark ", "hwbench module "
"""How our own annotations are called: a step, the mark that ends a span, a call of a module."""

AUTOGRAD = "autograd::engine::evaluate_function: "
"""Begins the name of what the engine runs in backward."""

COMPILED_GRAPH = "## Call CompiledFxGraph "
"""Begins the name of a call of what torch.compile made."""

LAUNCHES = frozenset(
    f"{maker}_{how}" for maker in ("cuda", "xpu", "privateuse1") for how in ("runtime", "driver")
)
"""What the host does for a kernel to run, as Kineto calls it (ROCm's has CUDA's names)."""

TICK_NS = 1_000
"""Stamps of nested events may cross by so much: some of the clocks behind them count
microseconds."""


@dataclass(frozen=True)
class Event:
    """Something that began and ended, in nanoseconds on the profiler's clock.

    `activity` is Kineto's: cpu_op, user_annotation, cuda_runtime, kernel, gpu_memcpy … `sequence`
    numbers autograd's nodes on `thread`, in backward those of `forward_thread`. A kernel's `linked`
    is the `correlation` of the operator that launched it, and its `correlation` that of the launch.
    """

    name: str
    start_ns: int
    end_ns: int
    thread: int = 1
    activity: str = "cpu_op"
    composite: bool = False  # of other operators, which it only calls
    sequence: int = -1
    forward_thread: int = 0
    shapes: tuple[tuple[int, ...], ...] = ()
    dtype: str = ""
    correlation: int = 0
    linked: int = 0
    stream: int = 0

    @property
    def on_device(self) -> bool:
        return self.activity in ("kernel", "gpu_memcpy", "gpu_memset")

    @property
    def is_operator(self) -> bool:
        """Whether it is one of torch's own operators, and no wrapper that only calls others."""
        is_one = (
            self.activity == "cpu_op"
            and "::" in self.name
            and not self.name.startswith("autograd::")
        )
        return is_one and not self.composite and not self.name.startswith("torch::autograd::")

    @property
    def is_compiled_graph(self) -> bool:
        return self.name.startswith(COMPILED_GRAPH)

    @property
    def seconds(self) -> float:
        return (self.end_ns - self.start_ns) / 1e9


@dataclass
class Node:
    """An event with those that lie within it, in the order in which they began."""

    event: Event
    children: list["Node"] = field(default_factory=list)

    def walk(self) -> Iterator[Event]:
        """The event and all that lies within it."""
        yield self.event
        for child in self.children:
            yield from child.walk()


class Overlap(ValueError):
    """Two events of one thread that cross."""


def trees(events: Sequence[Event]) -> list[Node]:
    """The host's events of each thread as trees, in the order in which their roots began. Overlap
    if two cross."""
    roots: list[Node] = []
    open_nodes: dict[int, list[Node]] = {}
    for event in sorted(events, key=lambda event: (event.start_ns, -event.end_ns)):
        stack = open_nodes.setdefault(event.thread, [])
        while stack and stack[-1].event.end_ns <= event.start_ns:
            stack.pop()
        while stack and event.end_ns > stack[-1].event.end_ns:
            outer = stack[-1].event
            if event.end_ns - outer.end_ns > TICK_NS and outer.end_ns - event.start_ns > TICK_NS:
                raise Overlap(f"{event.name} began within {outer.name} and ended after it")
            stack.pop()
        node = Node(event)
        (stack[-1].children if stack else roots).append(node)
        stack.append(node)
    return roots


def fault(events: Sequence[Event], steps: int) -> str:
    """Why the trace of so many steps cannot be believed: events that are lost or that overlap; ""
    if it can."""
    host = [event for event in events if not event.on_device]
    if backwards := next((event for event in events if event.end_ns < event.start_ns), None):
        return f"{backwards.name} ended before it began"
    found = sorted(
        (event for event in host if event.name == STEP), key=lambda event: event.start_ns
    )
    if len(found) != steps:
        return f"{len(found)} of {steps} steps are in the trace; events were lost"
    try:
        trees(host)
    except Overlap as error:
        return f"events overlap: {error}"
    # not what a driver is asked
    steady = [event for event in host if event.activity in ("cpu_op", "user_annotation")]
    counts = [Counter(event.name for event in steady if _within(event, step)) for step in found]
    for count in counts[1:]:
        if count != counts[0]:
            name = next(iter((count - counts[0]) + (counts[0] - count)))
            times = f"{counts[0][name]} and {count[name]} times in two steps"
            return f"{name} was recorded {times}: they differ, or events were lost"
    return _fault_of_device(events)


def _fault_of_device(events: Sequence[Event]) -> str:
    """Kernels that nobody launched. Kernels of one stream may overlap: the next one may be launched
    before the last has ended (CUDA's programmatic dependent launch). Copies may be launched by
    calls that the tracer does not follow."""
    launched = {event.correlation for event in events if event.activity in LAUNCHES}
    lost = next(
        (e for e in events if e.activity == "kernel" and e.correlation not in launched), None
    )
    return f"the launch of {lost.name} is not in the trace; events were lost" if lost else ""


def _within(event: Event, step: Event) -> bool:
    return step.start_ns <= event.start_ns < step.end_ns


def shapes_of(structured: Any) -> tuple[tuple[int, ...], ...]:
    """The sizes of all tensors among an operator's arguments; of numbers, which have none, nothing
    stays."""
    found: list[tuple[int, ...]] = []
    for shape in structured:
        if shape and isinstance(shape[0], int):
            found.append(tuple(shape))
        elif shape:
            found += shapes_of(shape)
    return tuple(found)
