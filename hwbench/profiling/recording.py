"""A few steps under `torch.profiler`, with the marks of the step and the calls of the model's
modules in the trace."""

import math
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch._C._profiler import _ExperimentalConfig
from torch.profiler import ProfilerActivity, profile, record_function, supported_activities

from hwbench.devices.protocol import Device
from hwbench.profiling.events import MARK, MODULE, STEP, Event, shapes_of
from hwbench.workload import Step

RECORD_S, FEWEST, MOST = 1.0, 2, 10
"""About how long to record, and the fewest and most steps."""

DTYPES = {
    "float": "fp32",
    "c10::BFloat16": "bf16",
    "c10::Half": "fp16",
    "double": "fp64",
    "c10::Float8_e4m3fn": "fp8",
    "signed char": "int8",
    "long int": "int64",
    "int": "int32",
    "bool": "bool",
}
"""What the profiler calls the types of tensors, in our names."""


NOT_OF_THE_STEP = ("gpu_user_annotation", "overhead")
"""Kineto's kinds of events that are left out: annotations once more, as the device saw them, and
what the tracer itself did (it fetches buffers), which crosses whatever the host was doing."""


def steps_for(step_s: float) -> int:
    """How many steps of so many seconds to record."""
    return max(FEWEST, min(MOST, math.ceil(RECORD_S / step_s)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides what torch 2.11 warns of: a second cycle of the profiler clears the events of the
    first. Ours has one."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Warning: Profiler clears events", UserWarning)
        yield


def record(
    step: Step,
    model: nn.Module | None,
    device: Device,
    steps: int,
    trace: Path | None,
    on_host: bool,
) -> list[Event]:
    """The events of `steps` steps, after one that the profiler starts up in, which is left out; the
    whole trace is also written to `trace` as JSON, in gzip where its name ends in .gz. Where the
    host itself computes (`on_host`), no other device is traced."""
    # by which an operator that only calls others is known
    config = _ExperimentalConfig(capture_overload_names=True)
    activities = [ProfilerActivity.CPU]
    if not on_host:
        activities = supported_activities()  # type: ignore[no-untyped-call] # in torch
    with (
        _quiet(),
        annotated(model),
        profile(activities=activities, record_shapes=True, experimental_config=config) as profiler,
    ):
        step(lambda name: None)
        device.synchronize()
        for _ in range(steps):
            with record_function(STEP):
                step(_mark)
        device.synchronize()
    if trace:
        profiler.export_chrome_trace(str(trace))
    found = [_event(event) for event in profiler.profiler.kineto_results.events()]
    begin = min((event.start_ns for event in found if event.name == STEP), default=0)
    return [
        event
        for event in found
        if event.start_ns >= begin and event.activity not in NOT_OF_THE_STEP
    ]


def _mark(name: str) -> None:
    with record_function(MARK + name):
        pass


@contextmanager
def annotated(model: nn.Module | None) -> Iterator[None]:
    """Within, each call of a module of `model` is an annotation with its qualified name. Backward
    needs no hooks, which would change autograd's graph: its nodes carry the numbers of the forward
    operators that made them."""
    calls: list[Any] = []

    def enter(name: str) -> Any:
        def hook(*_: Any) -> None:
            calls.append(record_function(MODULE + name))
            calls[-1].__enter__()

        return hook

    def leave(*_: Any) -> None:
        calls.pop().__exit__(None, None, None)

    with ExitStack() as hooks:
        for name, module in named_modules(model):
            hooks.enter_context(module.register_forward_pre_hook(enter(name)))
            hooks.enter_context(module.register_forward_hook(leave, always_call=True))
        yield


def named_modules(model: nn.Module | None) -> list[tuple[str, nn.Module]]:
    """The modules of a model by their qualified names, itself by its class."""
    return (
        [(name or type(module).__name__, module) for name, module in model.named_modules()]
        if model
        else []
    )


def _event(event: Any) -> Event:
    dtypes = [DTYPES.get(dtype, dtype.removeprefix("c10::")) for dtype in event.dtypes()]
    tensors = [
        dtype
        for dtype in dtypes
        if dtype not in ("", "Scalar", "ScalarList", "TensorList", "GenericList")
    ]
    return Event(
        name=event.name(),
        start_ns=event.start_ns(),
        end_ns=event.start_ns() + event.duration_ns(),
        thread=event.start_thread_id(),
        activity=str(event.activity_type()),
        composite=is_composite(event.name(), event.overload_name()),
        sequence=event.sequence_nr(),
        forward_thread=event.fwd_thread_id(),
        # torch 2.11 has no lists
        shapes=shapes_of(getattr(event, "structured_input_shapes", event.shapes)()),
        dtype=tensors[0] if tensors else "",
        correlation=event.correlation_id(),
        linked=event.linked_correlation_id(),
        stream=event.device_resource_id(),
    )


@cache
def is_composite(name: str, overload: str) -> bool:
    """Whether torch has no kernel of the operator and only calls others for it
    (CompositeImplicitAutograd)."""
    if "::" not in name:
        return False
    full = f"{name}.{overload}" if overload else name
    try:
        return bool(
            torch._C._dispatch_has_kernel_for_dispatch_key(full, "CompositeImplicitAutograd")
        )
    except RuntimeError:  # no operator, as annotations of ours or autograd's are none
        return False
