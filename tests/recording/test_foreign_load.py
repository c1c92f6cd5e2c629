import subprocess
import sys
import time
from collections import namedtuple

import psutil
import pytest

from hwbench.recording import foreign_load as neighbours
from hwbench.recording.foreign_load import CpuUse, CpuWatch, cpu_use, foreign_load

Times = namedtuple("Times", "user nice system idle iowait irq softirq steal")


def test_shares_refer_to_the_elapsed_time():
    before = CpuUse(total_s=100.0, busy_s=50.0, stolen_s=1.0, own_s=20.0)
    after = CpuUse(total_s=120.0, busy_s=60.0, stolen_s=1.6, own_s=27.0)
    assert after.shares_since(before) == (pytest.approx(0.15), pytest.approx(0.03))
    assert before.shares_since(before) == (0.0, 0.0)


def test_negative_shares_count_as_zero():
    """Ticks are counted at different moments: own time may seem to be more than all."""
    assert CpuUse(10.0, 5.0, 0.0, 5.1).shares_since(CpuUse(0.0, 0.0, 0.0, 0.0)) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("others", "stolen", "note"),
    [
        (0.05, 0.01, []),
        (0.123, 0.0, ["foreign_load: others used 12% of the CPU, 0% was stolen"]),
        (0.0, 0.03, ["foreign_load: others used 0% of the CPU, 3% was stolen"]),
    ],
)
def test_large_share_becomes_a_note(others, stolen, note):
    assert foreign_load(others, stolen) == note


@pytest.fixture
def processors(monkeypatch, tmp_path):
    """Two processors of these numbers, of which the process may use some."""
    monkeypatch.setattr(
        psutil, "cpu_times", lambda percpu: [Times(1, 2, 4, 8, 16, 32, 64, 128), Times(*[1000] * 8)]
    )
    monkeypatch.setattr(neighbours.psutil, "LINUX", True)
    monkeypatch.setattr(neighbours, "STAT", tmp_path / "stat")

    def are(numbers, may_use):
        rows = "".join(f"cpu{number} 1 2 3\n" for number in numbers)
        (tmp_path / "stat").write_text(f"cpu  2 4 6\n{rows}intr 5\n")
        monkeypatch.setattr(neighbours.os, "sched_getaffinity", lambda pid: may_use, raising=False)

    return are


@pytest.mark.parametrize(
    ("numbers", "may_use"),
    [
        ((0, 1), {0, 7}),
        ((4, 6), {4}),  # those between are offline
        ((0, 1, 2), {0}),  # one has just come
    ],
)
def test_only_the_processors_that_this_process_may_use_count(processors, numbers, may_use):
    processors(numbers, may_use)
    use = cpu_use()
    assert (use.total_s, use.busy_s, use.stolen_s) == (255, 103, 128)


def test_no_usable_processor_gives_no_use(processors):
    processors((0, 1), {7})
    assert cpu_use() is None


def test_other_platform_gives_no_note(monkeypatch):
    monkeypatch.setattr(neighbours.psutil, "LINUX", False)
    assert cpu_use() is None
    assert CpuWatch().notes() == []


def test_short_window_gives_no_note(monkeypatch):
    uses = iter([CpuUse(0, 0, 0, 0), CpuUse(100, 100, 0, 0), CpuUse(100, 100, 0, 0)])
    monkeypatch.setattr(neighbours, "cpu_use", lambda: next(uses))
    watch = CpuWatch()
    assert watch.notes() == []
    watch._began -= 1.0
    assert watch.notes() == ["foreign_load: others used 100% of the CPU, 0% was stolen"]


@pytest.mark.skipif(not psutil.LINUX, reason="only Linux tells")
def test_own_children_are_not_foreign_load():
    """What descendants use counts as own, while they live and after they were waited for."""
    code = "import time\nwhile time.process_time() < 0.4: pass\nprint(flush=True); input()"
    before = neighbours._process_s()
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    child.stdout.readline()
    living = neighbours._process_s() - before
    child.communicate(b"\n")
    time.sleep(0.05)
    assert living > 0.1
    assert neighbours._process_s() - before >= living - 0.05
