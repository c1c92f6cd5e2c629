"""The oddities of hosts as tables: the files that a machine shows, and the right values."""

import re

import pytest

from hwbench.devices import host_memory, processor
from hwbench.machine import environment
from hwbench.machine.checks import check
from hwbench.system import cgroups, cpu, memory

from . import groups

REPORT = re.compile(r"[\w.-]+/[\w.-]+#\d+|none found")


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
        assert processor.usable_cores() <= 8

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


def test_names_of_any_bytes_are_read_with_what_is_no_utf8_replaced(lay_out):
    """storaged-project/blivet#861, giampaolo/psutil#515: vendors and users write any bytes."""
    lay_out(ODD_BYTES)
    cpu_facts = environment.collect({"kind": "cpu"})["cpu"]
    assert cpu_facts["name"] == "Caf\ufffd 5000 \ufffd"
    assert (cpu_facts["governor"], cpu_facts["smt"]) == ("perf\ufffd", "\ufffd")
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
