"""The profiler's own trace, for Perfetto or chrome://tracing, with the spans and modules as rows of
their own."""

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hwbench.files import atomic_write
from hwbench.profiling.attribution import Call, Steps
from hwbench.profiling.events import MODULE, STEP, Event

PROCESS = "hwbench"
ROWS = ("steps", "spans", "modules, forward", "modules, backward")
PID = 1_000_000_000
"""No process of the machine has this number."""

COMPRESSION = 5
"""Half the time of the strongest, a twentieth larger."""

Slice = tuple[str, str, int, int]
"""The row, what stands in it, begin and end in nanoseconds."""


def add_rows(
    recorded: Path, target: Path, events: Sequence[Event], steps: Steps, calls: Sequence[Call]
) -> None:
    """Write the `recorded` trace with the rows at its top to `target`, whole or not at all.

    Both are JSON, in gzip where the name ends with .gz. ValueError if the trace has no step of
    ours.
    """
    content = recorded.read_bytes()
    trace = json.loads(gzip.decompress(content) if recorded.suffix == ".gz" else content)
    first = min((e.start_ns for e in events if e.name == STEP), default=None)
    seen = min((e["ts"] for e in trace["traceEvents"] if e.get("name") == STEP), default=None)
    if first is None or seen is None:
        raise ValueError("the trace holds no step")
    named = [_named("process", None, PROCESS, -1)] + [
        _named("thread", n, row, n) for n, row in enumerate(ROWS)
    ]
    added = [entry for pair in named for entry in pair]
    for row, name, begin, end in slices(events, steps, calls):
        at, lasts = seen + (begin - first) / 1e3, (end - begin) / 1e3
        added.append(
            {"ph": "X", "name": name, "pid": PID, "tid": ROWS.index(row), "ts": at, "dur": lasts}
        )
    trace["traceEvents"] = added + trace["traceEvents"]
    trace.pop("host_name", None)  # a trace is to be shown to others
    content = json.dumps(trace).encode()
    with atomic_write(target) as temporary:
        temporary.write_bytes(
            gzip.compress(content, COMPRESSION) if target.suffix == ".gz" else content
        )


def _named(what: str, row: int | None, name: str, order: int) -> list[dict[str, Any]]:
    """The entries that name a process or a thread of a trace and say where it stands."""
    head: dict[str, Any] = {"ph": "M", "pid": PID} | ({} if row is None else {"tid": row})
    named = head | {"name": f"{what}_name", "args": {"name": name}}
    return [named, head | {"name": f"{what}_sort_index", "args": {"sort_index": order}}]


def slices(events: Sequence[Event], steps: Steps, calls: Sequence[Call]) -> Iterator[Slice]:
    """What goes into the rows, in nanoseconds on the clock of the events."""
    starts = sorted(
        (event.start_ns, number) for number, event in enumerate(events) if event.name == STEP
    )
    for place, (_, number) in enumerate(starts):
        step = events[number]
        yield "steps", f"step {place}", step.start_ns, step.end_ns
        begin = step.start_ns
        for when, name in steps.bounds:
            if step.start_ns <= when <= step.end_ns:
                if when > begin:
                    yield "spans", name or "(rest)", begin, when
                begin = max(begin, when)
    for event in events:
        if event.name.startswith(MODULE):
            yield "modules, forward", event.name.removeprefix(MODULE), event.start_ns, event.end_ns
    yield from _backward(calls)


def _backward(calls: Sequence[Call]) -> Iterator[Slice]:
    """Stretches of operators in backward that belong to one module, one after the other."""
    name, begin, end = "", 0, 0
    for call in calls:
        module = call.module if call.backward else ""
        event = call.node.event
        if module != name:
            if name:
                yield "modules, backward", name, begin, end
            name, begin = module, event.start_ns
        end = event.end_ns
    if name:
        yield "modules, backward", name, begin, end
