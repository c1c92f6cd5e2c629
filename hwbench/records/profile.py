"""The nouns of a profiled pass: what `torch.profiler` saw of a few steps, beside the clean window
of the same process.

Columns of equal length, as in `records`. All times, calls, FLOPs and bytes are those of one step,
the mean over the profiled steps. None means unknown, never zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["span", "operator", "kernel"]
GapCause = Literal["host_late", "kernel_wait", "other"]

COMPILED_CODE = "(compiled code)"
"""The operator that stands for all that a compiled graph does itself."""


@dataclass(frozen=True)
class Ops:
    """Where the time of a step goes. `level` says what a row is:

    `span`: a part of the step, as its marks cut it; `name` is the span's, "" what follows the last
    mark; `seconds` its time on the host's clock. `operator`: a call of torch's dispatcher, counted
    once, with all that it calls itself; `seconds` is its time on a CPU, on an accelerator that of
    the kernels it launched, `host_s` what the host took for it. `kernel`: what an accelerator ran;
    the kernels of an operator sum to its seconds, so the two are never added up.
    """

    level: list[Level] = field(default_factory=list)
    span: list[str] = field(default_factory=list)
    # the innermost one's qualified name; "" outside of any
    module: list[str] = field(default_factory=list)
    # of what autograd calls; `module` is that of the forward call
    backward: list[bool] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    shapes: list[str] = field(default_factory=list)  # JSON: the sizes of the tensors that go in
    # of the first tensor, as our names go ("fp32"); torch's elsewhere
    dtype: list[str] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    # recorded for it and within it: what the profiler was paid for
    events: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    host_s: list[float] = field(default_factory=list)
    flops: list[float | None] = field(default_factory=list)
    # tensors read and written, each once a call
    bytes: list[float | None] = field(default_factory=list)


@dataclass(frozen=True)
class Modules:
    """The modules of the model: seconds of all operators called within each, `self_` without those
    of its children."""

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
    """When an accelerator had nothing to do between two kernels. `host_late`: the next one was not
    launched in time; `kernel_wait`: it was in the queue and waited; `other`: neither can be
    told."""

    step: list[int] = field(default_factory=list)
    span: list[str] = field(default_factory=list)
    start_s: list[float] = field(default_factory=list)  # since the step began
    gap_s: list[float] = field(default_factory=list)
    cause: list[GapCause] = field(default_factory=list)
    after: list[str] = field(default_factory=list)  # the kernel that ended
    before: list[str] = field(default_factory=list)  # the one that then began


@dataclass(frozen=True)
class MemoryUse:
    """The bytes of tensors that lived after each operator of one step, by what they are for; with
    many operators each row is the fullest moment of several."""

    position: list[int] = field(default_factory=list)  # the operator's place in the step
    span: list[str] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    weights_bytes: list[int] = field(default_factory=list)
    gradients_bytes: list[int] = field(default_factory=list)
    optimizer_bytes: list[int] = field(default_factory=list)
    activations_bytes: list[int] = field(default_factory=list)  # kept for backward
    temporary_bytes: list[int] = field(default_factory=list)
    # there before the step and none of these: data, a cache
    other_bytes: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Profile:
    """A profiled pass. `invalid` says why its figures cannot stand (events lost or overlapping), ""
    if they can."""

    steps: int
    # the median of the timed window before it, in the same process, without a profiler
    clean_step_s: float
    profiled_step_s: float | None
    events: float
    invalid: str = ""
    device_busy_s: float | None = None  # an accelerator's, any kernel running
    launch_s: float | None = None  # the host's in calls that launch kernels
    copy_s: float | None = None  # an accelerator's, copying to or from the host
    threads: int | None = None  # a CPU's: how many torch computes with
    busy_share: float | None = None  # processor time over threads · time, of clean steps
    # {"modules" | "memory" | "bytes": why there are none}
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
"""The tables of a profile by their names in the store."""
