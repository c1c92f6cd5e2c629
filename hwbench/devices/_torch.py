"""What the devices that torch drives have in common."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from hwbench.devices.findings import Findings, Stopwatch
from hwbench.devices.format_trial import measure_formats
from hwbench.devices.protocol import TorchDevice
from hwbench.devices.stopwatches import OneThread, Queue
from hwbench.records import Unsupported

DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "int8": torch.int8,
}
"""The torch dtype that tensors have under each of our names (TF32 is fp32 storage with a shorter
multiply)."""


SETTINGS = (
    *("ATEN_", "ONEDNN_", "DNNL_", "MKL_", "OMP_", "TORCH_", "PYTORCH_"),
    *("NVIDIA_TF32", "CUBLAS", "CUDNN", "HIPBLASLT_", "ROCBLAS_", "MIOPEN_", "ZE_", "SYCL_"),
)
"""Prefixes of environment variables that may change which kernel runs."""


def findings(device: TorchDevice, facts: Mapping[str, Any]) -> Findings:
    """The findings of a device of torch's, which depend on `facts`, torch's version and
    SETTINGS."""
    on_cpu = device.kind == "cpu"
    watch: Stopwatch = OneThread() if on_cpu else Queue(device.synchronize)
    parts = torch.get_num_threads() if on_cpu else 1
    settings = {
        name: value for name, value in sorted(os.environ.items()) if name.startswith(SETTINGS)
    }
    where = {**facts, "torch": torch.__version__, "settings": settings}
    return Findings(
        watch,
        where,
        device.is_out_of_memory,
        lambda: measure_formats(watch, device.torch, device.is_out_of_memory),
        parts,
    )


def autocast(device_type: str, dtype: str) -> AbstractContextManager[Any]:
    """Mixed precision over fp32 weights; for fp32 there is nothing to cast, and what fp8 leaves
    over is bf16's."""
    if dtype in ("fp32", "tf32"):
        return nullcontext()
    return torch.autocast(device_type, dtype=torch_dtype("bf16" if dtype == "fp8" else dtype))


def torch_dtype(dtype: str) -> torch.dtype:
    """The torch dtype of a name. Unsupported if tensors of it are not something this version
    computes with."""
    if dtype not in DTYPES:
        raise Unsupported(
            f"torch has no {dtype} arithmetic for this kind of device; use {', '.join(DTYPES)}"
        )
    return DTYPES[dtype]


BEYOND_TF32 = 1 + 2**-12
"""What fp32 holds exactly and TF32, with 10 bits of mantissa, rounds to 1."""


def use_precision(device: TorchDevice, dtype: str) -> None:
    """Set what fp32 products keep of their bits, of matrices as in cuDNN's recurrent layers, which
    take TF32 otherwise.

    A device that rounds fp32 all the same gets a note. Unsupported of tf32 where products keep all
    bits.
    """
    is_tf32 = dtype == "tf32"
    torch.set_float32_matmul_precision("high" if is_tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = is_tf32
    if is_tf32 and not _rounds_fp32(device):
        raise Unsupported(f"{device.name} has no tf32: torch multiplies all bits of fp32 here")
    note = f"fp32_rounded: {device.name} rounds what it multiplies in fp32 to fewer bits"
    if dtype != "fp32" or device.kind == "cpu" or note in device.notes:
        return
    if _rounds_fp32(device):
        device.notes.append(note)


def _rounds_fp32(device: TorchDevice) -> bool:
    """Whether a product of fp32 matrices, as torch is set now, keeps fewer bits than fp32 has."""
    a = torch.full((512, 512), BEYOND_TF32, device=device.torch)
    product = a @ torch.eye(512, device=device.torch)
    return float(product[0, 0].item()) == 1.0


def missing_operator(error: BaseException) -> str | None:
    """The first sentence of what torch's dispatcher says of an operator that a device lacks."""
    words = str(error).strip().partition("\n")[0]
    if not isinstance(error, NotImplementedError) or "aten::" not in words:
        return None
    return words.partition(". ")[0].rstrip(".")


def require_memory(state_bytes: int, memory_bytes: int | None, where: str) -> None:
    """Unsupported if what a case must hold at once is more than the device has in all."""
    if memory_bytes is not None and state_bytes > memory_bytes:
        raise Unsupported(
            f"needs at least {state_bytes / 2**30:.1f} GiB, {where} has {memory_bytes / 2**30:.1f} GiB"
        )


OUT_OF_MEMORY = (
    *("out of memory", "can't allocate memory", "alloc_failed"),
    *("out_of_device_memory", "out_of_host_memory", "resource_exhausted"),  # Level Zero and XLA
)
"""How torch, the drivers and the matmul libraries say it, where they raise no exception made for
it."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch, or of Python itself, means that memory ran out."""
    said = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        words in said for words in OUT_OF_MEMORY
    )
