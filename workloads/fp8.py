"""Linear layers whose products are in FP8, each tensor with one scale: torchao's "tensorwise" recipe, made small.

Activations and weights are rounded to e4m3, which has the finer steps, gradients to e5m2, which has the wider range
(Micikevicius et al. 2022, "FP8 formats for deep learning"). A tensor is scaled by its own largest value, anew each
time, so that this becomes the largest that the format has. Sums are in fp32 and results bf16; weights stay fp32.
"""

from typing import Any

import torch
from torch import Tensor, nn

from hwbench.devices import Device

MULTIPLE = 16
"""What torch._scaled_mm wants the inner dimension and the columns of a product to be a multiple of."""


def use_fp8_linears(model: nn.Module, device: Device) -> None:
    """Let the linear layers of `model` multiply in FP8, under autocast to bf16; whatever has odd dimensions stays bf16.

    Unsupported if the device has no FP8.
    """
    device.require("fp8")
    for module in model.modules():
        if type(module) is nn.Linear and not (module.in_features % MULTIPLE or module.out_features % MULTIPLE):
            module.__class__ = Fp8Linear  # the same weights, another forward


class Fp8Linear(nn.Linear):
    """A linear layer whose three products, of forward and backward, are in FP8."""

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, self.in_features)
        if len(rows) % MULTIPLE:  # the weight's gradient sums over them
            return super().forward(x)
        y: Tensor = _Fp8Product.apply(rows, self.weight)  # type: ignore[no-untyped-call] # torch leaves it untyped
        y = y.view(*x.shape[:-1], self.out_features)
        return y if self.bias is None else y + self.bias.to(y.dtype)


class _Fp8Product(torch.autograd.Function):
    """x (M, K) and weight (N, K) → x · weightᵀ (M, N) in bf16."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        x8, x_scale = rounded(x, torch.float8_e4m3fn)
        w8, w_scale = rounded(weight, torch.float8_e4m3fn)
        ctx.save_for_backward(x8, x_scale, w8, w_scale)
        ctx.dtypes = x.dtype, weight.dtype
        return product(x8, x_scale, w8.T, w_scale, fast=True)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x8, x_scale, w8, w_scale = ctx.saved_tensors
        g8, g_scale = rounded(grad, torch.float8_e5m2)
        grad_x = product(g8, g_scale, columns(w8), w_scale)
        grad_weight = product(g8.T.contiguous(), g_scale, columns(x8), x_scale)
        return grad_x.to(ctx.dtypes[0]), grad_weight.to(ctx.dtypes[1])


def rounded(x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """`x` in an FP8 `dtype` and the scale, fp32, that brings it back: x ≈ rounded · scale. Infinity turns NaN."""
    largest = torch.finfo(dtype).max
    scale = x.abs().amax().float().clamp(min=1e-12) / largest
    return (x.float() / scale).clamp(-largest, largest).to(dtype), scale


def columns(x: Tensor) -> Tensor:
    """`x`, stored column by column, as torch._scaled_mm wants its second matrix."""
    return x.T.contiguous().T


def product(a: Tensor, a_scale: Tensor, b: Tensor, b_scale: Tensor, fast: bool = False) -> Tensor:
    """a (M, K), stored by rows, times b (K, N), stored by columns, in bf16. `fast`: NVIDIA's shorter accumulator."""
    return torch._scaled_mm(a, b, scale_a=a_scale, scale_b=b_scale, out_dtype=torch.bfloat16, use_fast_accum=fast)
