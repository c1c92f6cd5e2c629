"""Linear layers whose products are in FP8, each tensor with one scale: torchao's "tensorwise"
recipe, made small.

Activations and weights are rounded to E4M3, which has the finer steps, gradients to E5M2, which has
the wider range (Micikevicius et al. 2022, "FP8 formats for deep learning"). A tensor is scaled anew
each time by its own largest value, which becomes the largest that the format has. Products are
summed in fp32 and given out in bf16; weights stay fp32.
"""

from typing import Any

import torch
from torch import Tensor, nn

from hwbench.devices.protocol import TorchDevice
from hwbench.records import Unsupported

MULTIPLE = 16
"""What torch._scaled_mm wants the inner dimension and the columns of a product to be a multiple
of."""

Formats = tuple[torch.dtype, torch.dtype]
"""That of activations and weights, and that of gradients."""


def use_fp8_linears(model: nn.Module, device: TorchDevice) -> None:
    """Let the linear layers of `model` multiply in FP8; under autocast to bf16 all else is bf16.

    Layers with a dimension that is no multiple of 16 stay as they are, and so does a head that is
    no layer of its own but tied to an embedding. Unsupported if the device has no FP8, and at the
    first step if what goes through a layer at a time is no multiple of 16 positions.
    """
    device.require_fp8()
    for module in model.modules():
        if type(module) is nn.Linear and not (
            module.in_features % MULTIPLE or module.out_features % MULTIPLE
        ):
            module.__class__ = Fp8Linear  # the same weights, another forward
            assert isinstance(module, Fp8Linear)
            module.formats = formats(device)


def formats(device: TorchDevice) -> Formats:
    """The two that the device multiplies: MI300 has its own, without a negative zero, all others
    those of the OCP."""
    if torch.version.hip and torch.cuda.get_device_properties(device.torch).gcnArchName.startswith(
        "gfx94"
    ):
        return torch.float8_e4m3fnuz, torch.float8_e5m2fnuz
    return torch.float8_e4m3fn, torch.float8_e5m2


class Fp8Linear(nn.Linear):
    """A linear layer whose three products, one forward and two backward, are in FP8."""

    formats: Formats

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, self.in_features)
        # the gradient of the weight sums over them; in bf16 it would be FP8 by name alone
        if len(rows) % MULTIPLE:
            raise Unsupported(
                f"fp8 takes a multiple of {MULTIPLE} positions at a time, here are {len(rows)}; change batch"
            )
        y: Tensor = _Fp8Product.apply(rows, self.weight, self.formats)  # type: ignore[no-untyped-call] # in torch
        y = y.view(*x.shape[:-1], self.out_features)
        return y if self.bias is None else y + self.bias.to(y.dtype)


class _Fp8Product(torch.autograd.Function):
    """x (M, K) and weight (N, K) → x · weightᵀ (M, N) in bf16."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, formats: Formats) -> Tensor:
        x8, x_scale = rounded(x, formats[0])
        w8, w_scale = rounded(weight, formats[0])
        ctx.save_for_backward(x8, x_scale, w8, w_scale)
        ctx.x_dtype, ctx.weight_dtype, ctx.gradient_format = x.dtype, weight.dtype, formats[1]
        return product(x8, x_scale, w8.T, w_scale, fast=True)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, None]:
        x8, x_scale, w8, w_scale = ctx.saved_tensors
        g8, g_scale = rounded(grad, ctx.gradient_format)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = product(g8, g_scale, by_columns(w8), w_scale).to(ctx.x_dtype)
        grad_weight = product(g8.T.contiguous(), g_scale, by_columns(x8), x_scale).to(
            ctx.weight_dtype
        )
        return grad_x, grad_weight, None


def rounded(x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """`x` in an FP8 `dtype` and the scale, fp32, that brings it back: x ≈ rounded · scale. Infinity
    becomes NaN."""
    largest = torch.finfo(dtype).max
    scale = x.abs().amax().float().clamp(min=1e-12) / largest  # nothing but zeros has a scale too
    return (x.float() / scale).clamp(-largest, largest).to(dtype), scale


def by_columns(x: Tensor) -> Tensor:
    """`x` stored column by column, as torch._scaled_mm wants its second matrix."""
    return x.T.contiguous().T


def product(a: Tensor, a_scale: Tensor, b: Tensor, b_scale: Tensor, fast: bool = False) -> Tensor:
    """`a` (M, K), stored by rows, times `b` (K, N), stored by columns, in bf16.

    `fast` lets Hopper sum in fewer bits than fp32 has, which torchao allows forward and not in
    gradients.
    """
    return torch._scaled_mm(
        a, b, scale_a=a_scale, scale_b=b_scale, out_dtype=torch.bfloat16, use_fast_accum=fast
    )
