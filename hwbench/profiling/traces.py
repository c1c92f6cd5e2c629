"""The profiler's own trace, for Perfetto or chrome://tracing, with rows for steps, spans and
modules added."""

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
"""No process of the machine has this number: Linux's go up to 2^22."""

COMPRESSION = 5
"""The level of gzip: takes half the time of level 9 for files 5 % larger."""

Slice = tuple[str, str, int, int]
"""The row, the label, begin and end in nanoseconds."""


def add_rows(
    recorded: Path, target: Path, events: Sequence[Event], steps: Steps, calls: Sequence[Call]
) -> None:
    """Write the `recorded` trace with our rows at its top to `target`, whole or not at all.

    Both are JSON, in gzip if the name ends with .gz. ValueError if the trace has no step of ours.
    """
    content = recorded.read_bytes()
    trace = json.loads(gzip.decompress(content) if recorded.suffix == ".gz" else content)
    stamps_us = [entry["ts"] for entry in trace["traceEvents"] if entry.get("name") == STEP]
    begins_ns = [event.start_ns for event in events if event.name == STEP]
    if not stamps_us or not begins_ns:
        raise ValueError("the trace holds no step")
    origin_us, origin_ns = min(stamps_us), min(begins_ns)  # the same moment on both clocks
    entries = _names("process", None, PROCESS, -1)
    for number, row in enumerate(ROWS):
        entries += _names("thread", number, row, number)
    for row, name, begin, end in slices(events, steps, calls):
        start_us, duration_us = origin_us + (begin - origin_ns) / 1e3, (end - begin) / 1e3
        place = {"pid": PID, "tid": ROWS.index(row), "ts": start_us, "dur": duration_us}
        entries.append({"ph": "X", "name": name, **place})
    trace["traceEvents"] = entries + trace["traceEvents"]
    for name in ("host_name", "traceName"):  # traces are shown to others
        trace.pop(name, None)
    content = json.dumps(trace).encode()
    with atomic_write(target) as temporary:
        packed = gzip.compress(content, COMPRESSION) if target.suffix == ".gz" else content
        temporary.write_bytes(packed)


def _names(what: str, row: int | None, name: str, order: int) -> list[dict[str, Any]]:
    """The entries that name a process or a thread of a trace and give its position."""
    head: dict[str, Any] = {"ph": "M", "pid": PID} | ({} if row is None else {"tid": row})
    named = head | {"name": f"{what}_name", "args": {"name": name}}
    return [named, head | {"name": f"{what}_sort_index", "args": {"sort_index": order}}]


def slices(events: Sequence[Event], steps: Steps, calls: Sequence[Call]) -> Iterator[Slice]:
    """The slices of all rows, on the clock of the events."""
    found = [event for event in events if event.name == STEP]
    for number, step in enumerate(sorted(found, key=lambda event: event.start_ns)):
        yield "steps", f"step {number}", step.start_ns, step.end_ns
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
    """A slice for each run of consecutive operators of backward that belong to one module."""
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
