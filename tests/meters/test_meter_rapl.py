"""RAPL by the powercap folder, on trees that look like the kernel's."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from powercap_tree import AMD_RANGE_UJ, INTEL_RANGE_UJ, PowercapTree

from hwbench.meters import Signal, rapl, read_all
from hwbench.meters.machine import Place

BARE = Place()


def energy(scope: str) -> Signal:
    return Signal("rapl", scope, "energy", "J")


def scopes(meter) -> list[str]:
    return [source.signal.scope for source in meter.energy]


def refusing(*names: str, error: int = errno.EACCES):
    """Reads files, but for those in a zone of one of `names`: root would be let in otherwise."""

    def read(file: Path) -> str:
        if file.name == "energy_uj" and file.parent.name in names:
            raise OSError(error, os.strerror(error), str(file))
        return file.read_text()

    return read


def test_one_socket_of_intel_is_a_package_and_what_is_inside_it_is_no_source(tmp_path):
    tree = PowercapTree(tmp_path)
    meter = rapl.open_meter(tree.folder)
    assert scopes(meter) == ["package:0"]
    assert read_all(meter) == {energy("package:0"): 1000.0}
    tree.advance({"package-0": 30.0, "core": 25.0}, seconds=2)
    assert read_all(meter) == {energy("package:0"): 1060.0}
    assert meter.failures == {}


def test_a_counter_tells_its_range_its_tick_and_its_step(tmp_path):
    counter = rapl.open_meter(PowercapTree(tmp_path).folder).energy[0]
    assert counter.wraps_at == pytest.approx(INTEL_RANGE_UJ / 1e6)
    assert (counter.tick_s, counter.quantum, counter.gain) == (0.001, 1e-4, None)


def test_two_sockets_with_memory(tmp_path):
    tree = PowercapTree(tmp_path, packages=2, dram=True)
    meter = rapl.open_meter(tree.folder)
    assert scopes(meter) == ["package:0", "dram:0", "package:1", "dram:1"]
    tree.advance({"intel-rapl:1": 10.0, "intel-rapl:1:2": 3.0}, seconds=1)
    assert read_all(meter) == {
        energy("package:0"): 1000.0,
        energy("dram:0"): 1000.0,
        energy("package:1"): 1010.0,
        energy("dram:1"): 1003.0,
    }


def test_the_number_is_that_of_the_name_even_if_the_zones_come_in_another_order(tmp_path):
    tree = PowercapTree(tmp_path, packages=2)
    (tree.zone("intel-rapl:0") / "name").write_text("package-1\n")
    (tree.zone("intel-rapl:1") / "name").write_text("package-0\n")
    tree.set_uj("intel-rapl:0", 7_000_000)
    assert read_all(rapl.open_meter(tree.folder))[energy("package:1")] == 7.0


def test_eleven_packages_are_counted_as_numbers_not_as_text(tmp_path):
    meter = rapl.open_meter(PowercapTree(tmp_path, packages=11).folder)
    assert scopes(meter) == [f"package:{number}" for number in range(11)]


def test_dies_with_counters_of_their_own_are_counted_through(tmp_path):
    meter = rapl.open_meter(PowercapTree(tmp_path, packages=2, dies=2).folder)
    assert scopes(meter) == ["package:0", "package:1", "package:2", "package:3"]


def test_amd_by_the_same_driver(tmp_path):
    meter = rapl.open_meter(PowercapTree.amd(tmp_path, packages=2).folder)
    assert scopes(meter) == ["package:0", "package:1"]
    assert meter.energy[0].wraps_at == pytest.approx(AMD_RANGE_UJ / 1e6)


def test_the_board_is_a_source_of_its_own_with_a_coarse_step(tmp_path):
    meter = rapl.open_meter(PowercapTree(tmp_path, psys=True).folder)
    assert scopes(meter) == ["package:0", "psys"]
    assert meter.energy[1].quantum == 1.0
    assert meter.energy[1].signal.index is None


def test_the_same_counter_by_mmio_is_not_counted_twice(tmp_path):
    tree = PowercapTree(tmp_path, mmio=True)
    assert (tree.folder / "intel-rapl-mmio:0" / "energy_uj").exists()
    assert scopes(rapl.open_meter(tree.folder)) == ["package:0"]


@pytest.mark.parametrize("content", [None, "", "lots", "0"])
def test_a_range_that_cannot_be_had_is_unknown(tmp_path, content):
    tree = PowercapTree(tmp_path)
    file = tree.zone("package-0") / "max_energy_range_uj"
    file.unlink() if content is None else file.write_text(content)
    assert rapl.open_meter(tree.folder).energy[0].wraps_at is None


def test_the_counter_wraps_and_is_shown_as_it_is(tmp_path):
    tree = PowercapTree(tmp_path, range_uj=10_000_000, start_uj=9_000_000)
    meter = rapl.open_meter(tree.folder)
    tree.advance({"package-0": 2.0}, seconds=1)
    assert read_all(meter)[energy("package:0")] == pytest.approx(1.0, abs=1e-5)


def test_permission_denied_to_all_is_no_meter_and_a_source_with_the_cure(tmp_path):
    tree = PowercapTree(tmp_path, dram=True)
    read = refusing("intel-rapl:0", "intel-rapl:0:2")
    assert rapl.open_meter(tree.folder, read) is None
    (source,) = rapl.sources(tree.folder, BARE, read)
    assert not source.works
    assert source.signals == ["package:0 energy", "dram:0 energy"]
    assert "CVE-2020-8694" in source.reason
    assert "sudo chmod a+r" in source.cure
    assert "udev" in source.cure


def test_permission_denied_to_one_leaves_the_others(tmp_path):
    tree = PowercapTree(tmp_path, dram=True)
    read = refusing("intel-rapl:0:2")
    meter = rapl.open_meter(tree.folder, read)
    assert list(read_all(meter)) == [energy("package:0")]
    assert list(meter.failures) == [energy("dram:0")]
    assert "permission denied" in meter.failures[energy("dram:0")]
    assert "chmod" in meter.failures[energy("dram:0")]
    assert [source.works for source in rapl.sources(tree.folder, BARE, read)] == [True, False]


def test_a_file_that_vanishes_in_mid_run_is_named_and_may_come_back(tmp_path):
    tree = PowercapTree(tmp_path, dram=True)
    meter = rapl.open_meter(tree.folder)
    file = tree.zone("package-0") / "energy_uj"
    file.rename(tree.folder / "away")
    assert list(read_all(meter)) == [energy("dram:0")]
    assert "intel-rapl:0/energy_uj is not there" in meter.failures[energy("package:0")]
    (tree.folder / "away").rename(file)
    assert energy("package:0") in read_all(meter)


@pytest.mark.parametrize("content", ["", "garbage", "12.5", "-3", "\x00"])
def test_garbage_is_no_reading(tmp_path, content):
    tree = PowercapTree(tmp_path, psys=True)
    meter = rapl.open_meter(tree.folder)
    (tree.zone("package-0") / "energy_uj").write_text(content)
    assert list(read_all(meter)) == [energy("psys")]
    assert "does not hold a number" in meter.failures[energy("package:0")]


def test_bytes_that_are_no_text_are_no_reading(tmp_path):
    tree = PowercapTree(tmp_path)
    (tree.zone("package-0") / "energy_uj").write_bytes(b"\xff\xfe")
    assert rapl.open_meter(tree.folder) is None


def test_an_error_of_the_driver_is_told_in_its_words(tmp_path):
    tree = PowercapTree(tmp_path)
    (source,) = rapl.sources(tree.folder, BARE, refusing("intel-rapl:0", error=errno.ENODATA))
    assert os.strerror(errno.ENODATA) in source.reason


@pytest.mark.parametrize(
    ("place", "reason", "cure"),
    [
        (Place(linux=False), "only Linux", "powermetrics"),
        (Place(virtual=True), "virtual machine", "--tdp W"),
        (Place(virtual=True, container=True), "virtual machine", "--tdp W"),
        (Place(container=True), "container", "HWBENCH_POWERCAP"),
        (BARE, "kernel", "modprobe"),
    ],
)
def test_no_folder_is_explained_by_where_this_runs(tmp_path, place, reason, cure):
    assert rapl.open_meter(tmp_path / "none") is None
    (source,) = rapl.sources(tmp_path / "none", place)
    assert (source.works, source.signals) == (False, ())
    assert reason in source.reason
    assert cure in source.cure


def test_links_into_a_masked_folder_are_as_no_folder(tmp_path):
    """Docker lays an empty folder over the links' target."""
    tree = PowercapTree(tmp_path)
    tree.devices.rename(tmp_path / "masked")
    assert rapl.open_meter(tree.folder) is None
    (source,) = rapl.sources(tree.folder, Place(container=True))
    assert "container" in source.reason


def test_the_folder_of_devices_works_too(tmp_path):
    """It is what a container mounts: the zones nested, without links."""
    tree = PowercapTree(tmp_path, dram=True, psys=True)
    assert scopes(rapl.open_meter(tree.devices / "intel-rapl")) == ["package:0", "dram:0", "psys"]


def test_the_environment_names_the_folder(tmp_path, monkeypatch):
    tree = PowercapTree(tmp_path)
    monkeypatch.setenv("HWBENCH_POWERCAP", str(tree.folder))
    assert scopes(rapl.open_meter()) == ["package:0"]
    assert rapl.sources()[0].works
    monkeypatch.delenv("HWBENCH_POWERCAP")
    assert rapl.powercap() == Path("/sys/class/powercap")


def test_a_closed_meter_shows_nothing(tmp_path):
    meter = rapl.open_meter(PowercapTree(tmp_path).folder)
    meter.close()
    assert read_all(meter) == {}


def test_the_tree_can_be_driven_from_another_process(tmp_path):
    script = Path(__file__).parent.with_name("powercap_tree.py")
    command = [sys.executable, str(script), str(tmp_path), "0.1", "package-0=50", "dram=5"]
    folder = Path(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    )
    shown = read_all(rapl.open_meter(folder))
    assert 1005 <= shown[energy("package:0")] < 1100
    assert (shown[energy("package:0")] - 1000) / (shown[energy("dram:0")] - 1000) == pytest.approx(
        10, rel=1e-3
    )


def test_where_this_runs_is_told_by_files(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: AMD EPYC 7742\nflags\t\t: fpu hypervisor\n"
    )
    (tmp_path / ".dockerenv").touch()
    place = Place.here(tmp_path, "linux")
    assert (place.linux, place.virtual, place.container, place.cpu) == (
        True,
        True,
        True,
        "AMD EPYC 7742",
    )
    assert place.cpus >= 1
    nowhere = Place.here(tmp_path / "none", "darwin")
    assert (nowhere.linux, nowhere.virtual, nowhere.cpu, nowhere.smt_off) == (
        False,
        False,
        "",
        False,
    )
