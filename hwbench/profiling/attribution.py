"""Which operators a step called, and which span and module each call belongs to.

An operator is what torch's dispatcher calls on a device, with all that it calls itself:
`aten::addmm` with the copy within it, but not `aten::linear`, which only calls others. Time outside
all operators is the framework's. Events of backward name no module: a node of autograd has the
number of the forward operator that made it, and takes that operator's module.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hwbench.profiling.events import AUTOGRAD, MARK, MODULE, STEP, Event, Node, trees
from hwbench.records.profile import COMPILED_CODE

NodeKey = tuple[int, int]
"""A node of autograd: the thread of forward and the node's number on it."""


@dataclass(frozen=True)
class Call:
    """A call of an operator, with all events inside it; or of a compiled graph, with the events
    inside it but outside the operators that it calls: its compiled code."""

    node: Node
    span: str
    module: str
    backward: bool

    @property
    def name(self) -> str:
        return COMPILED_CODE if self.node.event.is_compiled_graph else self.node.event.name

    @property
    def computed(self) -> Event:
        """The event with the dtype of the computation: under autocast the operator calls itself
        again with the cast tensors."""
        outer = self.node.event
        computed = outer
        for child in self.node.children:
            if (child.event.name, child.event.shapes) == (outer.name, outer.shapes):
                computed = child.event
        return computed

    @property
    def events(self) -> list[Event]:
        """The events of the call, itself first."""
        if self.node.event.is_operator:
            return list(self.node.walk())
        return list(_outside_of_operators(self.node))

    @property
    def seconds(self) -> float:
        """The host's time in the call."""
        event = self.node.event
        if event.is_operator:
            return event.seconds
        return event.seconds - sum(operator.seconds for operator in _operators_in(self.node))


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
    """The steps of a trace. `bounds` are their marks in order, as (nanoseconds, name of the span
    that ends there); a step's own end has the name ""."""

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
        """The span at a time; "" after the last mark of a step."""
        position = bisect_left(self.bounds, (when_ns, ""))
        return self.bounds[min(position, len(self.bounds) - 1)][1]


def find_calls(host: Sequence[Event], steps: Steps) -> list[Call]:
    """The calls of operators in the host's events, in order of time within each thread."""
    roots = trees(host)
    modules = _modules_of_nodes(roots)
    return [call for root in roots for call in _calls_in(root, steps, modules, "", False)]


def _calls_in(
    node: Node, steps: Steps, modules: Mapping[NodeKey, str], module: str, backward: bool
) -> Iterator[Call]:
    event = node.event
    if event.is_operator or event.is_compiled_graph:
        yield Call(node, steps.span_at(event.start_ns), module, backward)
    if event.is_operator:
        return
    if event.name.startswith(MODULE):
        module = event.name.removeprefix(MODULE)
    elif event.name.startswith(AUTOGRAD):
        module, backward = modules.get((event.forward_thread, event.sequence), ""), True
    for child in node.children:
        yield from _calls_in(child, steps, modules, module, backward)


def _modules_of_nodes(roots: Sequence[Node]) -> dict[NodeKey, str]:
    """The module of each of autograd's nodes. Several operators may have the number of a node; the
    last of them made it."""
    modules: dict[NodeKey, str] = {}

    def visit(node: Node, module: str) -> None:
        event = node.event
        if event.name.startswith(AUTOGRAD):
            return
        if event.name.startswith(MODULE):
            module = event.name.removeprefix(MODULE)
        if event.sequence >= 0:
            modules[event.thread, event.sequence] = module
        for child in node.children:
            visit(child, module)

    for root in roots:
        visit(root, "")
    return modules
