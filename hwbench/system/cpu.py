"""The processor of this machine: which model it is, and how many cores it has.

Each architecture has its own words in /proc/cpuinfo. `platform.processor()` is not asked: it names
an architecture or a family, or nothing.
"""

import os
import platform
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from hwbench.datasheets import arm_cores
from hwbench.identity import is_no_name, is_unknown
from hwbench.system import commands, files

FAILURES = (OSError, psutil.Error, ValueError, KeyError, RuntimeError)
"""What psutil raises where /proc is not mounted, or shows other things than it knows."""

MODEL_NAMES = ("model name", "Model Name", "cpu model", "uarch")
"""The names of a model in /proc/cpuinfo: of x86, LoongArch, MIPS and RISC-V."""

VENDORS = ("vendor_id", "CPU implementer", "mvendorid")
FAMILIES = ("cpu family", "CPU Family", "CPU architecture", "marchid")
MODELS = ("model", "CPU part", "mimpid", "PRID")
"""The numbers that tell generations of one name apart: of x86, LoongArch, ARM and RISC-V."""

PVR = re.compile(r"\(pvr ([0-9a-f]{4} [0-9a-f]{4})\)")
"""The processor version register in POWER's `revision`: "2.2 (pvr 004e 1202)"."""

S390 = re.compile(r"machine = (\w+)")
"""The machine's type in s390's `processor 0`; the identification beside it is a serial number."""

REGISTRY = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"

Facts = Mapping[str, str]


@dataclass(frozen=True)
class Cpu:
    """A processor: its name, and what tells generations of that name apart. None is unknown."""

    name: str | None
    vendor: str | None = None
    family: str | None = None
    model: str | None = None


def identify(among: Collection[int] | None = None, root: Path | None = None) -> Cpu:
    """The processor, by the kernel's description of the logical processors `among` (all). Several
    kinds of cores are all named. A placeholder of a hypervisor is a name that is_unknown."""
    text = files.read("proc/cpuinfo", root)
    if text is None:
        return Cpu(_name_without_proc())
    described = _processors(text)
    of_us = [facts for facts in described if among is None or facts["processor"] in map(str, among)]
    # old ARM kernels and s390 describe what all have in common apart
    common = _facts(text.splitlines())
    kinds = of_us or described or [common]
    name = _joined(_name_of(facts) for facts in kinds) or _name_of(common)
    return Cpu(
        name,
        _joined(_first(facts, VENDORS) for facts in kinds) or common.get("vendor_id"),
        _joined(_first(facts, FAMILIES) for facts in kinds),
        _joined(_first(facts, MODELS) or _version(facts) for facts in kinds) or _version(common),
    )


def flags(root: Path | None = None) -> list[str]:
    """The features of an x86 processor; none of another one."""
    return _facts((files.read("proc/cpuinfo", root) or "").splitlines()).get("flags", "").split()


def allowed_cores() -> int:
    """How many processors this process may run on, by its affinity and its cpuset."""
    allowed = allowed_processors()
    return len(allowed) if allowed is not None else os.cpu_count() or 1


def allowed_processors() -> Collection[int] | None:
    """The numbers of the processors that this process may run on; None if nothing tells."""
    try:
        return os.sched_getaffinity(0)
    except AttributeError:  # macOS and Windows do not have the call
        return None


def physical_cores() -> int | None:
    """The cores of the machine, each counted once however many threads it runs; None if nothing
    tells."""
    try:
        cores: int | None = psutil.cpu_count(logical=False)
    except FAILURES:
        return None
    return cores


def _processors(text: str) -> list[Facts]:
    """What /proc/cpuinfo says of each processor; empty where it does not number them."""
    blocks = [_facts(block.splitlines()) for block in re.split(r"\n\s*\n", text)]
    return [facts for facts in blocks if facts.get("processor", "").isdecimal()]


def _facts(lines: Iterable[str]) -> Facts:
    """The first value of each key."""
    facts: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    return facts


def _name_of(facts: Facts) -> str | None:
    """The first name that says which model it is, else the placeholder in its place; None if there
    is neither."""
    names = [way(facts) or "" for way in WAYS]
    known = [name for name in names if not is_unknown(name)]
    return next(iter(known or [name for name in names if not is_no_name(name)]), None)


def _arm(facts: Facts) -> str | None:
    return arm_cores.find(facts.get("CPU implementer", ""), facts.get("CPU part", ""))


def _power(facts: Facts) -> str | None:
    return facts.get("cpu", "").partition(", altivec")[0]


def _s390(facts: Facts) -> str | None:
    machine = S390.search(facts.get("processor 0", ""))
    return f"{facts.get('vendor_id', 'IBM/S390')} machine {machine[1]}" if machine else None


def _riscv(facts: Facts) -> str | None:
    """The numbers of a core without a `uarch`. Zero is what emulators and open designs have."""
    vendor, architecture = facts.get("mvendorid", "0x0"), facts.get("marchid", "0x0")
    if not vendor.strip("0x"):
        return None
    return f"RISC-V vendor {vendor} architecture {architecture}"


WAYS: tuple[Callable[[Facts], str | None], ...] = (
    _arm,
    lambda facts: _first(facts, MODEL_NAMES),
    _power,
    _s390,
    _riscv,
)
"""How a model is named, by kind of architecture."""


def _version(facts: Facts) -> str | None:
    """The number of a model of POWER or s390."""
    revision = PVR.search(facts.get("revision", ""))
    found = revision or S390.search(facts.get("processor 0", ""))
    return found[1] if found else None


def _first(facts: Facts, keys: Iterable[str]) -> str | None:
    return next((facts[key] for key in keys if facts.get(key)), None)


def _joined(values: Iterable[str | None]) -> str | None:
    """The different values in order, as "A + B"; None if there is none."""
    return " + ".join(dict.fromkeys(filter(None, values))) or None


def _name_without_proc() -> str | None:
    if platform.system() == "Darwin":
        return commands.output("/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string") or None
    return _windows_name() if platform.system() == "Windows" else None


def _windows_name() -> str | None:
    try:
        import winreg

        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, REGISTRY) as key:  # type: ignore[attr-defined]
            return str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).strip() or None  # type: ignore[attr-defined]
    except (ImportError, OSError):
        return None
