"""The host's telemetry, on fake processes and sensors."""

import os
import subprocess
import sys
import time
from collections import namedtuple
from types import SimpleNamespace
from typing import ClassVar

import psutil
import pytest

from hwbench.meters import Signal, host, machine, read_all

Times = namedtuple("Times", "user nice system idle iowait irq softirq steal guest")


class Process:
    """Replaces psutil.Process: found by its number, ended when the test sets `alive`."""

    family: ClassVar[dict[int, "Process"]] = {}

    def __init__(self, pid):
        self.pid = pid
        self.spent, self.rss, self.switches, self.alive = 0.0, 100, (3, 4), True

    def __eq__(self, other):
        return self.pid == other.pid

    def __hash__(self):
        return self.pid

    def _ask(self, answer):
        if not self.alive:
            raise psutil.NoSuchProcess(self.pid)
        return answer

    def children(self, recursive):
        assert recursive
        alive = [process for process in self.family.values() if process.alive]
        return self._ask([process for process in alive if process is not self])

    def cpu_times(self):
        return self._ask((self.spent, 0.0, 1e6, 1e6))  # times of children would count twice

    def memory_info(self):
        return self._ask(SimpleNamespace(rss=self.rss))

    def num_ctx_switches(self):
        return self._ask(self.switches)


class World:
    def __init__(self, root, monkeypatch):
        self.root, self.now_s, self.cost_s = root, 100.0, 0.0
        self.family = {7: Process(7)}
        self.times = Times(10, 0, 5, 100, 0, 0, 0, 0, 0)
        monkeypatch.setattr(host.psutil, "Process", self._process)
        monkeypatch.setattr(Process, "family", self.family)
        monkeypatch.setattr(host, "processors", lambda: machine.processors(lambda: self.times))
        monkeypatch.setattr(host.psutil, "LINUX", True)
        monkeypatch.setattr(host.psutil, "cpu_freq", lambda: SimpleNamespace(current=2500.0))
        monkeypatch.setattr(host.psutil, "virtual_memory", lambda: SimpleNamespace(used=5000))
        monkeypatch.setattr(host.psutil, "swap_memory", lambda: SimpleNamespace(used=60))

    def _process(self, pid):
        if pid not in self.family or not self.family[pid].alive:
            raise psutil.NoSuchProcess(pid)
        return self.family[pid]

    def add(self, pid, **what):
        self.family[pid] = Process(pid)
        vars(self.family[pid]).update(what)

    def meter(self, **how):
        return host.HostMeter(7, lambda: self.now_s, lambda: self.cost_s, self.root, **how)

    def share(self, pid, kib):
        self.write(f"proc/{pid}/smaps_rollup", f"1000-2000 ---p [rollup]\nPss:      {kib} kB\n")

    def write(self, file, text):
        (self.root / file).parent.mkdir(parents=True, exist_ok=True)
        (self.root / file).write_text(text)


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


def plain(shown):
    return {(signal.scope, signal.quantity): value for signal, value in shown.items()}


def test_first_reading_has_all_but_changes(world):
    world.write("proc/7/status", "Name:\tx\nVmPeak:\t9 kB\nVmHWM:\t     2 kB\n")
    assert plain(read_all(world.meter())) == {
        ("process", "rss"): 100,
        ("process", "rss_peak"): 2048,
        ("process", "context_switches"): 7,
        ("system", "cpu_clock"): 2.5e9,
        ("system", "memory_used"): 5000,
        ("system", "swap_used"): 60,
    }


def test_use_is_the_change_between_two_readings(world):
    world.add(8, spent=50.0)
    meter = world.meter()
    read_all(meter)
    world.now_s += 0.5
    world.family[7].spent, world.family[8].spent = 0.5, 50.25
    world.times = Times(11, 0, 5, 102, 0.5, 0, 0, 0.5, 0)  # of 4 s, 1 busy, 0.5 stolen
    shown = plain(read_all(meter))
    assert shown["process", "cpu_use"] == pytest.approx(1.5)
    assert shown["process", "rss"] == 200
    assert shown["system", "cpu_use"] == pytest.approx(0.25)
    assert shown["system", "steal"] == pytest.approx(0.125)


def test_quick_and_slow_quantities_have_their_intervals(world):
    meter = world.meter()
    read_all(meter)
    assert read_all(meter) == {}
    world.now_s += host.QUICK_S
    world.times = world.times._replace(idle=200)
    process, system = {("process", "rss"), ("process", "cpu_use")}, {("system", "cpu_use")}
    assert set(plain(read_all(meter))) == process | system | {("system", "steal")}
    world.now_s += host.SLOW_S
    assert ("system", "memory_used") in plain(read_all(meter))


def test_expensive_quantity_is_read_less_often(world, monkeypatch):
    def expensive():
        world.cost_s += 0.01
        return SimpleNamespace(current=1000.0)

    monkeypatch.setattr(host.psutil, "cpu_freq", expensive)
    meter = world.meter()
    read_all(meter)
    for seconds, is_shown in ((1, False), (8.5, False), (0.5, True)):
        world.now_s += seconds
        assert (("system", "cpu_clock") in plain(read_all(meter))) == is_shown


def test_new_process_counts_from_its_second_reading(world):
    meter = world.meter()
    read_all(meter)
    world.add(8, spent=90.0)
    world.now_s += 1
    assert plain(read_all(meter))["process", "cpu_use"] == 0
    world.now_s += 1
    world.family[8].spent = 91.0
    assert plain(read_all(meter))["process", "cpu_use"] == 1


@pytest.fixture
def command(world, monkeypatch):
    """The meter of a command without adoption: the world has no other processes."""
    monkeypatch.setattr(host.psutil, "LINUX", False)
    return world.meter(is_command=True)


def test_shared_memory_of_a_command_counts_once(world, command):
    world.add(8, rss=100)
    world.share(7, 60)
    world.share(8, 40)
    shown = plain(read_all(command))
    assert shown["process", "pss"] == 100 * 1024
    assert shown["process", "rss"] == 200
    assert command.family.seen == {7, 8}


def test_processes_whose_share_is_hidden_do_not_hide_the_others(world, command):
    world.add(8, rss=100)
    world.share(7, 60)
    assert plain(read_all(command))["process", "pss"] == 60 * 1024


def test_share_is_not_shown_if_a_process_ends_meanwhile(world, command):
    """What the ended one shared would count with it and again with the one that is left."""
    world.add(8, rss=100)
    world.share(7, 60)
    world.share(8, 60)
    living, world.family[8]._ask = [1, 1], lambda answer: answer

    def memory_info():
        return SimpleNamespace(rss=living.pop() if living else 0)

    world.family[8].memory_info = memory_info
    living.pop()
    assert ("process", "pss") not in plain(read_all(command))


def test_memory_of_a_command_is_read_as_seldom_as_its_cost_demands(world, command, monkeypatch):
    """The pages of 100 GB take the kernel a second: 1 % of one processor is a reading in 100 s."""
    world.share(7, 60)
    expensive = host.Family._living

    def living(family):
        world.cost_s += 0.5  # twice a reading
        return expensive(family)

    monkeypatch.setattr(host.Family, "_living", living)
    assert ("process", "pss") in plain(read_all(command))
    for seconds, is_shown in ((1, False), (98, False), (2, True)):
        world.now_s += seconds
        assert (("process", "pss") in plain(read_all(command))) == is_shown


def test_own_process_has_no_costly_reading(world):
    world.share(7, 60)
    assert ("process", "pss") not in plain(read_all(world.meter()))


def test_peak_is_that_of_the_largest_process(world):
    world.add(8)
    for pid, kib in ((7, 30), (8, 50)):
        world.write(f"proc/{pid}/status", f"VmHWM:\t{kib} kB\n")
    assert plain(read_all(world.meter()))["process", "rss_peak"] == 50 * 1024


def test_process_whose_name_is_not_utf_8_has_its_peak(world):
    world.add(8)
    for pid in (7, 8):
        world.write(f"proc/{pid}/status", "Name:\tpython\nVmHWM:\t7 kB\n")
    (world.root / "proc/8/status").write_bytes(b"Name:\tcaf\xe9 \xff\nVmHWM:\t8 kB\n")
    shown = plain(read_all(world.meter()))
    assert shown["process", "rss_peak"] == 8 * 1024
    assert shown["process", "context_switches"] == 14


def test_ended_processes_are_skipped(world):
    world.add(8)
    meter = world.meter()
    read_all(meter)
    world.family[8].alive = False
    world.now_s += 0.5
    assert plain(read_all(meter))["process", "rss"] == 100
    world.family[7].alive = False
    world.now_s += 1
    assert not [scope for scope, _ in plain(read_all(meter)) if scope == "process"]
    world.now_s += 1
    assert plain(read_all(meter))["system", "memory_used"] == 5000


@pytest.mark.parametrize(
    "error", [OSError, AttributeError, NotImplementedError, RuntimeWarning, psutil.AccessDenied]
)
def test_missing_quantities_are_left_out(world, monkeypatch, error):
    def lacking(*_):
        raise error

    for name in ("swap_memory", "cpu_freq", "virtual_memory"):
        monkeypatch.setattr(host.psutil, name, lacking)
    assert {scope for scope, _ in plain(read_all(world.meter()))} == {"process"}


def test_container_that_hides_use_keeps_other_quantities(world, monkeypatch):
    def hidden():
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(host, "processors", hidden)
    meter = world.meter()
    shown = plain(read_all(meter))
    assert ("system", "cpu_use") not in shown
    assert shown["system", "memory_used"] == 5000


def test_steal_is_shown_on_linux_only(world, monkeypatch):
    monkeypatch.setattr(host.psutil, "LINUX", False)
    world.times = namedtuple("Mac", "user nice system idle")(1, 0, 1, 2)
    meter = world.meter()
    world.times = world.times._replace(user=2)
    shown = plain(read_all(meter))
    assert shown["system", "cpu_use"] == 1
    assert ("system", "steal") not in shown


def test_temperature_is_that_of_the_hottest_package(world):
    sensors = {
        "hwmon0": ("nvme", {"Composite": 90000}),
        "hwmon1": ("coretemp", {"Package id 0": 51000, "Core 0": 70000}),
        "hwmon2": ("coretemp", {"Package id 1": 63500}),
    }
    for chip, (name, temperatures) in sensors.items():
        world.write(f"sys/class/hwmon/{chip}/name", f"{name}\n")
        for number, (label, value) in enumerate(temperatures.items(), 1):
            world.write(f"sys/class/hwmon/{chip}/temp{number}_label", f"{label}\n")
            world.write(f"sys/class/hwmon/{chip}/temp{number}_input", f"{value}\n")
    assert read_all(world.meter())[Signal("host", "system", "temperature", "°C")] == 63.5


def test_tdie_is_preferred_to_tctl(world):
    world.write("sys/class/hwmon/hwmon0/name", "k10temp\n")
    for number, (label, value) in enumerate({"Tctl": 80000, "Tdie": 70000}.items(), 1):
        world.write(f"sys/class/hwmon/hwmon0/temp{number}_label", f"{label}\n")
        world.write(f"sys/class/hwmon/hwmon0/temp{number}_input", f"{value}\n")
    assert plain(read_all(world.meter()))["system", "temperature"] == 70
    world.write("sys/class/hwmon/hwmon0/temp2_input", "garbage")
    assert ("system", "temperature") not in plain(read_all(world.meter()))


def test_real_process_and_its_child_are_read():
    hold = "import sys; block = b'x' * 30_000_000; print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        alone, both = (plain(read_all(host.HostMeter(pid))) for pid in (child.pid, os.getpid()))
        child.stdin.close()
    assert both["process", "rss"] > alone["process", "rss"] > 30_000_000


def test_sources_list_quantities():
    (source,) = host.sources()
    assert source.works
    assert "process rss" in source.signals
    assert "system memory_used" in source.signals


def test_reading_is_cheap_on_average(monkeypatch):
    """By the thread's processor time, which other load on the machine does not change."""
    now = [0.0]
    meter = host.HostMeter(os.getpid(), lambda: now[0])
    read_all(meter)
    began = time.thread_time()
    for _ in range(400):  # 20 s of readings
        now[0] += 0.05
        read_all(meter)
    assert (time.thread_time() - began) / 400 < 1e-3
