"""One matrix product in closed form."""

from typing import NamedTuple

from hwbench.accounts.elements import item_bytes

RESULTS = {"fp8": "bf16", "int8": "int32"}
"""Formats whose products come out in another one."""


class Shape(NamedTuple):
    """C (m, n) = A (m, k) · B (k, n)."""

    m: int
    n: int
    k: int

    @property
    def flops(self) -> int:
        """2mnk: a multiply and an add each; with integer operands they are integer operations."""
        return 2 * self.m * self.n * self.k

    def bytes(self, dtype: str) -> int:
        """Count the fewest bytes of a product in `dtype`: A and B read once, C written once."""
        operands = (self.m * self.k + self.k * self.n) * item_bytes(dtype)
        return operands + self.m * self.n * item_bytes(RESULTS.get(dtype, dtype))

    def __str__(self) -> str:
        return "x".join(map(str, self))
