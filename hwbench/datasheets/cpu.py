"""The peak FLOP/s of a CPU, which no datasheet states: cores × clock × FLOP per cycle.

cpu.csv has the FLOP of a core per cycle, by architecture: those of its fused multiply-add pipes
(two FLOP a lane) or its matrix unit. Left out are models whose parts differ in pipes (Skylake-SP
and Cascade Lake have one or two), processors with cores of two kinds, and instructions whose rate
the makers' manuals do not state.

The clock is the one sustained under load, if a run has observed it; else the highest clock, which
is that of one busy core. With all cores busy, and wide vectors, the clock is lower, so that a share
of a peak from the highest clock is rather too low.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from hwbench.datasheets import rows


def flops(
    dtype: str,
    cpu: Mapping[str, Any],
    device: Mapping[str, Any],
    sustained_mhz: float | None = None,
) -> tuple[float, str] | None:
    """The peak FLOP/s and its derivation in words, from the environment's `cpu` and `device`.

    None on a virtual machine, which hides the clock and shows threads as cores; if the
    architecture's pipes are unknown; and if the process may not use all cores.
    """
    cores, clock = cpu.get("cores"), sustained_mhz or cpu.get("frequency_max_mhz")
    whole = device.get("kind") == "cpu" and device.get("usable_cores") == cpu.get("logical_cores")
    row = _row(dtype, cpu)
    if not (row and cores and clock and whole) or cpu.get("virtual") is not False:
        return None
    value = cores * clock * 1e6 * float(row["flop_per_cycle"])
    kind = "sustained in gemm" if sustained_mhz else "the highest clock"
    steps = f"{cores} cores × {clock:.0f} MHz ({kind}) × {row['flop_per_cycle']} FLOP a cycle"
    peak = f"derived peak {value / 1e12:.4g} TFLOP/s {dtype}"
    return value, f"{peak}, {steps} of {row['name']} ({row['source']})"


@cache
def table() -> list[dict[str, str]]:
    """The rows of cpu.csv."""
    return rows("cpu")


def _row(dtype: str, cpu: Mapping[str, Any]) -> dict[str, str] | None:
    """The architecture's row for the dtype, if the CPU has its vector extension turned on."""
    extensions = cpu.get("vector_extensions") or ()
    wanted = (cpu.get("vendor"), cpu.get("family"), dtype)
    for row in table():
        is_architecture = (row["vendor"], row["family"], row["dtype"]) == wanted
        is_model = is_architecture and cpu.get("model") in row["models"].split()
        if is_model and row["needs"] in extensions:
            return row
    return None
