"""A matrix product in each number format: how matrices are stored, and what multiplies them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from hwbench.accounts.matmul import Shape
from hwbench.devices.protocol import TorchDevice
from hwbench.records import Unsupported
from workloads.fp8 import formats as fp8_formats


class Operands(NamedTuple):
    """The matrices of one product: a (m, k), b (k, n), and c (m, n), which it overwrites."""

    a: Tensor
    b: Tensor
    c: Tensor


Multiply = Callable[[Operands], object]


@dataclass(frozen=True)
class Format:
    """How a number format is stored, and which format its products come out in.

    `by_columns`: B lies column by column, as tensor cores read 8-bit numbers.
    """

    stored: torch.dtype
    result: torch.dtype
    by_columns: bool = False

    def draw(self, shape: Shape, device: TorchDevice) -> Operands:
        """Draw random matrices: standard normal, or every int8 equally often. C is not set."""
        m, n, k = shape
        a = self._random(m, k, device)
        b = self._random(n, k, device).t() if self.by_columns else self._random(k, n, device)
        return Operands(a, b, torch.empty(m, n, device=device.torch, dtype=self.result))

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
"""fp8 is e4m3, which inference uses. Sums of int8 are exact, but not on every CPU (`int8_sums`)."""


def format_of(dtype: str, device: TorchDevice) -> Format:
    """Look up how `dtype` is stored on the device: MI300 multiplies an FP8 of its own."""
    known = FORMATS[dtype]
    return replace(known, stored=fp8_formats(device)[0]) if dtype == "fp8" else known


TRIED = Shape(512, 512, 512)
"""The product that shows what works: large enough for the kernels that large ones get."""


def product_of(dtype: str, device: TorchDevice) -> Multiply:
    """Make what multiplies in `dtype`, for all of this process (see Device.use_precision).

    A format that torch emulates is measured as it runs. Unsupported if a product of it fails here,
    or if the device has no TF32.
    """
    if dtype not in FORMATS:
        raise Unsupported(f"there is no matmul of {dtype}; use one of {', '.join(FORMATS)}")
    device.use_precision(dtype)
    multiply = _multiply_in(dtype, device)
    try:
        multiply(format_of(dtype, device).draw(TRIED, device))
        device.synchronize()
    # MPS raises TypeError for a dtype that it does not have
    except (RuntimeError, NotImplementedError, TypeError) as error:
        if device.is_out_of_memory(error):
            raise
        reason = str(error).strip().splitlines()[0]
        raise Unsupported(f"{device.name} does not multiply {dtype}: {reason}") from error
    return multiply


def int8_sums(multiply: Multiply, device: TorchDevice) -> dict[str, str]:
    """Try whether sums of int8 are exact here, for `Declared.choices`.

    A CPU without VNNI adds two products in 16 bits, and takes the largest number where these
    overflow (vpmaddubsw): as fast, but not the same.
    """
    x = FORMATS["int8"].draw(TRIED, device)
    x.a.fill_(127)
    x.b.fill_(127)
    multiply(x)
    is_exact = bool((x.c == 127 * 127 * TRIED.k).all())
    return {"int8_sums": "exact" if is_exact else "saturated"}


def _multiply_in(dtype: str, device: TorchDevice) -> Multiply:
    if dtype == "fp8":
        return _scaled(device)
    return _int_mm if dtype == "int8" else _mm


def _mm(x: Operands) -> Tensor:
    return torch.mm(x.a, x.b, out=x.c)


def _int_mm(x: Operands) -> Tensor:
    return torch._int_mm(x.a, x.b, out=x.c)


def _scaled(device: TorchDevice) -> Multiply:
    """Multiply FP8 with both scales 1. Sums are the faster kind, as in forward passes (Hopper's
    keeps fewer bits)."""
    one = torch.ones((), device=device.torch)

    def scaled_mm(x: Operands) -> Tensor:
        return torch._scaled_mm(
            x.a, x.b, one, one, out_dtype=x.c.dtype, use_fast_accum=True, out=x.c
        )

    return scaled_mm
