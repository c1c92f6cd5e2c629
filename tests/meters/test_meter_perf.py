"""RAPL through perf_event_open, on a folder like the kernel's and with a fake system call."""

import errno
import os
import platform
import struct

import pytest

from hwbench.meters import Signal, perf, read_all
from hwbench.meters.machine import Place

SCALE = "2.3283064365386962890625e-10"  # 2^-32 J, as the kernel prints it


def energy(scope: str) -> Signal:
    return Signal("perf", scope, "energy", "J")


class Kernel:
    """A power PMU with `cpumask`, whose `open` gives a pipe for each event; the test writes counts
    into it."""

    def __init__(self, root, cpumask="0", events=("energy-pkg",), packages=None, error=None):
        self.pmu, self.cpus = root / "power", root / "cpu"
        (self.pmu / "events").mkdir(parents=True)
        (self.pmu / "type").write_text("9\n")
        (self.pmu / "cpumask").write_text(f"{cpumask}\n")
        known = ("energy-cores", "energy-pkg", "energy-ram", "energy-gpu", "energy-psys")
        for name in events:
            (self.pmu / "events" / name).write_text(f"event=0x{known.index(name) + 1:02x}\n")
            (self.pmu / "events" / f"{name}.scale").write_text(f"{SCALE}\n")
            (self.pmu / "events" / f"{name}.unit").write_text("Joules\n")
        for cpu, package in (packages or {}).items():
            folder = self.cpus / f"cpu{cpu}" / "topology"
            folder.mkdir(parents=True)
            (folder / "physical_package_id").write_text(f"{package}\n")
        self.opened, self._error = {}, error or {}

    def open(self, kind, config, cpu):
        assert kind == 9
        number = self._error.get(config, self._error.get("all"))
        if number:
            raise OSError(number, os.strerror(number))
        reads, self.opened[config, cpu] = os.pipe()
        return reads

    def put(self, config, cpu, joules):
        os.write(self.opened[config, cpu], struct.pack("=Q", round(joules * 2**32)))

    def meter(self):
        return perf.open_meter(self.pmu, self.cpus, self.open)

    def sources(self, place=None):
        return perf.sources(self.pmu, self.cpus, self.open, place or Place())


@pytest.fixture
def kernel(tmp_path):
    made = []

    def make(**what):
        made.append(Kernel(tmp_path, **what))
        return made[-1]

    yield make
    for each in made:
        for file in each.opened.values():
            os.close(file)


def test_counts_become_joules(kernel):
    it = kernel(events=("energy-pkg", "energy-ram", "energy-cores", "energy-gpu"))
    meter = it.meter()
    assert [source.signal.scope for source in meter.energy] == ["package:0", "dram:0"]
    it.put(2, 0, 12.5)
    it.put(3, 0, 0.25)
    assert read_all(meter) == {energy("package:0"): 12.5, energy("dram:0"): 0.25}
    assert meter.failures == {}
    assert meter.energy[0].wraps_at is None
    meter.close()


def test_each_package_and_the_board_have_one_event(kernel):
    it = kernel(cpumask="0,18", events=("energy-pkg", "energy-psys"), packages={0: 1, 18: 0})
    meter = it.meter()
    assert [(source.signal.scope) for source in meter.energy] == ["package:1", "package:0", "psys"]
    assert set(it.opened) == {(2, 0), (2, 18), (5, 0)}
    it.put(2, 0, 1)
    it.put(2, 18, 2)
    it.put(5, 0, 9)
    assert read_all(meter) == {energy("package:1"): 1, energy("package:0"): 2, energy("psys"): 9}
    meter.close()


@pytest.mark.parametrize("packages", [None, {0: 0, 1: 0, 2: 1, 3: 1}])
def test_packages_without_own_numbers_are_numbered_in_order(kernel, packages):
    meter = kernel(cpumask="0-3", packages=packages).meter()
    assert [source.signal.scope for source in meter.energy] == [f"package:{n}" for n in range(4)]
    meter.close()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_refusal_names_the_setting(kernel, number):
    it = kernel(error={"all": number})
    assert it.meter() is None
    (source,) = it.sources()
    assert (source.works, source.signals) == (False, ["package:0 energy"])
    assert "perf_event_paranoid" in source.reason
    assert "sysctl kernel.perf_event_paranoid=0" in source.cure


def test_failing_event_leaves_the_others(kernel):
    it = kernel(events=("energy-pkg", "energy-ram"), error={3: errno.EINVAL})
    meter = it.meter()
    it.put(2, 0, 1)
    assert list(read_all(meter)) == [energy("package:0")]
    assert os.strerror(errno.EINVAL) in meter.failures[energy("dram:0")]
    meter.close()
    (source,) = it.sources()
    assert (source.works, source.signals) == (True, ["package:0 energy"])


def test_ended_event_is_named(kernel):
    it = kernel()
    meter = it.meter()
    os.close(it.opened.pop((2, 0)))
    assert read_all(meter) == {}
    assert "no longer counts" in meter.failures[energy("package:0")]
    meter.close()
    assert read_all(meter) == {}


@pytest.mark.parametrize(
    ("place", "reason"),
    [(Place(), "kernel"), (Place(virtual=True), "virtual"), (Place(container=True), "container")],
)
def test_missing_pmu_has_reason_and_cure(tmp_path, place, reason):
    nowhere = tmp_path / "none"
    assert perf.open_meter(nowhere) is None
    (source,) = perf.sources(nowhere, place=place)
    assert not source.works
    assert reason in source.reason
    assert source.cure


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("type", "x"),
        ("cpumask", ""),
        ("events/energy-pkg.scale", "x"),
        ("events/energy-pkg", "umask=3"),
    ],
)
def test_garbage_gives_no_meter(kernel, file, content):
    it = kernel()
    (it.pmu / file).write_text(content)
    assert it.meter() is None
    assert not it.sources()[0].works


def test_refused_system_call_has_a_message(monkeypatch):
    """No kernel has this PMU, and some machines do not have the call."""
    with pytest.raises(OSError, match=r"\w"):
        perf.perf_event_open(2**31 - 1, 0, 0)
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(OSError, match=os.strerror(errno.ENOSYS)):
        perf.perf_event_open(9, 2, 0)


def test_system_call_counts_a_software_event():
    """The software PMU's clock of the processor (type 1, config 0), if this user may count."""
    try:
        file = perf.perf_event_open(1, 0, 0)
    except OSError as error:
        pytest.skip(f"no events here: {error}")
    try:
        (first,) = struct.unpack("=Q", os.read(file, 8))
        (second,) = struct.unpack("=Q", os.read(file, 8))
    finally:
        os.close(file)
    assert 0 <= first <= second
