"""Bytes of an element in each number format."""

from hwbench.records import Unsupported

ITEM_BYTES = {"fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2, "fp8": 1, "int8": 1, "int32": 4}
"""tf32 is stored as fp32; int32 is what products of int8 are summed in."""


def item_bytes(dtype: str) -> int:
    """Look up the bytes of one element of `dtype`. Unsupported for a format that is not known."""
    if dtype not in ITEM_BYTES:
        raise Unsupported(f"unknown number format {dtype}; use one of {', '.join(ITEM_BYTES)}")
    return ITEM_BYTES[dtype]
