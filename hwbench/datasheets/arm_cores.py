"""The names of ARM cores, which Linux shows by the numbers of their implementer and part.

arm_cores.csv has those that run Linux today, as util-linux's lscpu names them
(github.com/util-linux/util-linux, sys-utils/lscpu-arm.c). Of another one only the numbers are
known.
"""

from functools import cache

from hwbench.datasheets import rows

SOFTWARE = 0x00
"""The implementer that Arm leaves to software: emulators, and hypervisors that hide the core."""

HIDDEN = (0x61, 0x000)
"""The implementer and part that Apple's hypervisor shows on each of its chips."""


def find(implementer: str, part: str) -> str | None:
    """The name of a core by the numbers in /proc/cpuinfo ("0x41", "0xd0c"), or the numbers in
    words; None if they are those of no hardware."""
    try:
        numbers = (int(implementer, 16), int(part, 16))
    except ValueError:
        return None
    if numbers[0] == SOFTWARE or numbers == HIDDEN:
        return None
    return table().get(numbers, f"ARM implementer {implementer} part {part}")


@cache
def table() -> dict[tuple[int, int], str]:
    """All cores by implementer and part."""
    return {
        (int(row["implementer"], 16), int(row["part"], 16)): row["name"]
        for row in rows("arm_cores")
    }
