"""The nouns of a profiled pass: what `torch.profiler` recorded of a few steps.

Tables are columns of equal length. All times, calls, FLOPs and bytes are those of one step: the
mean over the profiled steps. None means unknown, never zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["span", "operator", "kernel"]
GapCause = Literal["host_late", "kernel_wait", "other"]

COMPILED_CODE = "(compiled code)"
"""The operator for all that a compiled graph does itself."""


@dataclass(frozen=True)
class Ops:
    """Where the time of a step goes. `level` says what a row is:

    - `span`: a part of the step between two marks. `name` is the span's name, "" for what follows
      the last mark; `seconds` is its time on the host's clock.
    - `operator`: a call of torch's dispatcher with all that it calls itself. `seconds` is its time
      on a CPU, or on an accelerator the time of the kernels that it launched; `host_s` is the
      host's time for it.
    - `kernel`: what an accelerator ran. The kernels of an operator sum to its seconds, so kernels
      and operators are never added up.
    """

    level: list[Level] = field(default_factory=list)
    span: list[str] = field(default_factory=list)
    # the qualified name of the innermost module; "" outside of all
    module: list[str] = field(default_factory=list)
    # called by autograd; `module` is that of the forward call
    backward: list[bool] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    shapes: list[str] = field(default_factory=list)  # JSON: the sizes of the input tensors
    # of the first tensor, by our name ("fp32") if it has one, else by torch's
    dtype: list[str] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    # recorded for it and within it; each costs the profiler time
    events: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    host_s: list[float] = field(default_factory=list)
    flops: list[float | None] = field(default_factory=list)
    # of the tensors read and written, each once per call
    bytes: list[float | None] = field(default_factory=list)


@dataclass(frozen=True)
class Modules:
    """The modules of the model with the seconds of all operators called within each. `self_`
    excludes those of its children."""

    module: list[str] = field(default_factory=list)
    kind: list[str] = field(default_factory=list)  # its class
    calls: list[float] = field(default_factory=list)
    forward_s: list[float] = field(default_factory=list)
    backward_s: list[float] = field(default_factory=list)
    self_forward_s: list[float] = field(default_factory=list)
    self_backward_s: list[float] = field(default_factory=list)
    flops: list[float | None] = field(default_factory=list)


@dataclass(frozen=True)
class Gaps:
    """When an accelerator was idle between two kernels. `host_late`: the host launched the next one
    too late. `kernel_wait`: the next one waited in the queue. `other`: unknown."""

    step: list[int] = field(default_factory=list)
    span: list[str] = field(default_factory=list)
    start_s: list[float] = field(default_factory=list)  # since the start of the step
    gap_s: list[float] = field(default_factory=list)
    cause: list[GapCause] = field(default_factory=list)
    after: list[str] = field(default_factory=list)  # the kernel that ended
    before: list[str] = field(default_factory=list)  # the kernel that then began


@dataclass(frozen=True)
class MemoryUse:
    """The bytes of tensors that were alive after each operator of one step, by their purpose. With
    many operators a row is the fullest moment of several."""

    position: list[int] = field(default_factory=list)  # the operator's place in the step
    span: list[str] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    weights_bytes: list[int] = field(default_factory=list)
    gradients_bytes: list[int] = field(default_factory=list)
    optimizer_bytes: list[int] = field(default_factory=list)
    activations_bytes: list[int] = field(default_factory=list)  # kept for backward
    temporary_bytes: list[int] = field(default_factory=list)
    # of tensors from before the step that are none of these: data, a cache
    other_bytes: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Profile:
    """A profiled pass. `invalid` says why its figures cannot be used (events lost or overlapping);
    "" if they can."""

    steps: int
    # the median step of the timed window before it, in the same process, without a profiler
    clean_step_s: float
    profiled_step_s: float | None
    events: float
    invalid: str = ""
    device_busy_s: float | None = None  # of an accelerator: any kernel runs
    launch_s: float | None = None  # of the host, in calls that launch kernels
    copy_s: float | None = None  # of an accelerator: copies to or from the host
    threads: int | None = None  # of a CPU: how many torch computes with
    busy_share: float | None = None  # of clean steps: processor time / (threads · time)
    # {"modules" | "memory" | "bytes": why they are unknown}
    unknown: Mapping[str, str] = field(default_factory=dict)
    ops: Ops = Ops()
    modules: Modules = Modules()
    gaps: Gaps = Gaps()
    memory: MemoryUse = MemoryUse()


PROFILE_TABLES: dict[str, type[Ops | Modules | Gaps | MemoryUse]] = {
    "ops": Ops,
    "modules": Modules,
    "gaps": Gaps,
    "memory": MemoryUse,
}
"""The tables of a profile, by the names of their Parquet tables."""
