"""What a device could do at most: the datasheet's dense FLOP/s and bytes/s of a GPU, and a CPU's
derived FLOP/s.

peaks.csv has a row for each name by which torch knows a device, without its maker's. FLOP/s are in
10¹², bandwidth in 10⁹ B/s. All are dense: a datasheet that prints figures with 2:4 sparsity alone
says so in its source, and is halved. Matrix products of 16 bits accumulate in fp32, as cuBLAS's do,
which on a GeForce is half of the advertised figure. `units` is the number of multiprocessors: a
partition, which may have the name of the whole, has fewer. Where a run does not say how many its
device has, it may be one.

A device, a dtype or a figure that is not there is not known, and never taken from another.
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from hwbench.datasheets import cpu

MAKERS = re.compile(r"((NVIDIA|AMD|Tesla) )*")
"""What stands before the model: the same V100 is "Tesla V100-SXM2-16GB" to one driver, with "NVIDIA
" to another."""

DTYPES = ("fp32", "tf32", "bf16", "fp16", "fp8", "int8")
"""What the table has FLOP/s in."""


@dataclass(frozen=True)
class Peak:
    """In FLOP/s or B/s; `source` says it in words, with where it is from. `dtype` is that of
    FLOP/s."""

    value: float
    source: str
    dtype: str | None = None


def flops(
    device: str, dtype: str, environment: Mapping[str, Any], sustained_mhz: float | None = None
) -> Peak | None:
    """The most FLOP/s of the device in `dtype`; None if it is not known. `environment` is the
    run's, `sustained_mhz` a CPU's clock under load, where that was observed."""
    row = _row(device, environment)
    if row is None:
        derived = cpu.flops(
            dtype, _facts(environment, "cpu"), _facts(environment, "device"), sustained_mhz
        )
        return Peak(*derived, dtype) if derived else None
    if dtype not in DTYPES or not row[dtype]:
        return None
    return Peak(
        float(row[dtype]) * 1e12, f"peak {row[dtype]} TFLOP/s {dtype} dense, {row['source']}", dtype
    )


def bandwidth(device: str, environment: Mapping[str, Any]) -> Peak | None:
    """The most B/s between the device and its memory; None if it is not known."""
    row = _row(device, environment)
    if row is None:
        return None
    return Peak(float(row["bandwidth"]) * 1e9, f"peak {row['bandwidth']} GB/s, {row['source']}")


def why_unknown(device: str, environment: Mapping[str, Any]) -> str:
    """Why a GPU has no peak although its maker states one of the whole card, in one line; empty
    otherwise."""
    model, units = _model(device), _facts(environment, "device").get("multiprocessors")
    card, is_slice, _ = model.partition(" MIG ")
    row = table().get(card)
    if not is_slice and (row is None or units == int(row["units"])):
        return ""
    has = f"with {units} multiprocessors" + (f" of {row['units']}" if row else "")
    if units is None:
        has = "whose multiprocessors were not counted"
    may_be = "may be" if units is None and not is_slice else "is"
    return f"no known peak: {device}, {has}, {may_be} a partition of a GPU, and the whole card's peak is not its own"


@cache
def table() -> dict[str, dict[str, str]]:
    """The rows of peaks.csv by name."""
    text = files("hwbench.datasheets").joinpath("peaks.csv").read_text()
    return {row["name"]: row for row in csv.DictReader(text.splitlines())}


def _row(device: str, environment: Mapping[str, Any]) -> dict[str, str] | None:
    """The row of the device of that whole name; None too if it is not known to have as many
    multiprocessors as that."""
    row = table().get(_model(device))
    return (
        row
        if row and _facts(environment, "device").get("multiprocessors") == int(row["units"])
        else None
    )


def _model(device: str) -> str:
    """The device's name without its maker's."""
    return MAKERS.sub("", device, count=1)


def _facts(environment: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """A part of the environment; empty where an older or imported run has none."""
    facts = environment.get(part)
    return facts if isinstance(facts, Mapping) else {}
