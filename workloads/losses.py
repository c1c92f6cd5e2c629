"""Cross-entropy over a large vocabulary that never holds the logits of all positions.

The idea is that of Liger Kernel's fused linear cross-entropy (Hsu et al. 2024) and of cut
cross-entropy (Wijmans et al. 2024). The gradient of the logits, softmax less one-hot, is known as
soon as the logits are. So the forward pass computes the gradients of their inputs from it, and
frees the logits. Nothing is computed twice.
"""

from typing import Any

import torch
from torch import Tensor


def cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor, chunks: int) -> Tensor:
    """Compute the mean cross-entropy of the logits `hidden` · `weight`ᵀ, a scalar, in `chunks`.

    `hidden` (N, d), `weight` (V, d), `targets` (N,) int64. The N positions are taken in `chunks`
    parts; ValueError if there are fewer. Softmax, loss and the gradient of `weight` are summed in
    fp32, or in float64 if `weight` is. Under autocast the products are in its dtype. The gradients
    are computed here, in forward; backward only scales them.
    """
    if not 1 <= chunks <= len(targets):
        raise ValueError(f"{len(targets)} positions cannot be cut into {chunks} chunks")
    kind = hidden.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
    loss: Tensor = _ChunkedCrossEntropy.apply(hidden, weight, targets, chunks, dtype)  # type: ignore[no-untyped-call] # in torch
    return loss


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, chunks: int, dtype: torch.dtype
    ) -> Tensor:
        x, w = hidden.to(dtype), weight.to(dtype)
        wide = torch.promote_types(weight.dtype, torch.float32)
        loss = torch.zeros((), dtype=wide, device=hidden.device)
        grads_hidden, grad_weight = [], torch.zeros_like(weight, dtype=wide)
        parts = zip(x.tensor_split(chunks), targets[:, None].tensor_split(chunks), strict=True)
        for x_part, target in parts:
            logits = (x_part @ w.T).to(wide)
            log_sum = logits.logsumexp(-1, keepdim=True)
            loss += (log_sum - logits.gather(-1, target)).sum()
            softmax = logits.sub_(log_sum).exp_()
            less_one_hot = softmax.scatter_add_(-1, target, -torch.ones_like(log_sum))
            grad = less_one_hot.div_(len(targets)).to(dtype)
            grads_hidden.append(grad @ w)
            grad_weight += grad.T @ x_part
        grad_hidden = torch.cat(grads_hidden).to(hidden.dtype)
        ctx.save_for_backward(grad_hidden, grad_weight.to(weight.dtype))
        return loss / len(targets)

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * grad_loss, grad_weight * grad_loss, None, None, None
