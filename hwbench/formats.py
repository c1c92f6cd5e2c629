"""Which number formats a device multiplies fast, judged by the rates that it was found to have.

Rates are FLOP/s of a product by the name of the format, as `devices` measures them (on a CPU of one
thread): None where the product fails, and no entry where nothing was measured.
"""

from collections.abc import Mapping, Sequence

Rates = Mapping[str, float | None]

AUTO = "auto"
"""The word for the fastest format that the device has natively."""

AUTO_ORDER = ("bf16", "fp16", "fp32")
"""What AUTO chooses among, the first one first where several are as fast. Workloads that train have
no fp16."""

AS_FAST = 0.9
"""Within so much of the fastest, a format counts as fast as that: two runs on a device must not
choose by noise."""

EMULATED = 0.5
"""A format below this share of fp32's rate has no arithmetic of its own on the device: torch
converts, or computes it element by element."""


def is_emulated(dtype: str, rates: Rates) -> bool:
    """Whether a product in `dtype` was measured and is slower than EMULATED of one in fp32."""
    rate, fp32 = rates.get(dtype), rates.get("fp32")
    return rate is not None and fp32 is not None and rate < EMULATED * fp32


def fastest(choices: Sequence[str], rates: Rates) -> str:
    """The format that AUTO stands for among `choices`; fp32, or else the first choice, where no
    rate is known."""
    known = {dtype: rates.get(dtype) or 0.0 for dtype in AUTO_ORDER if dtype in choices}
    best = max(known.values(), default=0.0)
    if not best:
        return "fp32" if "fp32" in choices else choices[0]
    return next(dtype for dtype, rate in known.items() if rate >= AS_FAST * best)


def slowness(dtype: str, rates: Rates, of: str = "") -> str:
    """Why `dtype` counts as emulated, in words: its rate and fp32's. `of` what they are, "one
    thread" say."""
    unit = f" of {of}" if of else ""
    return (
        f"{dtype} is emulated here: {in_words(rates[dtype])}{unit}, fp32 {in_words(rates['fp32'])}"
    )


def in_words(rate: float | None) -> str:
    """A rate as people write it: "1.2 GFLOP/s"."""
    if rate is None:
        return "not multiplied"
    for unit, size in (("T", 1e12), ("G", 1e9)):
        if rate >= size:
            return f"{rate / size:.3g} {unit}FLOP/s"
    return f"{rate / 1e6:.3g} MFLOP/s"
