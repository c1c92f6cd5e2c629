"""A CPU's most FLOP/s, which no datasheet states: cores × clock × FLOP per cycle.

peaks_cpu.csv has the FLOP a core can do per cycle, by architecture: those of its fused multiply-add
pipes (two FLOP a lane) or its matrix unit. Left out are models whose parts differ in pipes
(Skylake-SP and Cascade Lake have one or two), processors with cores of two kinds, and instructions
whose rate the makers' manuals do not state.

The clock is the one sustained under load, where a run has observed it; else the highest, which is
that of one busy core. With all of them busy, and wide vectors, it is lower: a share of a peak from
the highest clock is rather too low.
"""

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any


def flops(
    dtype: str,
    cpu: Mapping[str, Any],
    device: Mapping[str, Any],
    sustained_mhz: float | None = None,
) -> tuple[float, str] | None:
    """The most FLOP/s and how it is derived, from the environment's `cpu` and `device`.

    None on a virtual machine, which hides the clock and has threads for cores; where the
    architecture's pipes are not known; and where the process may not use all cores.
    """
    cores, clock = cpu.get("cores"), sustained_mhz or cpu.get("frequency_max_mhz")
    whole = device.get("kind") == "cpu" and device.get("usable_cores") == cpu.get("logical_cores")
    row = _row(dtype, cpu)
    if not (row and cores and clock and whole) or cpu.get("virtual") is not False:
        return None
    value = cores * clock * 1e6 * float(row["flop_per_cycle"])
    kind = "sustained in gemm" if sustained_mhz else "the highest clock"
    steps = f"{cores} cores × {clock:.0f} MHz ({kind}) × {row['flop_per_cycle']} FLOP a cycle"
    return (
        value,
        f"derived peak {value / 1e12:.4g} TFLOP/s {dtype}, {steps} of {row['name']} ({row['source']})",
    )


@cache
def table() -> list[dict[str, str]]:
    """The rows of peaks_cpu.csv."""
    return list(
        csv.DictReader(files("hwbench.datasheets").joinpath("cpu.csv").read_text().splitlines())
    )


def _row(dtype: str, cpu: Mapping[str, Any]) -> dict[str, str] | None:
    """The architecture's row for the dtype, where its vector extension is there and not turned
    off."""
    has = cpu.get("vector_extensions") or ()
    return next(
        (
            row
            for row in table()
            if (row["vendor"], row["family"], row["dtype"])
            == (cpu.get("vendor"), cpu.get("family"), dtype)
            and cpu.get("model") in row["models"].split()
            and row["needs"] in has
        ),
        None,
    )
