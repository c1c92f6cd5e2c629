"""What the workloads share: number formats by name, random tokens, and torch.compile with its needs
checked.

Random values come from torch's global generators, so `torch.manual_seed` before a build decides
them all.
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
"""Off, torch.compile as it comes, or one of its modes.

On a CPU max-autotune has hardly anything to choose from: torch 2.13 has templates for products only
where the weights are constants, which a module's are not.
"""

F = TypeVar("F", bound=Callable[..., object])


def torch_dtype(name: str) -> torch.dtype:
    """The torch.dtype of a format's name. Unsupported if these workloads do not store it."""
    if name not in TORCH_DTYPES:
        raise Unsupported(f"this workload has no {name}; use one of {', '.join(TORCH_DTYPES)}")
    return TORCH_DTYPES[name]


def random_tokens(vocab: int, shape: tuple[int, ...], device: TorchDevice) -> torch.Tensor:
    """Uniform random token ids below `vocab`, int64, drawn on the host and put on the device."""
    return torch.randint(vocab, shape).to(device.torch)


def compiled(function: F, device: TorchDevice, mode: bool | str) -> F:
    """`function` as `mode`, a value of COMPILE, wants it: itself, or under torch.compile,
    specialised to its shapes.

    Unsupported, with the cure, if the compiler that torch.compile calls on is not installed, or if
    all that sets the mode apart is CUDA graphs and the device has none: torch would quietly compile
    as ever.
    """
    if not mode:
        return function
    if mode == "reduce-overhead" and not device.cuda_graphs:
        raise Unsupported(
            "compile=reduce-overhead replays CUDA graphs, which only a CUDA device has; use compile=true"
        )
    device.require_compiler()
    return cast(F, torch.compile(function, dynamic=False, mode=None if mode is True else str(mode)))
