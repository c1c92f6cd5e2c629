"""The peaks of a device: a GPU's dense FLOP/s and bytes/s from its datasheet, a CPU's derived
FLOP/s.

peaks.csv has a row for each name that torch gives a device, without the maker's name. FLOP/s are in
10¹², bandwidth in 10⁹ B/s. All FLOP/s are dense: a figure that a datasheet prints with 2:4 sparsity
only is halved, and its source says so. Matrix products of 16 bits accumulate in fp32, as in cuBLAS,
which on a GeForce is half of the advertised figure. `units` is the number of multiprocessors. A
partition of a GPU, which may have the name of the whole, has fewer; where a run does not record the
number, the device may be a partition.

A device, a dtype or a figure that is not in the table is unknown, and never taken from another.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from hwbench.datasheets import cpu, rows

MAKERS = re.compile(r"((NVIDIA|AMD|Tesla) )*")
"""The words before the model: one driver calls a V100 "Tesla V100-SXM2-16GB", another adds
"NVIDIA"."""

DTYPES = ("fp32", "tf32", "bf16", "fp16", "fp8", "int8")
"""The dtypes for which the table has FLOP/s."""


@dataclass(frozen=True)
class Peak:
    """A peak in FLOP/s, with their dtype, or in B/s; `source` is the figure and its origin in
    words."""

    value: float
    source: str
    dtype: str | None = None


def flops(
    device: str, dtype: str, environment: Mapping[str, Any], sustained_mhz: float | None = None
) -> Peak | None:
    """The peak FLOP/s of the device in `dtype`; None if unknown. `environment` is the run's,
    `sustained_mhz` a CPU's clock under load, if that was observed."""
    row = _row(device, environment)
    if row is None:
        cpu_facts, device_facts = (_facts(environment, part) for part in ("cpu", "device"))
        derived = cpu.flops(dtype, cpu_facts, device_facts, sustained_mhz)
        return Peak(*derived, dtype) if derived else None
    if dtype not in DTYPES or not row[dtype]:
        return None
    source = f"peak {row[dtype]} TFLOP/s {dtype} dense, {row['source']}"
    return Peak(float(row[dtype]) * 1e12, source, dtype)


def bandwidth(device: str, environment: Mapping[str, Any]) -> Peak | None:
    """The peak B/s between the device and its memory; None if unknown."""
    row = _row(device, environment)
    if row is None:
        return None
    return Peak(float(row["bandwidth"]) * 1e9, f"peak {row['bandwidth']} GB/s, {row['source']}")


def why_unknown(device: str, environment: Mapping[str, Any]) -> str:
    """Why a GPU has no peak although its maker states one for the whole card, in one line; empty
    otherwise."""
    model, units = _model(device), _facts(environment, "device").get("multiprocessors")
    card, is_slice, _ = model.partition(" MIG ")
    row = table().get(card)
    if not is_slice and (row is None or units == int(row["units"])):
        return ""
    size = f"with {units} multiprocessors" + (f" of {row['units']}" if row else "")
    if units is None:
        size = "whose multiprocessors were not counted"
    may_be = "may be" if units is None and not is_slice else "is"
    partition = f"{device}, {size}, {may_be} a partition of a GPU"
    return f"no known peak: {partition}, and the whole card's peak is not its own"


@cache
def table() -> dict[str, dict[str, str]]:
    """The rows of peaks.csv by name."""
    return {row["name"]: row for row in rows("peaks")}


def _row(device: str, environment: Mapping[str, Any]) -> dict[str, str] | None:
    """The row of the device; None also if it is not known to have all the multiprocessors of that
    card."""
    row = table().get(_model(device))
    units = _facts(environment, "device").get("multiprocessors")
    return row if row and units == int(row["units"]) else None


def _model(device: str) -> str:
    """The device's name without the maker's name."""
    return MAKERS.sub("", device, count=1)


def _facts(environment: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """A part of the environment; empty where an older or imported run has none."""
    facts = environment.get(part)
    return facts if isinstance(facts, Mapping) else {}
