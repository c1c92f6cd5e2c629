"""Chooses the number format that a device multiplies fast, by its measured rates.

Rates map the name of a format to the FLOP/s of a matrix product, as `devices` measures them (on a
CPU with one thread). None: the product fails. No entry: nothing was measured.
"""

from collections.abc import Mapping, Sequence

Rates = Mapping[str, float | None]

AUTO = "auto"
"""Stands for the fastest format that the device has natively."""

AUTO_ORDER = ("bf16", "fp16", "fp32")
"""The formats that AUTO chooses among; of several that are as fast it takes the first. Workloads
that train have no fp16."""

AS_FAST = 0.9
"""A format with this share of the fastest one's rate counts as equally fast: two runs on a device
must not choose by noise."""

EMULATED = 0.5
"""A format below this share of fp32's rate is emulated: torch converts it, or computes it element
by element."""


def is_emulated(dtype: str, rates: Rates) -> bool:
    """Whether a product in `dtype` was measured with less than EMULATED of fp32's rate."""
    rate, fp32 = rates.get(dtype), rates.get("fp32")
    return rate is not None and fp32 is not None and rate < EMULATED * fp32


def fastest(choices: Sequence[str], rates: Rates) -> str:
    """The format of `choices` that AUTO stands for. Where no rate is known: fp32, or else the first
    choice."""
    known = {dtype: rates.get(dtype) or 0.0 for dtype in AUTO_ORDER if dtype in choices}
    best = max(known.values(), default=0.0)
    if not best:
        return "fp32" if "fp32" in choices else choices[0]
    return next(dtype for dtype, rate in known.items() if rate >= AS_FAST * best)


def slowness(dtype: str, rates: Rates, of: str = "") -> str:
    """Why `dtype` counts as emulated: its rate and fp32's. `of` says what the rates are of ("one
    thread")."""
    unit = f" of {of}" if of else ""
    rate, fp32 = in_words(rates[dtype]), in_words(rates["fp32"])
    return f"{dtype} is emulated here: {rate}{unit}, fp32 {fp32}"


def in_words(rate: float | None) -> str:
    """A rate with its unit: "1.2 GFLOP/s"."""
    if rate is None:
        return "not multiplied"
    for unit, size in (("T", 1e12), ("G", 1e9)):
        if rate >= size:
            return f"{rate / size:.3g} {unit}FLOP/s"
    return f"{rate / 1e6:.3g} MFLOP/s"
