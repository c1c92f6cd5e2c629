"""Everything behind `torch.accelerator`: CUDA and ROCm, XPU, and TPU where `torch_tpu` is
installed.

Work is submitted and runs later, so times come from events in the device's queue. If `event_clock`
finds that they cannot be trusted, the host's clock is used and a note says so.
"""

import importlib.util
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.utils._triton import has_triton

from hwbench.devices import _torch, compiler, event_clock
from hwbench.devices.footprint import Tensors, require_predicted
from hwbench.devices.protocol import TorchDevice
from hwbench.devices.timers import EventTimer, HostTimer, Timer
from hwbench.identity import UNKNOWN, is_no_name
from hwbench.meters import Meter, host, nvml
from hwbench.meters.nvml.library import find_index
from hwbench.meters.selection import open_meters
from hwbench.records import Unsupported

POLL_S = 0.0005
"""How often the host asks whether an event has ended: far more often than it may run ahead, and for
almost no time of a core."""

FP8_ON_NVIDIA = (8, 9)
"""The first compute capability with FP8 tensor cores: Ada, then Hopper 9.0."""

FP8_ON_AMD = ("gfx942", "gfx950", "gfx12")
"""The architectures on which torch multiplies in FP8, the oldest first: MI300, MI350, RDNA 4."""

CURES = {
    "cuda": "Install the GPU's driver and a torch build with CUDA or ROCm, or use --device cpu.",
    "xpu": "Install Intel's GPU driver and a torch build with XPU, or use --device cpu.",
    "tpu": "Install torch_tpu on a machine with TPUs, or use --device cpu.",
}


class AcceleratorDevice:
    """One accelerator of a kind, by its index."""

    has_transfers = True
    energy_scope = "gpu"
    has_own_clock = False
    has_onednn = False

    def __init__(self, kind: str, index: int) -> None:
        self.kind = kind
        self.torch = torch.device(kind, index)
        self.fused_optimizers = kind in ("cuda", "xpu")
        self.cuda_graphs = kind == "cuda"
        self.name = device_name(kind, index)
        self.notes: list[str] = []
        torch.accelerator.set_device_index(index)
        load = event_clock.make_load(self.torch)
        # an allocator that counts knows of the load
        self._counts_memory = bool(_memory_stats().get("allocated_bytes.all.current"))
        clock_fault = event_clock.find_clock_fault(load, self._new_event, self.synchronize)
        self._events_work = clock_fault is None
        if clock_fault:
            self.notes.append(clock_fault)
        self.findings = _torch.findings(
            self, {"kind": kind, "name": self.name, **self._size(), **self._libraries()}
        )

    def now_ns(self) -> int:
        return time.perf_counter_ns()

    def synchronize(self) -> None:
        torch.accelerator.synchronize()

    def timer(self) -> Timer:
        if self._events_work:
            return EventTimer(time.perf_counter_ns, self._new_event, _wait_for)
        return HostTimer(time.perf_counter_ns, self.synchronize)

    def autocast(self, dtype: str) -> AbstractContextManager[Any]:
        return _torch.autocast(self.kind, dtype)

    def require(self, dtype: str, state_bytes: int = 0) -> None:
        if dtype == "fp8":
            self.require_fp8()
        else:
            _torch.torch_dtype(dtype)
        if dtype == "bf16" and not self._has_bf16():
            raise Unsupported(f"{self.name} has no bf16")
        _torch.require_memory(state_bytes, self._memory_bytes(), self.name)

    def use_precision(self, dtype: str) -> None:
        _torch.use_precision(self, dtype)

    def require_fp8(self) -> None:
        if self.kind != "cuda":
            raise Unsupported(f"{self.name}: torch has no fp8 arithmetic for {self.kind}; use bf16")
        properties = torch.cuda.get_device_properties(self.torch)
        if torch.version.hip:
            architecture = properties.gcnArchName.partition(":")[0]
            has_fp8, first = architecture.startswith(FP8_ON_AMD), FP8_ON_AMD[0]
        else:
            architecture = f"{properties.major}.{properties.minor}"
            has_fp8 = (properties.major, properties.minor) >= FP8_ON_NVIDIA
            first = ".".join(map(str, FP8_ON_NVIDIA))
        if not has_fp8:
            raise Unsupported(
                f"{self.name} ({architecture}) has no fp8, which begins with {first}; use bf16"
            )

    def caches(self) -> Mapping[str, int]:
        """CUDA's L2, the only one that torch shows. None of AMD's: behind the L2 is a larger cache,
        far larger on MI300, of unknown size."""
        if self.kind != "cuda" or torch.version.hip:
            return {}
        size = getattr(torch.cuda.get_device_properties(self.torch), "L2_cache_size", 0)
        return {"l2": int(size)} if size else {}

    def footprint_bytes(
        self, tensor_bytes: int, kept: Tensors | None = None, gradients: Tensors | None = None
    ) -> int:
        return tensor_bytes

    def require_memory(self, predicted_bytes: int) -> None:
        require_predicted(predicted_bytes, self._memory_bytes(), self.name)

    def guard_memory(self) -> None:
        """Does nothing: its allocator refuses what does not fit."""

    def require_compiler(self) -> None:
        if self.kind in ("cuda", "xpu") and not has_triton():
            raise Unsupported(
                f"compile=true needs Triton, which is not installed or does not know {self.name}"
            )
        if self.kind == "tpu" and not importlib.util.find_spec("jax"):
            raise Unsupported(
                "compile=true on a TPU needs jax, whose Pallas torch writes kernels in; install it"
            )
        compiler.require_compiler("CC", ["gcc", "clang"])  # Triton builds its launcher in C

    def seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    def reset_memory_peak(self) -> None:
        if self._counts_memory:
            torch.accelerator.reset_peak_memory_stats()

    def memory_peak_bytes(self) -> int | None:
        """The most memory that the allocator had given out at once."""
        return int(_memory_stats()["allocated_bytes.all.peak"]) if self._counts_memory else None

    def meters(self, tdp_w: float | None) -> list[Meter]:
        return [*open_meters(self._gpus(), tdp_w), host.open_meter()]

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def is_out_of_memory(self, error: BaseException) -> bool:
        return _torch.is_out_of_memory(error)

    def missing_operator(self, error: BaseException) -> str | None:
        return _torch.missing_operator(error)

    def describe(self) -> Mapping[str, Any]:
        facts: dict[str, Any] = {
            "kind": self.kind,
            "name": self.name,
            "index": self.torch.index,
            "count": torch.accelerator.device_count(),
            "memory_bytes": self._memory_bytes(),
            "event_clock": self._events_work,
            "formats": dict(self.findings.formats),
        }
        if self.kind == "cuda":
            properties = torch.cuda.get_device_properties(self.torch)
            facts |= {
                "compute_capability": f"{properties.major}.{properties.minor}",
                "multiprocessors": properties.multi_processor_count,
                "nvml_index": self._nvml_index(),
                **self._libraries(),
            }
        return facts

    def _has_bf16(self) -> bool:
        return self.kind != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)

    def _size(self) -> dict[str, Any]:
        """What tells a partition from the whole device, which may have the same name."""
        units = None
        if self.kind == "cuda":
            units = torch.cuda.get_device_properties(self.torch).multi_processor_count
        return {"multiprocessors": units, "memory_bytes": self._memory_bytes()}

    def _libraries(self) -> dict[str, Any]:
        """The versions of the libraries that compute on it."""
        if self.kind != "cuda":
            return {}
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]  # in torch
        return {"cuda": torch.version.cuda, "hip": torch.version.hip, "cudnn": cudnn}

    def _gpus(self) -> list[str]:
        """Its name in its maker's driver: NVIDIA's is a UUID, AMD's a PCI address; empty for other
        makers."""
        if self.kind != "cuda":
            return []
        properties = torch.cuda.get_device_properties(self.torch)
        if not torch.version.hip:
            return [str(properties.uuid)]
        domain, bus, number = (
            getattr(properties, f"pci_{part}_id", None) for part in ("domain", "bus", "device")
        )
        return [] if bus is None else [f"{domain or 0:04x}:{bus:02x}:{number:02x}.0"]

    def _nvml_index(self) -> int | None:
        """Its place in the list of NVIDIA's driver; None if it is not NVIDIA's or not listed."""
        if self.kind != "cuda" or torch.version.hip:
            return None
        return find_index(str(torch.cuda.get_device_properties(self.torch).uuid))

    def _memory_bytes(self) -> int | None:
        if self.kind in ("cuda", "xpu"):
            module = torch.get_device_module(self.kind)
            return int(module.get_device_properties(self.torch).total_memory)
        return None

    def _new_event(self) -> torch.Event:
        return torch.Event(device=self.torch, enable_timing=True)


def available(kind: str) -> dict[str, str]:
    _register(kind)
    if not torch.accelerator.is_available():
        return {}
    accelerator = torch.accelerator.current_accelerator()
    if accelerator is None or accelerator.type != kind:
        return {}
    return {f"{kind}:{i}": device_name(kind, i) for i in range(torch.accelerator.device_count())}


def open_device(spec: str) -> TorchDevice:
    kind, _, index = spec.partition(":")
    _register(kind)
    return AcceleratorDevice(kind, int(index or 0))


def cure(kind: str) -> str:
    """Why there is no such device here and what to do, in a sentence or two."""
    version = f"torch here is {torch.__version__}"
    if kind == "cuda" and torch.version.cuda:
        return f"{version}, built for CUDA {torch.version.cuda}; {_driver_fault()}"
    return f"{version}. {CURES[kind]}"


def _driver_fault() -> str:
    """Why a torch with CUDA finds no GPU, by what NVIDIA's driver says, and the cure."""
    first, *_ = nvml.sources()
    if first.reason and not first.signals:
        cure = f"{first.cure}; or use --device cpu."
        return f"what is missing is the driver: {first.reason}. Cure: {cure}"
    return (
        "the driver has a GPU that torch does not see. Check CUDA_VISIBLE_DEVICES; update a driver "
        "that is too old for this CUDA (nvidia-smi shows the newest CUDA that it supports); "
        "or use --device cpu."
    )


def _wait_for(event: torch.Event) -> None:
    """Return when the event has ended.

    `event.synchronize` would keep a core busy, whose energy is measured: torch's events for all
    kinds of devices wait in no other way (`blocking` has no effect).
    """
    while not event.query():
        time.sleep(POLL_S)


def _register(kind: str) -> None:
    """Load the backend of a kind of device that torch does not bring along."""
    if kind == "tpu" and importlib.util.find_spec("torch_tpu"):
        importlib.import_module("torch_tpu")


def _memory_stats() -> Mapping[str, Any]:
    """The allocator's statistics; empty if it keeps none."""
    try:
        return torch.accelerator.memory_stats()
    except RuntimeError:  # not a c10::DeviceAllocator
        return {}


def device_name(kind: str, index: int) -> str:
    """What torch calls the device; "unknown …" where it has no name for it, or none in UTF-8, as
    some drivers under WSL2."""
    try:
        name = str(torch.get_device_module(kind).get_device_name(index)).strip()
    except (AttributeError, UnicodeDecodeError):
        name = ""
    return f"{UNKNOWN} {kind} device" if is_no_name(name) else name
