"""What all devices that torch drives share: dtypes, precision and the meaning of errors."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from hwbench.devices.findings import Findings, Stopwatch
from hwbench.devices.format_trial import measure_formats
from hwbench.devices.protocol import TorchDevice
from hwbench.devices.stopwatches import OneThread, Queue
from hwbench.identity import is_unknown
from hwbench.records import Unsupported
from hwbench.remembered import until_reboot
from hwbench.system import variables

DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "int8": torch.int8,
}
"""The torch dtype of tensors for each of our names. TF32 tensors are stored as fp32; only their
products have fewer bits."""

SETTINGS = (
    *("ATEN_", "ONEDNN_", "DNNL_", "MKL_", "OMP_", "TORCH_", "PYTORCH_"),
    *("NVIDIA_TF32", "CUBLAS", "CUDNN", "HIPBLASLT_", "ROCBLAS_", "MIOPEN_", "ZE_", "SYCL_"),
)
"""Prefixes of environment variables that may change which kernel runs."""


def findings(device: TorchDevice, facts: Mapping[str, Any]) -> Findings:
    """The findings of a device that torch drives. They depend on `facts`, torch's version and the
    environment variables in SETTINGS, and hold until the next boot if nothing identifies it."""
    on_cpu = device.kind == "cpu"
    watch: Stopwatch = OneThread() if on_cpu else Queue(device.synchronize)
    parts = torch.get_num_threads() if on_cpu else 1
    settings = {
        name: value for name, value in variables.known().items() if name.startswith(SETTINGS)
    }
    where = {**facts, "torch": torch.__version__, "settings": settings}
    if is_unknown(device.name):
        where["boot"] = until_reboot()
    return Findings(
        watch,
        where,
        device.is_out_of_memory,
        lambda: measure_formats(watch, device.torch, device.is_out_of_memory),
        parts,
    )


def autocast(device_type: str, dtype: str) -> AbstractContextManager[Any]:
    """The context of mixed precision over fp32 weights: none for fp32, bf16 for whatever fp8 does
    not compute."""
    if dtype in ("fp32", "tf32"):
        return nullcontext()
    return torch.autocast(device_type, dtype=torch_dtype("bf16" if dtype == "fp8" else dtype))


def torch_dtype(dtype: str) -> torch.dtype:
    """The torch dtype of a name. Unsupported if torch does not compute with it."""
    if dtype not in DTYPES:
        raise Unsupported(
            f"torch has no {dtype} arithmetic for this kind of device; use {', '.join(DTYPES)}"
        )
    return DTYPES[dtype]


BEYOND_TF32 = 1 + 2**-12
"""A number that fp32 holds exactly; TF32, with 10 bits of mantissa, rounds it to 1."""


def use_precision(device: TorchDevice, dtype: str) -> None:
    """Set the precision of fp32 products, of matrices and in cuDNN's recurrent layers, which use
    TF32 by default.

    A device that rounds fp32 products in either case gets a note. Unsupported if `dtype` is tf32
    and products keep all bits.
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
    """Whether a product of fp32 matrices keeps fewer bits than fp32 has, with torch's settings of
    now."""
    a = torch.full((512, 512), BEYOND_TF32, device=device.torch)
    product = a @ torch.eye(512, device=device.torch)
    return float(product[0, 0].item()) == 1.0


def missing_operator(error: BaseException) -> str | None:
    """The first sentence of the error that torch's dispatcher raises for an operator that a device
    lacks; None for other errors."""
    line = str(error).strip().partition("\n")[0]
    if not isinstance(error, NotImplementedError) or "aten::" not in line:
        return None
    return line.partition(". ")[0].rstrip(".")


def require_memory(state_bytes: int, memory_bytes: int | None, where: str) -> None:
    """Raise Unsupported if a case must hold more bytes at once than the device has."""
    if memory_bytes is not None and state_bytes > memory_bytes:
        needed_gib, memory_gib = state_bytes / 2**30, memory_bytes / 2**30
        raise Unsupported(f"needs at least {needed_gib:.1f} GiB, {where} has {memory_gib:.1f} GiB")


OUT_OF_MEMORY = (
    *("out of memory", "can't allocate memory", "alloc_failed"),
    *("out_of_device_memory", "out_of_host_memory", "resource_exhausted"),  # Level Zero and XLA
)
"""Words in the errors of torch, drivers and matmul libraries when memory ran out and they raise no
exception of their own for it."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch or Python means that memory ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    message = str(error).lower()
    return any(words in message for words in OUT_OF_MEMORY)
