"""The CPU: its calls return when the work is done, so the host's clock is the device's clock."""

import os
import platform
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psutil
import torch

from hwbench.devices import _torch
from hwbench.devices.footprint import Tensors, require_predicted, resident_bytes
from hwbench.devices.protocol import TorchDevice
from hwbench.devices.timers import HostTimer, Timer
from hwbench.meters import Meter, host
from hwbench.meters.selection import open_meters
from hwbench.records import Unsupported

CPUS = Path("/sys/devices/system/cpu")
"""Where Linux describes the processors."""

CGROUP_USE = {
    "/sys/fs/cgroup/memory.max": "/sys/fs/cgroup/memory.current",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": "/sys/fs/cgroup/memory/memory.usage_in_bytes",
}
"""A container's limit, and what it uses of it."""


FREE_SHARE = 0.9
"""The rest is for what grows meanwhile: other programs, and the file cache that keeps them
running."""


class CpuDevice:
    """All cores that this process may use, through torch's thread pool."""

    kind = "cpu"
    fused_optimizers = True
    cuda_graphs = False
    has_onednn = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call] # in torch
    has_transfers = False

    def __init__(self) -> None:
        self.name = cpu_name()
        self.torch = torch.device("cpu")
        self.notes: list[str] = []
        self.findings = _torch.findings(self, self._facts())

    def now_ns(self) -> int:
        return time.perf_counter_ns()

    def synchronize(self) -> None:
        """Nothing is ever outstanding on a CPU."""

    def timer(self) -> Timer:
        return HostTimer(time.perf_counter_ns)

    def autocast(self, dtype: str) -> AbstractContextManager[Any]:
        return _torch.autocast("cpu", dtype)

    def require(self, dtype: str, state_bytes: int = 0) -> None:
        _torch.torch_dtype(dtype)
        _torch.require_memory(state_bytes, memory_limit_bytes(), "this machine")

    def caches(self) -> Mapping[str, int]:
        """Of the cores that this process may use, as Linux tells."""
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
        require_predicted(predicted_bytes, memory_limit_bytes(), "this machine")

    def guard_memory(self) -> None:
        """Limit what this process may map of its own to FREE_SHARE of what is free, beyond what it
        has."""
        limit = psutil.Process().memory_info().data + round(FREE_SHARE * free_bytes())
        try:
            import resource

            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        except (ImportError, ValueError, OSError):
            # Windows; macOS has the call and does not keep to it: there the predicted bytes are the
            # guard
            return

    def require_compiler(self) -> None:
        _torch.require_compiler("CXX", ["clang++" if platform.system() == "Darwin" else "g++"])
        _torch.keep_compiled_code_apart()
        if " " in torch.__file__:  # inductor hands the linker torch's own folder without quotes
            raise Unsupported(
                "compile=true cannot link torch where its path has a space; install it elsewhere"
            )

    def seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    def reset_memory_peak(self) -> None:
        try:  # "5" resets the peak of resident memory; see proc(5)
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            # then the peak counts from the start of the process, which only adds the imports
            return

    def memory_peak_bytes(self) -> int | None:
        """Peak resident memory of this process, the interpreter and torch included."""
        return peak_resident_bytes()

    def meters(self, tdp_w: float | None) -> list[Meter]:
        return [*open_meters([], tdp_w), host.open_meter()]

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def is_out_of_memory(self, error: BaseException) -> bool:
        return _torch.is_out_of_memory(error)

    def _facts(self) -> dict[str, Any]:
        """What the speed of a kernel depends on besides torch's version."""
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
            "cores": psutil.cpu_count(logical=False),
            "logical_cores": psutil.cpu_count(),
            "usable_cores": usable_cores(),
            "memory_bytes": psutil.virtual_memory().total,
            "memory_limit_bytes": memory_limit_bytes(),
            "formats": dict(self.findings.formats),
            "formats_of": "one thread",
        }


def available(kind: str) -> dict[str, str]:
    return {"cpu": cpu_name()}


def open_device(spec: str) -> TorchDevice:
    return CpuDevice()


def cure(kind: str) -> str:
    return "There is one CPU device, of all cores: use --device cpu."


def cpu_name() -> str:
    """The processor's marketing name with its cores, e.g. "AMD EPYC 9354 (32 cores)"."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass  # not Linux: the platform's own word has to do
    cores = usable_cores()
    return f"{name} ({cores} core{'s' if cores != 1 else ''})"


def usable_cores() -> int:
    """How many processors this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity to ask
        return os.cpu_count() or 1


def cache_bytes() -> dict[str, int]:
    """By level, "l1" to "l3", the bytes of all data caches of the usable cores; a cache that they
    share counts once. Empty where Linux does not tell."""
    try:
        cores = os.sched_getaffinity(0)
    except AttributeError:
        return {}
    found: dict[tuple[str, str], int] = {}
    for core in cores:
        for cache in CPUS.glob(f"cpu{core}/cache/index*"):
            try:
                level, kind, size, shared = (
                    (cache / name).read_text().strip()
                    for name in ("level", "type", "size", "shared_cpu_list")
                )
            except OSError:
                continue  # some virtual machines tell of the cache but not of its size
            if kind != "Instruction":
                found[f"l{level}", shared] = int(size.removesuffix("K")) * 1024
    levels = sorted({level for level, _ in found})
    return {level: sum(size for (of, _), size in found.items() if of == level) for level in levels}


def memory_limit_bytes() -> int:
    """The memory this process may use at most: the machine's, or the container's limit where that
    is lower."""
    limits = [psutil.virtual_memory().total]
    for file in CGROUP_USE:
        try:
            limits.append(int(Path(file).read_text()))
        except (OSError, ValueError):
            continue  # no such controller, or "max"
    return int(min(limits))


def free_bytes() -> int:
    """The memory to be had without taking it from anyone: the machine's, or the container's where
    that is less."""
    free = [psutil.virtual_memory().available]
    for limit, used in CGROUP_USE.items():
        try:
            free.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):
            continue  # no such controller, or "max"
    return int(max(0, min(free)))


def peak_resident_bytes() -> int | None:
    """VmHWM of this process where Linux tells it, else the peak that getrusage has; None where
    neither is there.

    VmHWM comes first because getrusage's peak survives exec and so would count the parent process
    too.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024  # bytes on macOS, KiB elsewhere
