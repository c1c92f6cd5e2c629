"""The CPU: its calls return when the work is done, so the host's clock is the device's clock."""

import platform
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import psutil
import torch

from hwbench.devices import _torch, compiler, host_memory
from hwbench.devices.footprint import Tensors, require_predicted, resident_bytes
from hwbench.devices.processor import cache_bytes, cpu_name, usable_cores
from hwbench.devices.protocol import TorchDevice
from hwbench.devices.timers import HostTimer, Timer
from hwbench.meters import Meter, host
from hwbench.meters.selection import open_meters
from hwbench.records import Unsupported
from hwbench.system import cpu, memory

FREE_SHARE = 0.9
"""The share of the free memory that a guarded process may use: the rest is for other programs that
grow, and for the file cache that they need."""


class CpuDevice:
    """All cores that this process may use, through torch's thread pool."""

    kind = "cpu"
    fused_optimizers = True
    cuda_graphs = False
    has_onednn = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call] # in torch
    has_transfers = False
    energy_scope = "package"
    has_own_clock = False

    def __init__(self) -> None:
        self.name = cpu_name()
        self.torch = torch.device("cpu")
        self.notes: list[str] = []
        # the name of a series is on several generations
        self.findings = _torch.findings(self, self._facts() | {"cpu": vars(cpu.identify())})

    def now_ns(self) -> int:
        return time.perf_counter_ns()

    def synchronize(self) -> None:
        """Does nothing: work on a CPU is done when its call returns."""

    def timer(self) -> Timer:
        return HostTimer(time.perf_counter_ns)

    def autocast(self, dtype: str) -> AbstractContextManager[Any]:
        return _torch.autocast("cpu", dtype)

    def require(self, dtype: str, state_bytes: int = 0) -> None:
        _torch.torch_dtype(dtype)
        _torch.require_memory(state_bytes, host_memory.memory_limit_bytes(), "this machine")

    def caches(self) -> Mapping[str, int]:
        """The caches of the cores that this process may use, where Linux describes them."""
        return cache_bytes()

    def use_precision(self, dtype: str) -> None:
        _torch.use_precision(self, dtype)

    def require_fp8(self) -> None:
        raise Unsupported(f"{self.name} has no fp8 arithmetic; use bf16")

    def footprint_bytes(
        self, tensor_bytes: int, kept: Tensors | None = None, gradients: Tensors | None = None
    ) -> int:
        return resident_bytes(tensor_bytes, kept or {}, gradients or {})

    def require_memory(self, predicted_bytes: int) -> None:
        require_predicted(predicted_bytes, host_memory.memory_limit_bytes(), "this machine")

    def guard_memory(self) -> None:
        """Let this process allocate FREE_SHARE of the memory that is free now."""
        free = host_memory.free_bytes()
        if free is not None:
            host_memory.limit_new_memory(round(FREE_SHARE * free))

    def require_compiler(self) -> None:
        compiler.require_compiler("CXX", ["clang++" if platform.system() == "Darwin" else "g++"])
        compiler.separate_caches()
        if " " in torch.__file__:  # inductor hands the linker torch's own folder without quotes
            raise Unsupported(
                "compile=true cannot link torch where its path has a space; install it elsewhere"
            )

    def seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    def reset_memory_peak(self) -> None:
        host_memory.reset_peak()

    def memory_peak_bytes(self) -> int | None:
        """Peak resident memory of this process, the interpreter and torch included."""
        return host_memory.peak_resident_bytes()

    def meters(self, tdp_w: float | None) -> list[Meter]:
        return [*open_meters([], tdp_w), host.open_meter()]

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def is_out_of_memory(self, error: BaseException) -> bool:
        return _torch.is_out_of_memory(error)

    def _facts(self) -> dict[str, Any]:
        """What the speed of kernels depends on besides torch's version."""
        return {
            "name": self.name,
            "torch_threads": torch.get_num_threads(),
            "instruction_set": torch.backends.cpu.get_cpu_capability(),
        }

    def missing_operator(self, error: BaseException) -> str | None:
        return _torch.missing_operator(error)

    def describe(self) -> Mapping[str, Any]:
        return {
            **self._facts(),
            "kind": self.kind,
            "cores": cpu.physical_cores(),
            "logical_cores": psutil.cpu_count(),
            "usable_cores": usable_cores(),
            "memory_bytes": memory.total_bytes(),
            "memory_limit_bytes": host_memory.memory_limit_bytes(),
            "formats": dict(self.findings.formats),
            "formats_of": "one thread",
        }


def available(kind: str) -> dict[str, str]:
    return {"cpu": cpu_name()}


def open_device(spec: str) -> TorchDevice:
    return CpuDevice()


def cure(kind: str) -> str:
    return "There is one CPU device, of all cores: use --device cpu."
