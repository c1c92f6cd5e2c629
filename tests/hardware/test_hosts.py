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
