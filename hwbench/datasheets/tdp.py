"""The thermal design power of common processors, by the name that they report.

The figures in tdp.csv are the vendors' (AMD: amd.com/en/products/specifications/processors.html,
"Default TDP"; Intel: ark.intel.com, "TDP") and, but for the threads, agree with CodeCarbon's table.
Left out are processors whose vendor does not publish it, such as those built for one cloud (EPYC
7R13, Xeon 8259CL), and Intel's desktop processors from the 9th generation on, which draw up to
twice their base power for as long as they are cooled.
"""

import re
from dataclasses import dataclass
from functools import cache

from hwbench.datasheets import rows

ORNAMENTS = r"\((R|TM)\)|\bCPU\b|@.*|\b\d+-Cores?\b|\bProcessor\b|^\s*(AMD|Intel)\b"
"""The parts of a name besides the model: `Intel(R) Xeon(R) CPU E5-2690 v4 @ 2.60GHz` is the model
`Xeon E5-2690 v4`."""


@dataclass(frozen=True)
class Tdp:
    watts: float  # of one processor
    threads: int  # of one processor, with SMT
    source: str


def find(name: str) -> Tdp | None:
    """The vendor's figures for the processor with this name in /proc/cpuinfo; None if the table
    lacks that model."""
    return table().get(model(name))


def model(name: str) -> str:
    """The model in a processor's name."""
    words = re.sub(r"\((R|TM)\)", " ", name, flags=re.IGNORECASE)
    return " ".join(re.sub(ORNAMENTS, " ", words, flags=re.IGNORECASE).split())


@cache
def table() -> dict[str, Tdp]:
    """All models by name."""
    tdps = {}
    for row in rows("tdp"):
        tdps[row["name"]] = Tdp(float(row["watts"]), int(row["threads"]), row["source"])
    return tdps
