"""Tensors and functions on a device: dtypes by name, random tokens, and torch.compile.

Random values come from torch's global generators: `torch.manual_seed` before a build decides them
all.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import torch

from hwbench.devices.protocol import TorchDevice
from hwbench.records import Unsupported
from hwbench.workload import axis

TORCH_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""The formats that weights and arrays can be stored in."""

COMPILE = axis(False, choices=("max-autotune", "reduce-overhead"))
"""Off, torch.compile in its default mode (on), or one of its other modes.

On a CPU max-autotune has hardly anything to choose from: torch 2.13 has templates only for products
with constant weights, which a module's are not.
"""

F = TypeVar("F", bound=Callable[..., object])


def torch_dtype(name: str) -> torch.dtype:
    """Look up the torch.dtype of a format. Unsupported if weights are not stored in it."""
    if name not in TORCH_DTYPES:
        raise Unsupported(f"this workload has no {name}; use one of {', '.join(TORCH_DTYPES)}")
    return TORCH_DTYPES[name]


def random_tokens(vocab: int, shape: tuple[int, ...], device: TorchDevice) -> torch.Tensor:
    """Draw random token ids below `vocab`, int64, on the host and copy them to the device."""
    return torch.randint(vocab, shape).to(device.torch)


def compile_function(function: F, device: TorchDevice, mode: bool | str) -> F:
    """Compile `function` in `mode`, a value of COMPILE, for its shapes; return it as is if off.

    Unsupported, with the cure, if the compiler that torch.compile calls is not installed, or for
    reduce-overhead on a device without CUDA graphs: torch would silently compile in the default
    mode.
    """
    if not mode:
        return function
    if mode == "reduce-overhead" and not device.cuda_graphs:
        raise Unsupported(
            "compile=reduce-overhead replays CUDA graphs, which only a CUDA device has; "
            "use compile=true"
        )
    device.require_compiler()
    return cast(F, torch.compile(function, dynamic=False, mode=None if mode is True else str(mode)))
