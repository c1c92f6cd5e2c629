"""The tables of a profile: the calls of a trace as rows of operators, spans and modules. Counts and
seconds are those of one step, the mean of the steps traced."""

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from hwbench.profiling.attribution import Call, Steps
from hwbench.profiling.events import MODULE, STEP, Event
from hwbench.records.profile import Modules, Ops

MOST_SHAPES = 8
"""The most shapes of an operator that are written out: an optimizer's update takes hundreds of
tensors."""

Cost = tuple[float | None, float | None]
"""FLOPs and bytes of a call; None where not known."""

Costs = Callable[[Event], Cost]


def tabulate_operators(
    called: Sequence[Call], steps: int, cost_of: Costs, device_s: Callable[[Call], float] | None
) -> Ops:
    """The rows of level `operator`, like calls in one row.

    `device_s` gives the seconds that an accelerator worked for a call; None where the host does the
    work itself.
    """
    groups: dict[tuple[object, ...], list[Call]] = defaultdict(list)
    for call in called:
        event = call.computed
        key = call.span, call.module, call.backward, call.name, event.shapes, event.dtype
        groups[key].append(call)
    table = Ops()
    for alike in groups.values():
        call, event = alike[0], alike[0].computed
        flops, moved = cost_of(event)
        host_s = sum(call.seconds for call in alike) / steps
        seconds = sum(map(device_s, alike)) / steps if device_s else host_s
        per_step = len(alike) / steps
        add_row(
            table,
            level="operator",
            span=call.span,
            module=call.module,
            backward=call.backward,
            name=call.name,
            shapes=_spell(event.shapes),
            dtype=event.dtype,
            calls=per_step,
            events=sum(len(call.events) for call in alike) / steps,
            seconds=seconds,
            host_s=host_s,
            flops=None if flops is None else flops * per_step,
            bytes=None if moved is None else moved * per_step,
        )
    return table


def add_spans(host: Sequence[Event], steps: Steps, table: Ops) -> None:
    """Add the rows of level `span` to `table`: the host's time between marks and the number of its
    events there."""
    begins = sorted(event.start_ns for event in host if event.name == STEP)
    seconds: dict[str, float] = defaultdict(float)
    times: Counter[str] = Counter()
    previous = begins[0]
    for when, name in steps.bounds:
        span_begin = max(previous, begins[bisect_left(begins, when) - 1])
        seconds[name] += (when - span_begin) / 1e9
        times[name] += 1
        previous = when
    events = Counter(steps.span_at(event.start_ns) for event in host if event.name != STEP)
    count = len(begins)
    for name in seconds:
        add_row(
            table,
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


def tabulate_modules(
    host: Sequence[Event], ops: Ops, kinds: Mapping[str, str], steps: int
) -> Modules:
    """The modules that were called, with the time of their operators in `ops`. `kinds` are the
    classes of all modules, the model's own first."""
    names = [event.name for event in host if event.name.startswith(MODULE)]
    times = Counter(name.removeprefix(MODULE) for name in names)
    own_s: dict[str, list[float]] = {name: [0.0, 0.0] for name in times}  # forward, backward
    flops: dict[str, list[float | None]] = defaultdict(list)
    rows = zip(ops.level, ops.module, ops.backward, ops.seconds, ops.flops, strict=True)
    for level, module, backward, seconds, counted in rows:
        if level == "operator" and module in own_s:
            own_s[module][backward] += seconds
            flops[module].append(counted)
    table = Modules()
    model = next(iter(kinds), "")
    for name in own_s:
        inside = [
            other for other in own_s if name in (model, other) or other.startswith(f"{name}.")
        ]
        add_row(
            table,
            module=name,
            kind=kinds.get(name, ""),
            calls=times[name] / steps,
            forward_s=sum(own_s[other][0] for other in inside),
            backward_s=sum(own_s[other][1] for other in inside),
            self_forward_s=own_s[name][0],
            self_backward_s=own_s[name][1],
            flops=_sum_or_none([count for other in inside for count in flops[other]]),
        )
    return table


def add_row(table: object, **row: object) -> None:
    """Append a value to each column of a table."""
    columns = vars(table)
    assert row.keys() == columns.keys()
    for name, value in row.items():
        columns[name].append(value)


def _sum_or_none(counts: Sequence[float | None]) -> float | None:
    """The sum; None if one of the counts is not known."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _spell(shapes: Sequence[tuple[int, ...]]) -> str:
    """The shapes as JSON, MOST_SHAPES at most."""
    spelled: list[object] = [list(shape) for shape in shapes[:MOST_SHAPES]]
    left = len(shapes) - MOST_SHAPES
    return json.dumps([*spelled, f"and {left} more"] if left > 0 else spelled)
