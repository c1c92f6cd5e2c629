"""Events → where the time of a step goes: by span, module and operator.

An operator is what torch's dispatcher calls on a device, with all that it calls itself:
`aten::addmm` with the copy within it, but not `aten::linear`, which only calls others. What lies
outside of all operators is the framework's. Backward knows no modules: each of its nodes has the
number of the forward operator that made it, and so its module.
"""

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hwbench.profiling.events import AUTOGRAD, MARK, MODULE, STEP, Event, Node, trees
from hwbench.records.profile import COMPILED_CODE, Modules, Ops

MOST_SHAPES = 8
"""Shapes of an operator that are spelled out: an optimizer's update takes hundreds of tensors."""

Cost = tuple[float | None, float | None]
"""FLOPs and bytes of a call; None where not known."""

Costs = Callable[[Event], Cost]


@dataclass(frozen=True)
class Call:
    """An operator that was called in a step, with all that lies within it; of a compiled graph what
    lies within it and in none of the operators that it calls: the code that was made for it."""

    node: Node
    span: str
    module: str
    backward: bool

    @property
    def name(self) -> str:
        return COMPILED_CODE if self.node.event.is_compiled_graph else self.node.event.name

    @property
    def computed(self) -> Event:
        """The event with the dtype that was computed in: under autocast the operator calls itself
        once more, with what was cast."""
        found = self.node
        for child in self.node.children:
            if (child.event.name, child.event.shapes) == (found.event.name, found.event.shapes):
                found = child
        return found.event

    @property
    def events(self) -> list[Event]:
        """What was recorded for it: itself first."""
        return (
            list(self.node.walk())
            if self.node.event.is_operator
            else list(_outside_of_operators(self.node))
        )

    @property
    def seconds(self) -> float:
        """How long the host took for it."""
        event = self.node.event
        return (
            event.seconds
            if event.is_operator
            else event.seconds - sum(o.seconds for o in _operators_in(self.node))
        )


def _outside_of_operators(node: Node) -> Iterator[Event]:
    yield node.event
    for child in node.children:
        if not child.event.is_operator:
            yield from _outside_of_operators(child)


def _operators_in(node: Node) -> Iterator[Event]:
    for child in node.children:
        if child.event.is_operator:
            yield child.event
        else:
            yield from _operators_in(child)


@dataclass(frozen=True)
class Steps:
    """The steps of a trace: `bounds` are their marks, as (when, the span that it ends), the last
    one the step's end."""

    events: Sequence[Event]
    bounds: Sequence[tuple[int, str]] = field(init=False)

    def __post_init__(self) -> None:
        steps = [event for event in self.events if event.name == STEP]
        ends = [(event.end_ns, "") for event in steps]
        marks = [
            (e.start_ns, e.name.removeprefix(MARK)) for e in self.events if e.name.startswith(MARK)
        ]
        object.__setattr__(self, "bounds", sorted([*marks, *ends]))

    def span_at(self, when_ns: int) -> str:
        """The span that a moment belongs to; "" after the last mark of a step."""
        at = bisect_left(self.bounds, (when_ns, ""))
        return self.bounds[min(at, len(self.bounds) - 1)][1]


def calls(host: Sequence[Event], steps: Steps) -> list[Call]:
    """Every operator that the host called, in order of time within each thread."""
    roots = trees(host)
    nodes = _modules_of_nodes(roots)
    return [call for root in roots for call in _calls(root, steps, nodes, "", False)]


def _calls(
    node: Node, steps: Steps, nodes: Mapping[tuple[int, int], str], module: str, backward: bool
) -> Iterator[Call]:
    event = node.event
    if event.is_operator or event.is_compiled_graph:
        yield Call(node, steps.span_at(event.start_ns), module, backward)
    if event.is_operator:
        return
    if event.name.startswith(MODULE):
        module = event.name.removeprefix(MODULE)
    elif event.name.startswith(AUTOGRAD):
        module, backward = nodes.get((event.forward_thread, event.sequence), ""), True
    for child in node.children:
        yield from _calls(child, steps, nodes, module, backward)


def _modules_of_nodes(roots: Sequence[Node]) -> dict[tuple[int, int], str]:
    """The module of each of autograd's nodes, by the thread and number that forward gave it.
    Several operators may see a number before the last of them makes the node."""
    found: dict[tuple[int, int], str] = {}

    def visit(node: Node, module: str) -> None:
        event = node.event
        if event.name.startswith(AUTOGRAD):
            return
        if event.name.startswith(MODULE):
            module = event.name.removeprefix(MODULE)
        if event.sequence >= 0:
            found[event.thread, event.sequence] = module
        for child in node.children:
            visit(child, module)

    for root in roots:
        visit(root, "")
    return found


def operators(
    called: Sequence[Call], steps: int, cost_of: Costs, device_s: Callable[[Call], float] | None
) -> Ops:
    """The rows of level `operator`, those alike as one. `device_s` says how long an accelerator
    worked for a call; with None the host did the work itself."""
    rows: dict[tuple[object, ...], list[Call]] = defaultdict(list)
    for call in called:
        event = call.computed
        rows[call.span, call.module, call.backward, call.name, event.shapes, event.dtype].append(
            call
        )
    found = Ops()
    for alike in rows.values():
        call, event = alike[0], alike[0].computed
        flops, moved = cost_of(event)
        host_s = sum(call.seconds for call in alike) / steps
        seconds = sum(map(device_s, alike)) / steps if device_s else host_s
        per_step = len(alike) / steps
        add_row(
            found,
            level="operator",
            span=call.span,
            module=call.module,
            backward=call.backward,
            name=call.name,
            shapes=_spelled(event.shapes),
            dtype=event.dtype,
            calls=per_step,
            events=sum(len(call.events) for call in alike) / steps,
            seconds=seconds,
            host_s=host_s,
            flops=None if flops is None else flops * per_step,
            bytes=None if moved is None else moved * per_step,
        )
    return found


def spans(host: Sequence[Event], steps: Steps, found: Ops) -> None:
    """Add the rows of level `span` to `found`: the host's time between marks, and how many events
    it has."""
    begins = sorted(event.start_ns for event in host if event.name == STEP)
    seconds: dict[str, float] = defaultdict(float)
    times: dict[str, int] = defaultdict(int)
    before = begins[0]
    for when, name in steps.bounds:
        started = max(before, begins[bisect_left(begins, when) - 1])
        seconds[name] += (when - started) / 1e9
        times[name] += 1
        before = when
    events: dict[str, int] = defaultdict(int)
    for event in host:
        if event.name != STEP:
            events[steps.span_at(event.start_ns)] += 1
    count = len(begins)
    for name in seconds:
        add_row(
            found,
            level="span",
            span=name,
            module="",
            backward=False,
            name=name,
            shapes="[]",
            dtype="",
            calls=times[name] / count,
            events=events[name] / count,
            seconds=seconds[name] / count,
            host_s=seconds[name] / count,
            flops=None,
            bytes=None,
        )


def modules(host: Sequence[Event], found: Ops, kinds: Mapping[str, str], steps: int) -> Modules:
    """The table of the modules that were called, from the rows of operators; `kinds` are their
    classes, the model's own first."""
    times: dict[str, int] = defaultdict(int)
    for event in host:
        if event.name.startswith(MODULE):
            times[event.name.removeprefix(MODULE)] += 1
    own: dict[str, list[float]] = {name: [0.0, 0.0] for name in times}
    flops: dict[str, list[float | None]] = defaultdict(list)
    rows = zip(found.level, found.module, found.backward, found.seconds, found.flops, strict=True)
    for level, module, backward, seconds, counted in rows:
        if level == "operator" and module in own:
            own[module][backward] += seconds
            flops[module].append(counted)
    table = Modules()
    whole = next(iter(kinds), "")
    for name in own:
        inside = [other for other in own if name in (whole, other) or other.startswith(f"{name}.")]
        counts = [count for other in inside for count in flops[other]]
        add_row(
            table,
            module=name,
            kind=kinds.get(name, ""),
            calls=times[name] / steps,
            forward_s=sum(own[other][0] for other in inside),
            backward_s=sum(own[other][1] for other in inside),
            self_forward_s=own[name][0],
            self_backward_s=own[name][1],
            flops=None if None in counts else sum(count for count in counts if count is not None),
        )
    return table


def add_row(table: object, **row: object) -> None:
    """Append a value to each column of a table."""
    columns = vars(table)
    assert row.keys() == columns.keys()
    for name, value in row.items():
        columns[name].append(value)


def _spelled(shapes: Sequence[tuple[int, ...]]) -> str:
    spelled: list[object] = [list(shape) for shape in shapes[:MOST_SHAPES]]
    left = len(shapes) - MOST_SHAPES
    return json.dumps([*spelled, f"and {left} more"] if left > 0 else spelled)
