"""Whether the name of a device says which model it is, and whether two devices are one model.

A name that says nothing is unknown: two machines may have it that are not the same. It is never a
key, and is never compared.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

UNKNOWN = "unknown"
"""Begins the name of a device that nothing names."""

UNKNOWN_CPU = f"{UNKNOWN} CPU"

NO_NAMES = re.compile(
    r"unknown.*|none|n/?a|cpu|gpu|[a-z]+:\d+"
    r"|x86([-_]64)?|amd64|i[3-6]86|ia64|arm|arm64|aarch64(_be)?|armv\d\w*|risc-?v(32|64)?"
    r"|ppc(64)?(le)?|power(pc)?(64)?(le)?|s390x?|loongarch(32|64)?|mips\w*|sparc\w*|alpha|parisc\w*"
    r"|(armv\d|aarch64) processor rev \d+ .*"  # what old kernels of ARM call a model
    r"|\w+( \(64-bit\))? family \w+ model \w+ .*"  # Windows' own name
    r"|[0-9a-f]{2}/[0-9a-f]{2}",  # Linux without a brand: family and model of an x86
    re.IGNORECASE,
)
"""Words for no name, and names of architectures and families. Older versions stored these as the
names of devices."""

PLACEHOLDERS = re.compile(
    r"virtual cpu.*|common (32-bit )?kvm processor|qemu (virtual|tcg) cpu.*|virtualapple.*"
    r"|apple processor|genuine intel.* 0000 .*"
    r"|(nvidia )?graphics device|amd radeon graphics|apple gpu \(metal\)",
    re.IGNORECASE,
)
"""What hypervisors, emulators, engineering samples and drivers say in place of a model."""

CORES = re.compile(r" \(\d+ cores?\)$")

MAKERS = re.compile(r"(intel|amd|hygon|zhaoxin)\b", re.IGNORECASE)
"""Makers whose models have numbers: a name without one is that of a series."""

NOT_A_NUMBER_OF_A_MODEL = re.compile(r"@.*|-v\d+\b|\(.*?\)|\[.*?\]|\d+xx\b")
"""The parts of a processor's name whose digits are its clock, a version, or no one model's."""

FACTS = {
    "cpu": ("cpu", ("vendor", "family", "model")),
    "cuda": ("device", ("compute_capability", "multiprocessors")),
}
"""By kind of device, the part of the environment and the facts there that tell models of one name
apart: generations of a series, or a partition of a GPU from the whole."""


@dataclass(frozen=True)
class Identity:
    """A device by its kind, its name and the FACTS about it, None where unknown."""

    kind: str
    name: str
    facts: Mapping[str, Any]

    @classmethod
    def of(cls, kind: str, name: str, environment: Mapping[str, Any]) -> "Identity":
        """The device of a run with this environment."""
        part, keys = FACTS.get(kind, ("", ()))
        known = environment.get(part)
        facts = known if isinstance(known, Mapping) else {}
        return cls(kind, name, {key: facts.get(key) for key in keys})

    @property
    def is_unknown(self) -> bool:
        """Whether nothing says which model it is."""
        has_no_facts = any(fact is None for fact in self.facts.values())
        return is_unknown(self.name) or (self.kind == "cpu" and has_no_facts and self._is_series)

    def __str__(self) -> str:
        return f"{self.name}, {self.details}" if self.details else self.name

    @property
    def details(self) -> str:
        """The facts that are known, in words: "family 25, model 17"."""
        return ", ".join(f"{key} {fact}" for key, fact in self.facts.items() if fact is not None)

    @property
    def _is_series(self) -> bool:
        """Whether the name is that of a series: "AMD EPYC", "Intel(R) Xeon(R) CPU @ 2.20GHz"."""
        model = NOT_A_NUMBER_OF_A_MODEL.sub("", self.name)
        return bool(MAKERS.match(model)) and not re.search(r"\d", model)

    def difference(self, other: "Identity") -> str:
        """How another device differs: "X against Y"; empty if nothing that is known does."""
        for mine, theirs in ((self.kind, other.kind), (self.name, other.name)):
            if mine != theirs:
                return f"{mine} against {theirs}"
        for key, fact in self.facts.items():
            its = other.facts.get(key)
            if fact is not None and its is not None and str(fact) != str(its):
                return f"{self} against {other}"
        return ""

    def is_known_to_be(self, other: "Identity") -> bool:
        """Whether both are known, and are one model."""
        return not (self.is_unknown or other.is_unknown or self.difference(other))


def is_unknown(name: str) -> bool:
    """Whether a name, with or without a number of cores, says nothing about the model."""
    model = CORES.sub("", name).strip()
    return is_no_name(model) or bool(PLACEHOLDERS.fullmatch(model))


def is_no_name(name: str) -> bool:
    """Whether a name is not even a placeholder: it is empty, or that of an architecture."""
    return not name.strip() or bool(NO_NAMES.fullmatch(name.strip()))
