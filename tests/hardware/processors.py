"""Processors as kernels show them in /proc/cpuinfo, and how they are named. Each row names the
public report that its text is taken from, shortened to what names the processor."""

from dataclasses import dataclass

from .reports import NONE_FOUND


@dataclass(frozen=True)
class Processor:
    """What /proc/cpuinfo says, the right name (None: nothing names it), whether that says which
    model it is, and the vendor, family and model that are recorded beside it."""

    report: str
    cpuinfo: str | bytes
    name: str | None
    is_known: bool = True
    facts: tuple[str | None, str | None, str | None] = (None, None, None)


def numbered(*blocks: str) -> str:
    """A block for each processor, as `key: value; key: value`."""
    return "\n\n".join(
        "\n".join([f"processor\t: {number}", *(_line(entry) for entry in block.split("; "))])
        for number, block in enumerate(blocks)
    )


def _line(entry: str) -> str:
    key, _, value = entry.partition(": ")
    return f"{key}\t: {value}"


def x86(vendor: str, family: int, model: int, name: str, flags: str = "fpu sse2") -> str:
    identity = f"vendor_id: {vendor}; cpu family: {family}; model: {model}"
    return numbered(*[f"{identity}; model name: {name}; stepping: 1; flags: {flags}"] * 2)


def x86_row(
    report: str, vendor: str, family: int, model: int, name: str, is_known: bool = True
) -> Processor:
    """A row of an x86 processor whose name is right as its kernel shows it."""
    facts = (vendor, str(family), str(model))
    return Processor(report, x86(vendor, family, model, name), name, is_known, facts)


def arm(*parts: str, more: str = "") -> str:
    """Cores by `implementer/part`."""
    blocks = []
    for core in parts:
        implementer, _, part = core.partition("/")
        numbers = f"CPU implementer: {implementer}; CPU architecture: 8; CPU variant: 0x3"
        blocks.append(f"BogoMIPS: 243.75; Features: fp asimd{more}; {numbers}; CPU part: {part}")
    return numbered(*blocks)


INTEL, AMD = "GenuineIntel", "AuthenticAMD"
S390 = """vendor_id       : IBM/S390
# processors    : 2
bogomips per cpu: 3241.00
features\t: esan3 zarch stfle
cache0          : level=1 type=Data scope=Private size=128K
processor 0: version = FF,  identification = 0133E8,  machine = 8561
processor 1: version = FF,  identification = 0133E8,  machine = 8561

cpu number      : 0
cpu MHz dynamic : 5200
"""
POWER = "cpu: {}; clock: 3800.000000MHz; revision: {}"
POWER_TAIL = "\n\ntimebase\t: 512000000\nplatform\t: PowerNV\nmodel\t\t: 8335-GTW\n"
RISCV = "hart: 2; isa: rv64imafdc_zicntr; mmu: sv39"
OLD_ARM = "Processor\t: ARMv7 Processor rev 2 (v7l)\nprocessor\t: 0\nBogoMIPS\t: 2007.04\n\n"
OLD_ARM_TAIL = "Features\t: swp\nCPU implementer\t: 0x41\nCPU architecture: 7\nCPU part\t: 0xc09\n"
LOONGSON = "CPU Family: Loongson-64bit; Model Name: Loongson-3C6000; CPU Revision: 0x10"

ROWS = {
    "WSL2": Processor(
        "fastfetch-cli/fastfetch#1529",
        x86(INTEL, 6, 186, "13th Gen Intel(R) Core(TM) i7-1360P", "fpu hypervisor avx2"),
        "13th Gen Intel(R) Core(TM) i7-1360P",
        facts=(INTEL, "6", "186"),
    ),
    "ARM server": Processor(
        "Macchina-CLI/macchina#293",
        arm(*["0x41/0xd0c"] * 2),
        "ARM Neoverse-N1",
        facts=("0x41", "8", "0xd0c"),
    ),
    "ARM core that no table has": Processor(
        NONE_FOUND,
        arm("0x41/0xfff"),
        "ARM implementer 0x41 part 0xfff",
        facts=("0x41", "8", "0xfff"),
    ),
    "ARM, another implementer": Processor(
        "util-linux/util-linux#1036",
        arm("0x70/0x662"),
        "Phytium FTC662",
        facts=("0x70", "8", "0x662"),
    ),
    "ARM, three kinds of cores": Processor(
        "util-linux/util-linux#3062",
        arm("0x41/0xd46", "0x41/0xd46", "0x41/0xd4d", "0x41/0xd4e"),
        "ARM Cortex-A510 + ARM Cortex-A715 + ARM Cortex-X3",
        facts=("0x41", "8", "0xd46 + 0xd4d + 0xd4e"),
    ),
    "big.LITTLE with an architecture as its model": Processor(
        "hrydgard/ppsspp#11687",
        arm("0x41/0xd03", "0x41/0xd08", more="; model name: ARMv8 Processor rev 4 (v8l)"),
        "ARM Cortex-A53 + ARM Cortex-A72",
        facts=("0x41", "8", "0xd03 + 0xd08"),
    ),
    "32-bit ARM, an architecture as its model": Processor(
        "shirou/gopsutil#881",
        arm("0x41/0xd03", more="; model name: ARMv7 Processor rev 4 (v7l)"),
        "ARM Cortex-A53",
        facts=("0x41", "8", "0xd03"),
    ),
    "ARM, an old kernel that describes all cores at the end": Processor(
        "kdlucas/byte-unixbench#60",
        OLD_ARM + OLD_ARM_TAIL,
        "ARM Cortex-A9",
    ),
    "Apple M1 under Linux": Processor(
        "docker/for-mac#6512",
        arm("0x61/0x022", "0x61/0x023"),
        "Apple Icestorm-M1 + Apple Firestorm-M1",
        facts=("0x61", "8", "0x022 + 0x023"),
    ),
    "Apple's hypervisor": Processor(
        "docker/for-mac#6111",
        arm("0x00/0x000"),
        None,
        False,
        ("0x00", "8", "0x000"),
    ),
    "Apple's hypervisor with its implementer": Processor(
        "Finsys/dockhand#959",
        arm("0x61/0x000"),
        None,
        False,
        ("0x61", "8", "0x000"),
    ),
    "RISC-V": Processor(
        "cockpit-project/cockpit#21672",
        numbered(
            f"{RISCV}; uarch: sifive,u74-mc; mvendorid: 0x489; marchid: 0x8000000000000007; "
            "mimpid: 0x4210427"
        ),
        "sifive,u74-mc",
        facts=("0x489", "0x8000000000000007", "0x4210427"),
    ),
    "RISC-V, an old kernel": Processor(
        "Dr-Noob/cpufetch#176",
        numbered(f"{RISCV}; uarch: sifive,bullet0"),
        "sifive,bullet0",
    ),
    "RISC-V with numbers alone": Processor(
        "pytorch/cpuinfo#397",
        numbered(f"{RISCV}; mvendorid: 0x5b7; marchid: 0x0; mimpid: 0x0"),
        "RISC-V vendor 0x5b7 architecture 0x0",
        facts=("0x5b7", "0x0", "0x0"),
    ),
    "RISC-V in an emulator": Processor(
        "pytorch/cpuinfo#124",
        numbered(f"{RISCV}; mvendorid: 0x0; marchid: 0x0; mimpid: 0x0"),
        None,
        False,
        ("0x0", "0x0", "0x0"),
    ),
    "RISC-V with no more than its instruction set": Processor(
        "fenrus75/powertop#141",
        numbered("hart: 0; isa: rv64imafdcvsu; mmu: sv39"),
        None,
        False,
    ),
    "POWER": Processor(
        "fastfetch-cli/fastfetch#496",
        numbered(POWER.format("POWER9, altivec supported", "2.2 (pvr 004e 1202)")) + POWER_TAIL,
        "POWER9",
        facts=(None, None, "004e 1202"),
    ),
    "POWER in a compatibility mode": Processor(
        "linuxppc/issues#278",
        numbered(POWER.format("POWER8 (architected), altivec supported", "2.1 (pvr 004b 0201)")),
        "POWER8 (architected)",
        facts=(None, None, "004b 0201"),
    ),
    "s390": Processor(
        "RedHatInsights/insights-core#2977",
        S390,
        "IBM/S390 machine 8561",
        facts=("IBM/S390", None, "8561"),
    ),
    "LoongArch": Processor(
        "phoronix-test-suite/phoronix-test-suite#823",
        numbered(LOONGSON),
        "Loongson-3C6000",
        facts=(None, "Loongson-64bit", None),
    ),
    "MIPS": Processor(
        "GuillaumeGomez/sysinfo#1527",
        numbered(
            "cpu model: Loongson-3 V0.4  FPU V0.1; "
            "model name: Loongson-3A R4 (Loongson-3B4000) @ 1800MHz"
        ),
        "Loongson-3A R4 (Loongson-3B4000) @ 1800MHz",
    ),
    "KVM's default": x86_row("lxc/incus#1748", INTEL, 15, 6, "Common KVM processor", False),
    "QEMU's default": x86_row(
        "xcat2/xcat-core#4182", INTEL, 6, 13, "QEMU Virtual CPU version 1.5.3", False
    ),
    "Rosetta": x86_row("RPCS3/discord-bot#948", INTEL, 6, 44, "VirtualApple @ 2.50GHz", False),
    "an engineering sample": x86_row(
        "Piker-Alpha/ssdtPRGen.sh#272", INTEL, 6, 79, "Genuine Intel(R) CPU 0000 @ 1.70GHz", False
    ),
    "a series, told apart by family and model": x86_row(
        "rr-debugger/rr#3621", INTEL, 6, 106, "Intel(R) Xeon(R) CPU @ 2.60GHz"
    ),
    "a generation that QEMU names": x86_row(
        "leetftw/Windows-KVM#1", AMD, 23, 49, "AMD EPYC-Rome Processor"
    ),
    "gVisor": Processor(
        "shirou/gopsutil#1895",
        x86(INTEL, 6, 85, "unknown"),
        None,
        False,
        (INTEL, "6", "85"),
    ),
    "no brand: Linux writes family and model": Processor(
        NONE_FOUND,
        x86(INTEL, 6, 85, "06/55"),
        None,
        False,
        (INTEL, "6", "85"),
    ),
    "no name": Processor(NONE_FOUND, x86(INTEL, 6, 85, ""), None, False, (INTEL, "6", "85")),
    "an empty file": Processor(NONE_FOUND, "", None, False),
    "bytes that are no text": Processor(NONE_FOUND, b"\xff\xfe\x00:\n\n:\n\xf8", None, False),
}
"""By what is odd, what /proc/cpuinfo shows."""
