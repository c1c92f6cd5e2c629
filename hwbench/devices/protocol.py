"""What a device must offer to be measured."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from hwbench.devices.findings import Findings
from hwbench.devices.footprint import Tensors
from hwbench.devices.timers import Timer
from hwbench.meters import Meter


class Device(Protocol):
    """A place where steps run. Opening one claims it; nothing here waits for the device but
    `synchronize`."""

    kind: str  # cpu, cuda, xpu, tpu, mps or fake
    name: str  # as its maker calls it
    torch: Any  # the torch.device that tensors go to (None on the fake one)
    fused_optimizers: bool  # whether torch has one kernel here that updates all parameters
    # whether torch has kernels of oneDNN here beside its own: which suit, a trial tells
    has_onednn: bool
    findings: Findings  # which formats it multiplies fast, and which of several kernels suit it
    cuda_graphs: bool  # whether torch.compile can replay what it compiled as CUDA graphs
    has_transfers: bool  # whether data is copied from the host's memory to get here
    notes: list[str]  # `code: what happened`, e.g. that its event clock could not be trusted

    def now_ns(self) -> int:
        """The host's monotonic clock, in nanoseconds."""

    def synchronize(self) -> None:
        """Wait until everything submitted has run."""

    def timer(self) -> Timer:
        """A fresh timer for one window: device events where they can be trusted, else the host's
        clock."""

    def autocast(self, dtype: str) -> AbstractContextManager[Any]:
        """The context in which a model with fp32 weights computes in `dtype`. Unsupported if it
        cannot."""

    def require(self, dtype: str, state_bytes: int = 0) -> None:
        """Raise Unsupported, with the reason, if `dtype` does not run here or `state_bytes` cannot
        fit at all."""

    def caches(self) -> Mapping[str, int]:
        """The bytes of each level of data cache, {"l2": …}, all caches of that level that the
        device uses together. A level that nothing tells of is not in it."""

    def use_precision(self, dtype: str) -> None:
        """For all of this process: let products of fp32 keep all bits, or those of TF32 where
        `dtype` is tf32. A device that rounds them all the same says so in its notes. Unsupported if
        there is no tf32 here."""

    def require_fp8(self) -> None:
        """Raise Unsupported unless the device itself multiplies in FP8, which torch only emulates
        elsewhere."""

    def footprint_bytes(
        self, tensor_bytes: int, kept: Tensors | None = None, gradients: Tensors | None = None
    ) -> int:
        """What `memory_peak_bytes` will show, beyond what it did before, of tensors of
        `tensor_bytes` at once; `kept` for backward and `gradients` are tensors that take turns, as
        {bytes of one: how many}."""

    def require_memory(self, predicted_bytes: int) -> None:
        """Raise Unsupported, with the figures, if a predicted peak surely does not fit."""

    def guard_memory(self) -> None:
        """From now on run out of memory before others do, where the device would not anyway."""

    def require_compiler(self) -> None:
        """Raise Unsupported, with the cure, if torch.compile cannot work here for want of a
        tool."""

    def seed(self, seed: int) -> None:
        """Seed the random numbers that models and inputs are made of."""

    def reset_memory_peak(self) -> None:
        """Start the peak of memory anew, where the platform can."""

    def memory_peak_bytes(self) -> int | None:
        """The most memory in use since the reset: the allocator's on an accelerator, the process's
        on a CPU. None where nothing counts it."""

    def meters(self, tdp_w: float | None) -> list[Meter]:
        """Open meters of the device and of the host around it, on the clock of `now_ns`. `tdp_w`:
        what all processors take at most, for an estimate where nothing counts."""

    def rest(self, seconds: float) -> None:
        """Do nothing, with all that was claimed still held."""

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether `error` is this device's way to say that memory ran out."""

    def missing_operator(self, error: BaseException) -> str | None:
        """In a line, which operator the device lacks, if that is what `error` says."""

    def describe(self) -> Mapping[str, Any]:
        """What the device is, for the environment of a run: name, memory, versions; null where
        unknown."""
