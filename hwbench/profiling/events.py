"""The events of a trace of `torch.profiler`, without torch, and the check that a trace is
complete."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

STEP, MARK, MODULE = "hwbench step", "hwbench mark ", "hwbench module "
"""The names of our own annotations: a step, the mark that ends a span, a call of a module."""

AUTOGRAD = "autograd::engine::evaluate_function: "
"""The beginning of the names of autograd's nodes as backward runs them."""

COMPILED_GRAPH = "## Call CompiledFxGraph "
"""The beginning of the name of a call of compiled code."""

LAUNCHES = frozenset(
    f"{maker}_{how}" for maker in ("cuda", "xpu", "privateuse1") for how in ("runtime", "driver")
)
"""The activities, in Kineto's words, with which the host launches kernels (ROCm uses CUDA's
names)."""

TICK_NS = 1_000
"""How far nested events may cross: some clocks behind them count microseconds."""


@dataclass(frozen=True)
class Event:
    """Something that began and ended, in nanoseconds on the profiler's clock.

    `activity` is Kineto's: cpu_op, user_annotation, cuda_runtime, kernel, gpu_memcpy … `sequence`
    is the number of autograd's node on `thread`, in backward on `forward_thread`. A kernel's
    `linked` is the `correlation` of the operator that launched it; its own `correlation` is that of
    the launch.
    """

    name: str
    start_ns: int
    end_ns: int
    thread: int = 1
    activity: str = "cpu_op"
    composite: bool = False  # an operator that only calls others
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
        """Whether it is one of torch's own operators and does not only call others."""
        if self.activity != "cpu_op" or self.composite or "::" not in self.name:
            return False
        return not self.name.startswith(("autograd::", "torch::autograd::"))

    @property
    def is_compiled_graph(self) -> bool:
        return self.name.startswith(COMPILED_GRAPH)

    @property
    def seconds(self) -> float:
        return (self.end_ns - self.start_ns) / 1e9


@dataclass
class Node:
    """An event and those inside it, in the order in which they began."""

    event: Event
    children: list["Node"] = field(default_factory=list)

    def walk(self) -> Iterator[Event]:
        """The event and all events inside it."""
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
    """Why the trace of so many steps cannot be trusted: events were lost or overlap; "" if it
    can."""
    backwards = next((event for event in events if event.end_ns < event.start_ns), None)
    if backwards:
        return f"{backwards.name} ended before it began"
    host = [event for event in events if not event.on_device]
    found = sorted((e for e in host if e.name == STEP), key=lambda event: event.start_ns)
    if len(found) != steps:
        return f"{len(found)} of {steps} steps are in the trace; events were lost"
    try:
        trees(host)
    except Overlap as error:
        return f"events overlap: {error}"
    # calls of the driver may differ from step to step
    steady = [event for event in host if event.activity in ("cpu_op", "user_annotation")]
    counts = [_count_names(steady, step) for step in found]
    for count in counts[1:]:
        if count != counts[0]:
            name = next(iter((count - counts[0]) + (counts[0] - count)))
            times = f"{counts[0][name]} and {count[name]} times in two steps"
            return f"{name} was recorded {times}: they differ, or events were lost"
    return _fault_of_device(events)


def _fault_of_device(events: Sequence[Event]) -> str:
    """A kernel without a launch.

    Kernels of one stream may overlap: CUDA can launch the next one before the last has ended
    (programmatic dependent launch). Copies may be launched by calls that the tracer does not
    record.
    """
    launched = {event.correlation for event in events if event.activity in LAUNCHES}
    for event in events:
        if event.activity == "kernel" and event.correlation not in launched:
            return f"the launch of {event.name} is not in the trace; events were lost"
    return ""


def _count_names(events: Sequence[Event], step: Event) -> Counter[str]:
    """How often each name occurs within the step."""
    inside = [event for event in events if step.start_ns <= event.start_ns < step.end_ns]
    return Counter(event.name for event in inside)


def shapes_of(structured: Any) -> tuple[tuple[int, ...], ...]:
    """The sizes of all tensors among an operator's arguments, lists of tensors flattened. Arguments
    without sizes are left out."""
    shapes: list[tuple[int, ...]] = []
    for shape in structured:
        if shape and isinstance(shape[0], int):
            shapes.append(tuple(shape))
        elif shape:
            shapes += shapes_of(shape)
    return tuple(shapes)
