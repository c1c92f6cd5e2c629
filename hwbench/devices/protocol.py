"""What a device must offer to be measured."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from hwbench.devices.findings import Findings
from hwbench.devices.footprint import Tensors
from hwbench.devices.timers import Timer
from hwbench.meters import Meter

if TYPE_CHECKING:
    import torch


class Device(Protocol):
    """A place where steps run, whatever framework runs them: what the worker, the harness and the
    meters need. Opening a device claims it; only `synchronize` waits for it."""

    kind: str  # cpu, cuda, xpu, tpu, mps or fake
    name: str  # as its maker calls it
    energy_scope: str  # which of the meters' scopes are its own: gpu or package
    findings: Findings  # the formats it multiplies fast, and the faster of several kernels
    has_own_clock: bool  # whether `now_ns` moves only as workloads say, as no real one does
    notes: list[str]  # `code: what happened`, e.g. that its event clock cannot be trusted

    def now_ns(self) -> int:
        """The host's monotonic clock, in nanoseconds."""

    def synchronize(self) -> None:
        """Wait until everything submitted has run."""

    def timer(self) -> Timer:
        """A new timer for one window: of device events where they can be trusted, else of the
        host's clock."""

    def require(self, dtype: str, state_bytes: int = 0) -> None:
        """Raise Unsupported, with the reason, if `dtype` does not run here or if `state_bytes` are
        more than the device's memory."""

    def use_precision(self, dtype: str) -> None:
        """Set the precision of fp32 products for the whole process: all bits, or those of TF32 if
        `dtype` is tf32.

        A device that rounds fp32 products in either case adds a note. Unsupported if `dtype` is
        tf32 and the device has none.
        """

    def guard_memory(self) -> None:
        """Make this process run out of memory before other processes do, where the device does not
        do so by itself."""

    def seed(self, seed: int) -> None:
        """Seed the random numbers that models and inputs are made of."""

    def reset_memory_peak(self) -> None:
        """Restart the memory peak from what is in use now, where the platform can."""

    def memory_peak_bytes(self) -> int | None:
        """The most memory in use since the reset: the allocator's on an accelerator, the process's
        on a CPU. None where nothing counts it."""

    def meters(self, tdp_w: float | None) -> list[Meter]:
        """Open meters of the device and of the host around it, on the clock of `now_ns`. `tdp_w` is
        the power limit of all processors together, for an estimate where nothing is measured."""

    def rest(self, seconds: float) -> None:
        """Do nothing for a while and keep everything that was claimed."""

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether `error` means that this device's memory ran out."""

    def missing_operator(self, error: BaseException) -> str | None:
        """A line that names the operator the device lacks, if that is what `error` means."""

    def describe(self) -> Mapping[str, Any]:
        """What the device is, for the environment of a run: name, memory, versions; None where
        unknown."""


class TorchDevice(Device, Protocol):
    """A device that torch drives: what the workloads written in torch need besides."""

    torch: "torch.device"  # where tensors go
    fused_optimizers: bool  # whether torch updates all parameters in one kernel here
    has_onednn: bool  # whether torch can use oneDNN's kernels here beside its own
    cuda_graphs: bool  # whether torch.compile can replay compiled code as CUDA graphs
    has_transfers: bool  # whether data must be copied from the host's memory to get here

    def autocast(self, dtype: str) -> AbstractContextManager[Any]:
        """The context in which a model with fp32 weights computes in `dtype`. Unsupported if it
        cannot."""

    def require_fp8(self) -> None:
        """Raise Unsupported unless the device itself multiplies in FP8; elsewhere torch only
        emulates it."""

    def require_compiler(self) -> None:
        """Raise Unsupported, with the cure, if torch.compile lacks a tool here."""

    def require_memory(self, predicted_bytes: int) -> None:
        """Raise Unsupported, with the figures, if a predicted peak certainly does not fit."""

    def footprint_bytes(
        self, tensor_bytes: int, kept: Tensors | None = None, gradients: Tensors | None = None
    ) -> int:
        """How much `memory_peak_bytes` grows when tensors of `tensor_bytes` exist at once.

        `kept` (for backward) and `gradients` are tensors that replace each other in memory, as
        {bytes of one: how many}.
        """

    def caches(self) -> Mapping[str, int]:
        """The bytes of each level of data cache, {"l2": …}, summed over all caches of that level
        that the device uses. Levels of unknown size are left out."""
