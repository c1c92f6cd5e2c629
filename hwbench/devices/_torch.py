"""What the devices that torch drives have in common."""

import os
import shutil
import sysconfig
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from hwbench.records import Unsupported

DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "int8": torch.int8,
}
"""The torch dtype that tensors have under each of our names (TF32 is fp32 storage with a shorter multiply)."""


def autocast(device_type: str, dtype: str) -> AbstractContextManager[Any]:
    """Mixed precision over fp32 weights; for fp32 there is nothing to cast, and what fp8 leaves over is bf16's."""
    if dtype in ("fp32", "tf32"):
        return nullcontext()
    return torch.autocast(device_type, dtype=torch_dtype("bf16" if dtype == "fp8" else dtype))


def torch_dtype(dtype: str) -> torch.dtype:
    """The torch dtype of a name. Unsupported if tensors of it are not something this version computes with."""
    if dtype not in DTYPES:
        raise Unsupported(f"torch has no {dtype} arithmetic for this kind of device; use {', '.join(DTYPES)}")
    return DTYPES[dtype]


def require_memory(state_bytes: int, memory_bytes: int | None, where: str) -> None:
    """Unsupported if what a case must hold at once is more than the device has in all."""
    if memory_bytes is not None and state_bytes > memory_bytes:
        raise Unsupported(f"needs at least {state_bytes / 2**30:.1f} GiB, {where} has {memory_bytes / 2**30:.1f} GiB")


OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "alloc_failed")
"""How torch, the drivers and the matmul libraries say it, where they raise no exception made for it."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch, or of Python itself, means that memory ran out."""
    said = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in said for words in OUT_OF_MEMORY)


def require_compiler(variable: str, names: list[str]) -> None:
    """Unsupported, with the cure, unless a compiler that torch.compile can call is here, and Python's headers."""
    names = [os.environ[variable]] if os.environ.get(variable) else names
    if not any(shutil.which(name) for name in names):
        raise Unsupported(
            f"compile=true needs a compiler and there is no {' or '.join(names)} here; "
            f"install one, name it in {variable}, or use compile=false"
        )
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        raise Unsupported("compile=true needs Python's headers; install them (python3-dev), or use compile=false")
