"""The oddities of hosts as tables: the files that a machine shows, and the right values."""

import platform
import subprocess
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from hwbench.devices import accelerator, host_memory, mps, processor
from hwbench.identity import Identity, is_unknown
from hwbench.machine import environment
from hwbench.machine.checks import check
from hwbench.meters.machine import Place
from hwbench.system import cgroups, commands, cpu, memory

from . import groups, processors
from .reports import REPORT


@pytest.mark.parametrize("row", groups.ROWS.values(), ids=groups.ROWS)
class TestControlGroups:
    def test_the_least_limits_on_the_way_up_hold(self, row, lay_out):
        lay_out(row.files)
        assert cgroups.cpu_quota() == row.quota
        assert cgroups.memory_limit_bytes() == row.limit
        assert cgroups.memory_free_bytes() == row.free

    def test_the_environment_and_the_device_follow(self, row, lay_out, monkeypatch):
        lay_out(row.files)
        monkeypatch.setattr(memory, "total_bytes", lambda: 64 << 30)
        monkeypatch.setattr(memory, "available_bytes", lambda: 32 << 30)
        monkeypatch.setattr(cpu, "allowed_cores", lambda: 8)
        recorded = environment._container()
        limit = None if row.limit is None else str(row.limit)
        assert recorded == {"cpu_quota": row.quota, "memory_limit": limit}
        assert host_memory.memory_limit_bytes() == (64 << 30 if row.limit is None else row.limit)
        assert host_memory.free_bytes() == (32 << 30 if row.free is None else row.free)
        assert processor.usable_cores() == row.cores

    def test_the_report_is_a_public_one(self, row):
        assert REPORT.fullmatch(row.report)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("50000 100000", 1), ("150000 100000", 2), ("200000 100000", 2), ("1600000 100000", 8),
     ("max 100000", 8), ("-1 100000", 8)],
)  # fmt: skip
def test_usable_cores_follow_a_quota(lay_out, monkeypatch, quota, cores):
    lay_out({"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": f"{quota}\n"})
    monkeypatch.setattr(cpu, "allowed_cores", lambda: 8)
    assert processor.usable_cores() == cores


def test_a_quota_below_the_allowed_processors_is_a_warning(lay_out, monkeypatch):
    lay_out({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "200000 100000\n"})
    monkeypatch.setattr(cpu, "allowed_cores", lambda: 8)
    facts = environment.collect({"kind": "cpu", "usable_cores": processor.usable_cores()})
    (found,) = [one for one in facts["checks"] if one["code"] == "cpu_quota"]
    assert found["finding"].startswith("a quota allows 2 of 8 processors")
    assert "OMP_NUM_THREADS=2" in found["cure"]
    assert check(facts | {"container": {"cpu_quota": "max 100000"}}) == [
        one for one in check(facts) if one.code != "cpu_quota"
    ]


def test_kills_for_want_of_memory_are_counted_in_the_own_group(lay_out):
    events = "low 0\nhigh 0\nmax 5\noom 3\noom_kill 2\n"
    lay_out({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.events": events})
    assert cgroups.oom_kills() == 2
    lay_out({"sys/fs/cgroup/memory/memory.oom_control": "oom_kill_disable 0\noom_kill 3\n"})
    assert cgroups.oom_kills() == 5


ODD_BYTES = {
    "proc/cpuinfo": b"processor\t: 0\nmodel name\t: Caf\xe9 5000 \xff\nflags\t\t: fpu avx2\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": b"perf\xf8\n",
    "sys/devices/system/cpu/smt/control": b"\xfe\n",
    "proc/self/status": b"Name:\t\xff\nVmHWM:\t     12 kB\n",
}


def test_names_of_any_bytes_are_read_with_what_is_no_utf8_escaped(lay_out):
    """storaged-project/blivet#861, giampaolo/psutil#515: vendors and users write any bytes."""
    lay_out(ODD_BYTES)
    cpu_facts = environment.collect({"kind": "cpu"})["cpu"]
    assert cpu_facts["name"] == r"Caf\xe9 5000 \xff"
    assert (cpu_facts["governor"], cpu_facts["smt"]) == (r"perf\xf8", r"\xfe")
    assert cpu_facts["vector_extensions"] == ["avx2"]
    assert host_memory.peak_resident_bytes() == 12 << 10


def test_a_host_without_proc_and_sys_is_described(lay_out):
    """gramineproject/gramine#967, ray-project/ray#4474, freedombox/FreedomBox#417."""
    lay_out({})
    facts = environment.collect({"kind": "cpu"})
    assert facts["cpu"]["governor"] is facts["cpu"]["smt"] is None
    assert facts["cpu"]["logical_cores"] >= facts["cpu"]["allowed_cores"] >= 1
    assert facts["memory_bytes"] == host_memory.memory_limit_bytes() > 1 << 20
    assert host_memory.free_bytes() > 1 << 20
    host_memory.limit_new_memory(1 << 40)
    assert facts["container"] == {"cpu_quota": None, "memory_limit": None}


@pytest.mark.parametrize("row", processors.ROWS.values(), ids=processors.ROWS)
class TestProcessors:
    def test_a_name_is_that_of_a_model_and_never_of_an_architecture(
        self, row, lay_out, monkeypatch
    ):
        lay_out({"proc/cpuinfo": row.cpuinfo})
        monkeypatch.setattr(cpu, "allowed_processors", lambda: set(range(8)))
        for machine in ("x86_64", "aarch64", "riscv64", "ppc64le", "s390x", "loongarch64"):
            monkeypatch.setattr(platform, "machine", lambda machine=machine: machine)
            monkeypatch.setattr(platform, "processor", lambda machine=machine: machine)
            facts = environment.collect({"kind": "cpu"})["cpu"]
            assert facts["architecture"] == machine
            assert facts["name"] == row.name
            assert (facts["vendor"], facts["family"], facts["model"]) == row.facts
            assert processor.cpu_name() == f"{row.name or 'unknown CPU'} (8 cores)"

    def test_what_names_no_model_is_unknown(self, row, lay_out):
        root = lay_out({"proc/cpuinfo": row.cpuinfo})
        facts = environment.collect({"kind": "cpu"})["cpu"]
        device = Identity.of("cpu", processor.cpu_name(), {"cpu": facts})
        assert device.is_unknown is not row.is_known
        assert Place.here(root).cpu == (row.name or "")

    def test_the_report_is_a_public_one(self, row):
        assert REPORT.fullmatch(row.report)


class Vendor:
    """A module of torch for a kind of device, whose driver gives a name or fails to."""

    def __init__(self, answer):
        self.answer = answer

    def get_device_name(self, index):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


MOJIBAKE = UnicodeDecodeError("utf-8", b"\xf8", 0, 1, "invalid start byte")
GPUS = {
    "a model": (Vendor("NVIDIA H100 80GB HBM3"), "NVIDIA H100 80GB HBM3"),
    "XuehaiPan/nvitop#127": (Vendor(MOJIBAKE), "unknown xpu device"),
    "no name": (Vendor(" "), "unknown xpu device"),
    "no function for it": (object(), "unknown xpu device"),
    "pytorch/pytorch#75198": (Vendor("NVIDIA Graphics Device"), "NVIDIA Graphics Device"),
    "ROCm/TheRock#4693": (Vendor("AMD Radeon Graphics"), "AMD Radeon Graphics"),
}


@pytest.mark.parametrize(("module", "name"), GPUS.values(), ids=GPUS)
def test_a_gpu_is_what_its_driver_calls_it(monkeypatch, module, name):
    monkeypatch.setattr(torch, "get_device_module", lambda kind: module)
    assert accelerator.device_name("xpu", 0) == name
    assert is_unknown(name) is (name != "NVIDIA H100 80GB HBM3")


@pytest.mark.parametrize(
    ("answer", "cores", "name"),
    [
        ("Apple M1 Pro", 16, "Apple M1 Pro (16 cores)"),  # pytorch/pytorch#160414
        ("AMD Radeon Pro 5500M", -1, "AMD Radeon Pro 5500M"),
        ("", 0, "unknown mps device"),
    ],
)
def test_an_apple_gpu_is_what_metal_calls_it(monkeypatch, answer, cores, name):
    monkeypatch.setattr(torch.backends.mps, "get_name", lambda: answer)
    monkeypatch.setattr(torch.backends.mps, "get_core_count", lambda: cores)
    assert mps.gpu_name() == name


def test_only_the_kinds_of_cores_that_may_be_used_are_named(lay_out, monkeypatch):
    """workhorsy/py-cpuinfo#109: four small cores and four large ones are not one device."""
    lay_out({"proc/cpuinfo": processors.arm(*["0x41/0xd03"] * 4, *["0x41/0xd08"] * 2)})
    for allowed, name in [({0, 1}, "ARM Cortex-A53"), ({4, 5}, "ARM Cortex-A72")]:
        monkeypatch.setattr(cpu, "allowed_processors", lambda allowed=allowed: allowed)
        assert processor.cpu_name() == f"{name} (2 cores)"


@pytest.mark.parametrize(
    ("system", "answer", "name"),
    [
        ("Darwin", b"Apple M1 Max\n", "Apple M1 Max"),  # workhorsy/py-cpuinfo#162
        ("Darwin", b"", None),
        ("Linux", b"not asked", None),
        ("FreeBSD", b"not asked", None),
    ],
)
def test_without_proc_macos_is_asked(lay_out, monkeypatch, system, answer, name):
    lay_out({})
    done = subprocess.CompletedProcess((), 0, stdout=answer)
    monkeypatch.setattr(commands.subprocess, "run", lambda *command, **options: done)
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    assert cpu.identify().name == name


@pytest.mark.parametrize("name", ["Intel(R) Xeon(R) CPU           E5506  @ 2.13GHz", ""])
def test_windows_registry_names_the_model(lay_out, monkeypatch, name):
    """fusioninventory/fusioninventory-agent#897: "Intel64 Family 6 Model 26 Stepping 5" is none."""
    lay_out({})
    registry = SimpleNamespace(
        HKEY_LOCAL_MACHINE=0,
        OpenKey=lambda root, path: nullcontext(path),
        QueryValueEx=lambda key, value: (f"{name} ", 1),
    )
    monkeypatch.setitem(sys.modules, "winreg", registry)
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    monkeypatch.setattr(platform, "processor", lambda: "Intel64 Family 6 Model 26 Stepping 5")
    assert cpu.identify().name == (name or None)
