"""Linear layers that multiply in FP8, with one scale a tensor: torchao's "tensorwise" recipe.

Activations and weights are rounded to E4M3, which has finer steps, gradients to E5M2, which has a
wider range (Micikevicius et al. 2022, "FP8 formats for deep learning"). A tensor is scaled each
time so that its largest value becomes the largest of the format. Products are summed in fp32 and
returned in bf16. Weights stay fp32.
"""

from typing import Any

import torch
from torch import Tensor, nn

from hwbench.devices.protocol import TorchDevice
from hwbench.records import Unsupported

MULTIPLE = 16
"""torch._scaled_mm needs the inner dimension and the columns of a product to be multiples of it."""

Formats = tuple[torch.dtype, torch.dtype]
"""The dtype of activations and weights, and the dtype of gradients."""


def use_fp8_linears(model: nn.Module, device: TorchDevice) -> None:
    """Make the linear layers of `model` multiply in FP8; under autocast to bf16 the rest is bf16.

    Layers with a dimension that is not a multiple of 16 stay as they are, and so does a head that
    is tied to an embedding. Unsupported if the device has no FP8, and at the first step if the
    positions that pass a layer at a time are not a multiple of 16.
    """
    device.require_fp8()
    for module in model.modules():
        if type(module) is not nn.Linear:
            continue
        if module.in_features % MULTIPLE == module.out_features % MULTIPLE == 0:
            module.__class__ = Fp8Linear  # the same weights, another forward
            assert isinstance(module, Fp8Linear)
            module.formats = formats(device)


def formats(device: TorchDevice) -> Formats:
    """Look up the two formats that the device multiplies.

    MI300 has its own, without a negative zero; all others have those of the OCP.
    """
    if torch.version.hip:
        properties = torch.cuda.get_device_properties(device.torch)
        if properties.gcnArchName.startswith("gfx94"):
            return torch.float8_e4m3fnuz, torch.float8_e5m2fnuz
    return torch.float8_e4m3fn, torch.float8_e5m2


class Fp8Linear(nn.Linear):
    """A linear layer whose three products, one forward and two backward, are in FP8."""

    formats: Formats

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, self.in_features)
        # the weight's gradient sums over the rows; computed in bf16 it would be FP8 only by name
        if len(rows) % MULTIPLE:
            raise Unsupported(
                f"fp8 needs a multiple of {MULTIPLE} positions at a time, not {len(rows)}; "
                "change batch"
            )
        y: Tensor = _Fp8Product.apply(rows, self.weight, self.formats)  # type: ignore[no-untyped-call] # in torch
        y = y.view(*x.shape[:-1], self.out_features)
        return y if self.bias is None else y + self.bias.to(y.dtype)


class _Fp8Product(torch.autograd.Function):
    """x (M, K) and weight (N, K) → x · weightᵀ (M, N) in bf16."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, formats: Formats) -> Tensor:
        x8, x_scale = round_to(formats[0], x)
        w8, w_scale = round_to(formats[0], weight)
        ctx.save_for_backward(x8, x_scale, w8, w_scale)
        ctx.x_dtype, ctx.weight_dtype, ctx.gradient_format = x.dtype, weight.dtype, formats[1]
        return multiply(x8, x_scale, w8.T, w_scale, fast=True)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, None]:
        x8, x_scale, w8, w_scale = ctx.saved_tensors
        g8, g_scale = round_to(ctx.gradient_format, grad)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = multiply(g8, g_scale, store_by_columns(w8), w_scale).to(ctx.x_dtype)
        grad_weight = multiply(g8.T.contiguous(), g_scale, store_by_columns(x8), x_scale)
        return grad_x, grad_weight.to(ctx.weight_dtype), None


def round_to(dtype: torch.dtype, x: Tensor) -> tuple[Tensor, Tensor]:
    """Round `x` to an FP8 `dtype`, and return it with the fp32 scale for which x ≈ rounded · scale.

    Infinity becomes NaN.
    """
    largest = torch.finfo(dtype).max
    scale = x.abs().amax().float().clamp(min=1e-12) / largest  # all zeros need a scale too
    return (x.float() / scale).clamp(-largest, largest).to(dtype), scale


def store_by_columns(x: Tensor) -> Tensor:
    """Store `x` column by column, as torch._scaled_mm needs its second matrix."""
    return x.T.contiguous().T


def multiply(a: Tensor, a_scale: Tensor, b: Tensor, b_scale: Tensor, fast: bool = False) -> Tensor:
    """Multiply `a` (M, K), stored by rows, by `b` (K, N), stored by columns, in bf16.

    `fast` lets Hopper sum in fewer bits than fp32 has. torchao allows that in forward, not in
    gradients.
    """
    return torch._scaled_mm(
        a, b, scale_a=a_scale, scale_b=b_scale, out_dtype=torch.bfloat16, use_fast_accum=fast
    )
