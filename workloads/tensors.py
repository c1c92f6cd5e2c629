"""What the workloads share: number formats by name, random tokens, and torch.compile with its needs checked.

Random values come from torch's global generators, so `torch.manual_seed` before a build decides them all.
"""

import os
import shutil
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import torch

from hwbench.devices import Device
from hwbench.records import Unsupported

TORCH_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""The formats that weights and arrays can be stored in."""

F = TypeVar("F", bound=Callable[..., object])


def torch_dtype(name: str) -> torch.dtype:
    """The torch.dtype of a format's name. Unsupported if these workloads do not store it."""
    if name not in TORCH_DTYPES:
        raise Unsupported(f"this workload has no {name}; use one of {', '.join(TORCH_DTYPES)}")
    return TORCH_DTYPES[name]


def random_tokens(vocab: int, shape: tuple[int, ...], device: Device) -> torch.Tensor:
    """Uniform random token ids below `vocab`, int64, drawn on the host and put on the device."""
    return torch.randint(vocab, shape).to(device.torch)


def compiled(function: F, device: Device) -> F:
    """`function` under torch.compile, specialised to the shapes it will see.

    Unsupported, with the cure, if the compiler that torch.compile calls on is not installed.
    """
    _require_compiler(device.torch.type)
    return cast(F, torch.compile(function, dynamic=False))


def _require_compiler(kind: str) -> None:
    """On a CPU inductor writes C++; elsewhere Triton builds its launcher in C. Each honours its variable."""
    if kind == "cpu":
        variable, names = "CXX", ["clang++" if sys.platform == "darwin" else "g++"]
    else:
        variable, names = "CC", ["gcc", "clang"]
    names = [os.environ[variable]] if os.environ.get(variable) else names
    if not any(shutil.which(name) for name in names):
        raise Unsupported(
            f"compile=true needs a compiler and there is no {' or '.join(names)} here; "
            f"install one, name it in {variable}, or use compile=false"
        )
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        raise Unsupported("compile=true needs Python's headers; install them (python3-dev), or use compile=false")
    if kind == "cpu" and " " in torch.__file__:  # inductor hands the linker torch's own folder without quotes
        raise Unsupported("compile=true cannot link torch where its path has a space; install it elsewhere")
