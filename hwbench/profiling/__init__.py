"""A profiled pass: where the time and the memory of a step go, measured after the clean window in
the same process.

    clean window → busy share → a few steps under torch.profiler → events → operators, modules, gaps
                              → one step counted → FLOPs, bytes, memory

No result comes from it: the profile states how much slower a profiled step is than a clean one.
"""

import gc
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

from hwbench.devices.protocol import Device
from hwbench.profiling.attribution import Steps, find_calls
from hwbench.profiling.counting import Counted
from hwbench.profiling.events import STEP, Event, fault
from hwbench.profiling.kernels import Kernels
from hwbench.profiling.recording import named_modules, record, steps_for
from hwbench.profiling.tables import add_spans, tabulate_modules, tabulate_operators
from hwbench.profiling.traces import add_rows
from hwbench.records import Window
from hwbench.records.profile import MemoryUse, Profile
from hwbench.workload import Built

COMPILED = "the step is compiled: its compiled code has neither modules nor single operators"
NO_MODEL = "the workload has no model"
NO_KERNELS = "the profiler saw no kernel of this device, only the host"


def profile(built: Built, device: Device, window: Window, trace: Path | None = None) -> Profile:
    """Profile a warm step whose clean window is known; write the profiler's own trace to the file
    `trace`.

    If the trace lost events or if its events overlap, the profile has the reason in `invalid` and
    no tables, and no file is written. The file appears complete or not at all.
    """
    unfinished = trace.with_name(f"part-{trace.name}") if trace else None
    try:
        return _profile(built, device, window, trace, unfinished)
    finally:
        if unfinished:
            unfinished.unlink(missing_ok=True)


def steps_taken(step_s: float) -> int:
    """How many steps a profile runs if a step takes `step_s` seconds: those for the busy share,
    those that are recorded, one for the profiler to start up in and one that is counted."""
    return 2 * steps_for(step_s) + 2


def _profile(
    built: Built, device: Device, window: Window, trace: Path | None, unfinished: Path | None
) -> Profile:
    clean_s = median(window.timed_s)
    count = steps_for(clean_s)
    # whether the host waits for another device, which does the work
    waits = window.timer_kind == "device_event" or "synced" in window.samples.flags
    model = built.model if isinstance(built.model, nn.Module) and not built.compiled else None
    busy_share = None if waits else _busy_share(built, count)
    gc.collect()
    events = record(built.step, model, device, count, unfinished, on_host=not waits)
    head = Profile(
        steps=count,
        clean_step_s=clean_s,
        profiled_step_s=_step_s(events, count),
        events=sum(event.name != STEP for event in events) / count,
        invalid=fault(events, count) or (NO_KERNELS if waits and not _has_kernels(events) else ""),
        threads=None if waits else torch.get_num_threads(),
        busy_share=busy_share,
    )
    if head.invalid:
        return head
    counted = _counted(built, model, device)
    tables = _tabulate(events, count, counted, model)
    if trace and unfinished:
        steps = Steps(events)
        add_rows(unfinished, trace, events, steps, find_calls(_host(events), steps))
    memory = MemoryUse() if built.compiled else counted.memory()
    return replace(head, unknown=_unknown(built, model), memory=memory, **tables)


def _counted(built: Built, model: nn.Module | None, device: Device) -> Counted:
    """The FLOPs, bytes and memory of a step's operators.

    A compiled step is counted as it would run without the compiler: the operators that it calls are
    the same, its memory is not.
    """
    counted = Counted(model)
    if not built.compiled:
        counted.count(built.step)
        return counted
    try:
        with torch.compiler.set_stance("force_eager"):
            counted.count(built.step)
    except Exception as error:
        if not device.is_out_of_memory(error):  # the compiled step may need less memory
            raise
    return counted


def _tabulate(
    events: Sequence[Event], count: int, counted: Counted, model: nn.Module | None
) -> dict[str, Any]:
    """The tables of a trace of `count` steps, and the seconds of a step that an accelerator was
    busy, launched and copied."""
    host, steps = _host(events), Steps(events)
    called = find_calls(host, steps)
    kernels = Kernels(events, steps)
    device_s = kernels.seconds_of if kernels.all else None
    ops = tabulate_operators(called, count, counted.cost_of, device_s)
    kinds = {name: type(module).__name__ for name, module in named_modules(model)}
    tables: dict[str, Any] = {"modules": tabulate_modules(host, ops, kinds, count), "ops": ops}
    add_spans(host, steps, ops)
    if not kernels.all:
        return tables
    kernels.add_rows(called, ops, count)
    return tables | {
        "gaps": kernels.gaps(),
        "device_busy_s": kernels.busy_s() / count,
        "launch_s": kernels.launch_s() / count,
        "copy_s": kernels.copy_s() / count,
    }


def _unknown(built: Built, model: nn.Module | None) -> dict[str, str]:
    if built.compiled:
        return dict.fromkeys(("modules", "memory", "bytes"), COMPILED)
    return {} if model else {"modules": NO_MODEL}


def _busy_share(built: Built, count: int) -> float:
    """The share of their time that torch's threads compute in `count` clean steps. A thread that
    spins while it waits for another counts as busy."""
    begin, begin_cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        built.step(lambda name: None)
    cpu_s, took_s = time.process_time() - begin_cpu, time.perf_counter() - begin
    return min(1.0, cpu_s / (torch.get_num_threads() * took_s))


def _step_s(events: Sequence[Event], count: int) -> float:
    """The seconds of a profiled step, from the first one's begin to the end of all work."""
    begin = min(event.start_ns for event in events if event.name == STEP)
    end = max(event.end_ns for event in events if event.name == STEP or event.on_device)
    return (end - begin) / 1e9 / count


def _host(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if not event.on_device]


def _has_kernels(events: Sequence[Event]) -> bool:
    return any(event.on_device for event in events)
