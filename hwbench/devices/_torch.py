"""What the devices that torch drives have in common."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from hwbench.records import Unsupported

DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""The torch dtype that tensors have under each of our names (TF32 is fp32 storage with a shorter multiply)."""


def autocast(device_type: str, dtype: str) -> AbstractContextManager[Any]:
    """Mixed precision over fp32 weights; for fp32 there is nothing to cast."""
    if dtype in ("fp32", "tf32"):
        return nullcontext()
    return torch.autocast(device_type, dtype=torch_dtype(dtype))


def torch_dtype(dtype: str) -> torch.dtype:
    """The torch dtype of a name. Unsupported if tensors of it are not something this version computes with."""
    if dtype not in DTYPES:
        raise Unsupported(f"dtype {dtype} is not supported by this workload yet")
    return DTYPES[dtype]


def require_memory(state_bytes: int, memory_bytes: int | None, where: str) -> None:
    """Unsupported if what a case must hold at once is more than the device has in all."""
    if memory_bytes is not None and state_bytes > memory_bytes:
        raise Unsupported(f"needs at least {state_bytes / 2**30:.1f} GiB, {where} has {memory_bytes / 2**30:.1f} GiB")
