"""Apple's GPU through Metal.

It is timed by the host, which waits for the device at each stamp (flag `synced`): that costs a
little time and is never wrong. Metal's events hung or ran backwards until late 2026.
"""

import platform
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch

from hwbench.devices import _torch
from hwbench.devices.footprint import Tensors, require_predicted
from hwbench.devices.protocol import TorchDevice
from hwbench.devices.timers import HostTimer, Timer
from hwbench.identity import UNKNOWN, is_no_name
from hwbench.meters import Meter, host
from hwbench.meters.selection import open_meters
from hwbench.records import Unsupported
from hwbench.system import memory


class MpsDevice:
    """The one GPU of an Apple machine, which shares the machine's memory."""

    kind = "mps"
    fused_optimizers = True
    cuda_graphs = False
    has_onednn = False
    energy_scope = "gpu"
    has_own_clock = False
    has_transfers = True  # torch copies, though the memory is one

    def __init__(self) -> None:
        self.name = gpu_name()
        self.torch = torch.device("mps")
        self.findings = _torch.findings(self, {"name": self.name, "os": platform.mac_ver()[0]})
        self.notes: list[str] = []

    def now_ns(self) -> int:
        return time.perf_counter_ns()

    def synchronize(self) -> None:
        torch.mps.synchronize()

    def timer(self) -> Timer:
        return HostTimer(time.perf_counter_ns, torch.mps.synchronize)

    def autocast(self, dtype: str) -> AbstractContextManager[Any]:
        return _torch.autocast("mps", dtype)

    def require(self, dtype: str, state_bytes: int = 0) -> None:
        _torch.torch_dtype(dtype)
        _torch.require_memory(state_bytes, memory.total_bytes(), "this machine")

    def caches(self) -> Mapping[str, int]:
        """Metal shows none."""
        return {}

    def use_precision(self, dtype: str) -> None:
        _torch.use_precision(self, dtype)

    def require_fp8(self) -> None:
        raise Unsupported(f"{self.name} has no fp8 arithmetic; use bf16")

    def footprint_bytes(
        self, tensor_bytes: int, kept: Tensors | None = None, gradients: Tensors | None = None
    ) -> int:
        return tensor_bytes

    def require_memory(self, predicted_bytes: int) -> None:
        require_predicted(predicted_bytes, memory.total_bytes(), "this machine")

    def guard_memory(self) -> None:
        """Does nothing: its allocator refuses what does not fit."""

    def require_compiler(self) -> None:
        """Does nothing: the system compiles Metal's shaders."""

    def seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    def reset_memory_peak(self) -> None:
        """Does nothing: Metal keeps no peak."""

    def memory_peak_bytes(self) -> int | None:
        return None

    def meters(self, tdp_w: float | None) -> list[Meter]:
        return [*open_meters([], tdp_w), host.open_meter()]

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def is_out_of_memory(self, error: BaseException) -> bool:
        return _torch.is_out_of_memory(error)

    def missing_operator(self, error: BaseException) -> str | None:
        return _torch.missing_operator(error)

    def describe(self) -> Mapping[str, Any]:
        return {
            "kind": self.kind,
            "name": self.name,
            "memory_bytes": memory.total_bytes(),
            "formats": dict(self.findings.formats),
        }


def available(kind: str) -> dict[str, str]:
    return {"mps": gpu_name()} if torch.backends.mps.is_available() else {}


def gpu_name() -> str:
    """What Metal calls the GPU, with its cores: a chip is sold with several numbers of them."""
    try:
        name, cores = torch.backends.mps.get_name().strip(), torch.backends.mps.get_core_count()
    except (RuntimeError, AttributeError, UnicodeDecodeError):
        name, cores = "", 0
    if is_no_name(name):
        return f"{UNKNOWN} mps device"
    return f"{name} ({cores} cores)" if cores > 0 else name


def open_device(spec: str) -> TorchDevice:
    return MpsDevice()


def cure(kind: str) -> str:
    return (
        f"torch here is {torch.__version__}. The device needs an Apple machine and torch's macOS "
        "build; or use --device cpu."
    )
