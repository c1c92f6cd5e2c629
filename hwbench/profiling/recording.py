"""A few steps under `torch.profiler`, whose trace also shows the step's marks and the calls of the
model's modules."""

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
"""Our names of the tensor types that the profiler names."""

NOT_TENSORS = ("", "Scalar", "ScalarList", "TensorList", "GenericList")
"""The profiler's types of arguments that are no tensors."""

NOT_OF_THE_STEP = ("gpu_user_annotation", "overhead")
"""Kineto's activities that are left out: copies of annotations on the device's clock, and the
tracer's own work (it fetches buffers), which overlaps with the host's events."""


def steps_for(step_s: float) -> int:
    """How many steps to record if one takes `step_s` seconds."""
    return max(FEWEST, min(MOST, math.ceil(RECORD_S / step_s)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide torch 2.11's warning that a second cycle of the profiler clears the events of the first;
    we have only one."""
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
    """The events of `steps` steps.

    One more step runs first, in which the profiler starts up, and is left out. The whole trace is
    also written to `trace` as JSON, in gzip if the name ends in .gz. `on_host`: the host itself
    computes, so only the host is traced.
    """
    # is_composite needs the overload names
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
    events = [_event(event) for event in profiler.profiler.kineto_results.events()]
    begin = min((event.start_ns for event in events if event.name == STEP), default=0)
    of_steps = [event for event in events if event.start_ns >= begin]
    return [event for event in of_steps if event.activity not in NOT_OF_THE_STEP]


def _mark(name: str) -> None:
    with record_function(MARK + name):
        pass


@contextmanager
def annotated(model: nn.Module | None) -> Iterator[None]:
    """A context in which each call of a module of `model` is an annotation with the module's
    qualified name.

    Backward gets no hooks, which would change autograd's graph: its nodes have the numbers of the
    forward operators that made them.
    """
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
    """The modules of a model by their qualified names, the model itself by its class."""
    if not model:
        return []
    return [(name or type(module).__name__, module) for name, module in model.named_modules()]


def _event(event: Any) -> Event:
    types = [DTYPES.get(kind, kind.removeprefix("c10::")) for kind in event.dtypes()]
    dtypes = [kind for kind in types if kind not in NOT_TENSORS]
    # torch 2.11 has no shapes of lists
    shapes = getattr(event, "structured_input_shapes", event.shapes)()
    return Event(
        name=event.name(),
        start_ns=event.start_ns(),
        end_ns=event.start_ns() + event.duration_ns(),
        thread=event.start_thread_id(),
        activity=str(event.activity_type()),
        composite=is_composite(event.name(), event.overload_name()),
        sequence=event.sequence_nr(),
        forward_thread=event.fwd_thread_id(),
        shapes=shapes_of(shapes),
        dtype=dtypes[0] if dtypes else "",
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
    except RuntimeError:  # not an operator, e.g. an annotation
        return False
