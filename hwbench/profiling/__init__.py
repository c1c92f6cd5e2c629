"""A profiled pass: after the clean window, in the same process, where the time and the memory of a
step go.

    clean window → busy share → a few steps under torch.profiler → events → operators, modules, gaps
                              → one step counted → FLOPs, bytes, memory

Never timed for a result: what the profiler costs a step is measured against the clean window and
said.
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
from hwbench.profiling.attribution import Steps, calls, modules, operators, spans
from hwbench.profiling.counting import Counted
from hwbench.profiling.events import STEP, Event, fault
from hwbench.profiling.kernels import Kernels
from hwbench.profiling.recording import named_modules, record, steps_for
from hwbench.profiling.traces import add_rows
from hwbench.records import Window
from hwbench.records.profile import MemoryUse, Profile
from hwbench.workload import Built

COMPILED = "the step is compiled, and what was made for it has neither modules nor single operators"
NO_MODEL = "the workload has no model"
NO_KERNELS = "the profiler saw no kernel of this device, only the host"


def profile(built: Built, device: Device, window: Window, trace: Path | None = None) -> Profile:
    """Profile a warm step whose clean window is known; with `trace` the profiler's own trace goes
    there too.

    A trace that lost events or whose events overlap gives a profile that says so in `invalid` and
    has no tables; it is not kept. A trace is written whole or not at all.
    """
    unfinished = trace.with_name(f"part-{trace.name}") if trace else None
    try:
        return _profile(built, device, window, trace, unfinished)
    finally:
        if unfinished:
            unfinished.unlink(missing_ok=True)


def steps_taken(step_s: float) -> int:
    """How many steps a profile takes of a step of so many seconds: for the threads' shares, for the
    profiler to start up in, to be recorded, and one that is counted."""
    return 2 * steps_for(step_s) + 2


def _profile(
    built: Built, device: Device, window: Window, trace: Path | None, unfinished: Path | None
) -> Profile:
    clean_s = median(window.timed_s)
    count = steps_for(clean_s)
    # the work is another device's
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
        invalid=fault(events, count) or (NO_KERNELS if waits and not _kernels(events) else ""),
        threads=None if waits else torch.get_num_threads(),
        busy_share=busy_share,
    )
    if head.invalid:
        return head
    counted = _counted(built, model, device)
    found = _told_apart(events, count, counted, model)
    if trace and unfinished:
        steps = Steps(events)
        add_rows(unfinished, trace, events, steps, calls(_host(events), steps))
    memory = MemoryUse() if built.compiled else counted.memory()
    return replace(head, unknown=_unknown(built, model), memory=memory, **found)


def _counted(built: Built, model: nn.Module | None, device: Device) -> Counted:
    """What the operators of a step do. A compiled step is counted as it would run without the
    compiler: what it calls that is not compiled is the same, while its memory is not."""
    counted = Counted(model)
    if not built.compiled:
        counted.count(built.step)
        return counted
    try:
        with torch.compiler.set_stance("force_eager"):
            counted.count(built.step)
    except Exception as error:
        if not device.is_out_of_memory(error):  # which the compiler may well have saved it from
            raise
    return counted


def _told_apart(
    events: Sequence[Event], count: int, counted: Counted, model: nn.Module | None
) -> dict[str, Any]:
    """The tables of a trace of `count` steps, and what an accelerator did."""
    host, steps = _host(events), Steps(events)
    called = calls(host, steps)
    kernels = Kernels(events, steps)
    ops = operators(called, count, counted.cost_of, kernels.seconds_of if kernels.all else None)
    kinds = {name: type(module).__name__ for name, module in named_modules(model)}
    found: dict[str, Any] = {"modules": modules(host, ops, kinds, count)}
    spans(host, steps, ops)
    if kernels.all:
        kernels.rows(called, ops, count)
        found |= {"gaps": kernels.gaps(), "device_busy_s": kernels.busy_s() / count}
        found |= {"launch_s": kernels.launch_s() / count, "copy_s": kernels.copy_s() / count}
    return found | {"ops": ops}


def _unknown(built: Built, model: nn.Module | None) -> dict[str, str]:
    if built.compiled:
        return dict.fromkeys(("modules", "memory", "bytes"), COMPILED)
    return {} if model else {"modules": NO_MODEL}


def _busy_share(built: Built, count: int) -> float:
    """Processor time of this process over that of all of torch's threads, in `count` clean steps. A
    thread that spins while it waits for another counts as busy."""
    begin, begin_cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        built.step(lambda name: None)
    cpu_s, took_s = time.process_time() - begin_cpu, time.perf_counter() - begin
    return min(1.0, cpu_s / (torch.get_num_threads() * took_s))


def _step_s(events: Sequence[Event], count: int) -> float:
    """From the first step's begin to the end of all work, over the number of steps."""
    begin = min(event.start_ns for event in events if event.name == STEP)
    end = max(event.end_ns for event in events if event.name == STEP or event.on_device)
    return (end - begin) / 1e9 / count


def _host(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if not event.on_device]


def _kernels(events: Sequence[Event]) -> bool:
    return any(event.on_device for event in events)
