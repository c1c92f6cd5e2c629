"""One causal attention kernel in closed form.

The symbols:

    B batch   H heads   K heads of keys and values
    T tokens  D width of a head   e bytes of an element
"""

from dataclasses import dataclass

from hwbench.accounts.elements import item_bytes
from hwbench.records import Work


@dataclass(frozen=True)
class AttentionShape:
    """Queries (B, H, T, D) over keys and values (B, K, T, D)."""

    batch: int
    heads: int
    kv_heads: int
    seq: int
    head_width: int

    def forward_work(self, dtype: str) -> Work:
        """Count one forward pass: 4BHD · T(T+1)/2 FLOPs, or 4BHDT² with every pair counted.

        Two matmuls, QKᵀ and its product with V, take 2D FLOPs a pair of tokens. Bytes: Q, K and V
        read, the output written, e · 2BTD(H + K).
        """
        flops = 4 * self.batch * self.heads * self.head_width * self.seq * (self.seq + 1) // 2
        return Work(
            flops=flops,
            hardware_flops=flops,
            flops_full_attention=4 * self._all_pairs,
            bytes=2 * self._array_bytes(dtype),
        )

    def backward_work(self, dtype: str) -> Work:
        """Count one backward pass: twice the model FLOPs of forward.

        Four matmuls: the gradients of V, P, Q and K. `hardware_flops` are 2.5 times forward, as
        FlashAttention computes QKᵀ again because it keeps no P (Dao 2023, "FlashAttention-2",
        section 4.1). Bytes: Q, K, V, the output and its gradient read, three gradients written,
        e · 4BTD(H + K).
        """
        forward = self.forward_work(dtype)
        assert forward.flops is not None
        return Work(
            flops=2 * forward.flops,
            hardware_flops=5 * forward.flops // 2,
            flops_full_attention=8 * self._all_pairs,
            bytes=4 * self._array_bytes(dtype),
        )

    @property
    def _all_pairs(self) -> int:
        """Pairs of tokens times the width, over all heads: BHDT²."""
        return self.batch * self.heads * self.head_width * self.seq**2

    def _array_bytes(self, dtype: str) -> int:
        """Bytes of one array of all heads and one of the heads of keys."""
        elements = self.batch * self.seq * self.head_width * (self.heads + self.kv_heads)
        return elements * item_bytes(dtype)
