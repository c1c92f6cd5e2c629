"""A matrix product in each number format: how matrices are stored, what multiplies them, whether it
works here."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from hwbench.devices.protocol import TorchDevice
from hwbench.records import Unsupported
from workloads.fp8 import formats as fp8_formats


class Shape(NamedTuple):
    """C (m, n) = A (m, k) · B (k, n)."""

    m: int
    n: int
    k: int

    @property
    def flops(self) -> int:
        """A multiply and an add for each of the mnk products; of integers they are integer
        operations."""
        return 2 * self.m * self.n * self.k

    def __str__(self) -> str:
        return "x".join(map(str, self))


class Operands(NamedTuple):
    """The matrices of one product: a (m, k), b (k, n), and c (m, n), which it overwrites."""

    a: Tensor
    b: Tensor
    c: Tensor


Multiply = Callable[[Operands], object]


@dataclass(frozen=True)
class Format:
    """How a number format is stored, what its products come out as, and whether B lies column by
    column, as tensor cores read 8-bit numbers."""

    stored: torch.dtype
    result: torch.dtype
    by_columns: bool = False

    def bytes_of(self, shape: Shape) -> int:
        """A, B and C, each once."""
        m, n, k = shape
        return (m * k + k * n) * self.stored.itemsize + m * n * self.result.itemsize

    def draw(self, shape: Shape, device: TorchDevice) -> Operands:
        """Random matrices: standard normal, or every int8 equally often; C is not set."""
        m, n, k = shape
        b = self._random(n, k, device).t() if self.by_columns else self._random(k, n, device)
        return Operands(
            self._random(m, k, device), b, torch.empty(m, n, device=device.torch, dtype=self.result)
        )

    def _random(self, rows: int, columns: int, device: TorchDevice) -> Tensor:
        if self.stored is torch.int8:
            return torch.randint(-128, 128, (rows, columns), device=device.torch, dtype=torch.int8)
        if self.stored.itemsize > 1:
            return torch.randn(rows, columns, device=device.torch, dtype=self.stored)
        return torch.randn(rows, columns, device=device.torch, dtype=torch.bfloat16).to(self.stored)


FORMATS = {
    "fp32": Format(torch.float32, torch.float32),
    "tf32": Format(torch.float32, torch.float32),
    "bf16": Format(torch.bfloat16, torch.bfloat16),
    "fp16": Format(torch.float16, torch.float16),
    "fp8": Format(torch.float8_e4m3fn, torch.bfloat16, by_columns=True),
    "int8": Format(torch.int8, torch.int32, by_columns=True),
}
"""fp8 is e4m3, of which models are made for inference. Sums of int8 are exact, but not on every CPU
(`int8_sums`)."""


def format_of(dtype: str, device: TorchDevice) -> Format:
    """How `dtype` is stored on the device: FP8 as it multiplies it, which MI300 does in a kind of
    its own."""
    known = FORMATS[dtype]
    return replace(known, stored=fp8_formats(device)[0]) if dtype == "fp8" else known


TRIED = Shape(512, 512, 512)
"""The product by which is found out what works: large enough for the kernels that large ones
get."""


def product_of(dtype: str, device: TorchDevice) -> Multiply:
    """What multiplies in `dtype`, for all of this process (see Device.use_precision).

    A format that torch emulates is measured as it runs. Unsupported if a product of it fails here,
    or TF32 is not.
    """
    if dtype not in FORMATS:
        raise Unsupported(f"there is no matmul of {dtype}; use one of {', '.join(FORMATS)}")
    device.use_precision(dtype)
    multiply = _scaled(device) if dtype == "fp8" else _int_mm if dtype == "int8" else _mm
    try:
        multiply(format_of(dtype, device).draw(TRIED, device))
        device.synchronize()
    # the last is MPS's, of a dtype that it has not
    except (RuntimeError, NotImplementedError, TypeError) as error:
        if device.is_out_of_memory(error):
            raise
        raise Unsupported(
            f"{device.name} multiplies no {dtype}: {str(error).strip().splitlines()[0]}"
        ) from error
    return multiply


def int8_sums(multiply: Multiply, device: TorchDevice) -> dict[str, str]:
    """For `Declared.choices`: whether sums of int8 are exact here. A CPU without VNNI adds two
    products in 16 bits, and where these overflow it takes the largest number (vpmaddubsw): as fast,
    and not the same."""
    x = FORMATS["int8"].draw(TRIED, device)
    x.a.fill_(127)
    x.b.fill_(127)
    multiply(x)
    return {"int8_sums": "exact" if bool((x.c == 127 * 127 * TRIED.k).all()) else "saturated"}


def _mm(x: Operands) -> Tensor:
    return torch.mm(x.a, x.b, out=x.c)


def _int_mm(x: Operands) -> Tensor:
    return torch._int_mm(x.a, x.b, out=x.c)


def _scaled(device: TorchDevice) -> Multiply:
    """Both scales are 1. Sums are of the faster kind, as forward passes take it (Hopper's keeps
    fewer bits)."""
    one = torch.ones((), device=device.torch)

    def scaled_mm(x: Operands) -> Tensor:
        return torch._scaled_mm(
            x.a, x.b, one, one, out_dtype=x.c.dtype, use_fast_accum=True, out=x.c
        )

    return scaled_mm
