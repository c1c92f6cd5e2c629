"""RAPL through the powercap folder, on trees like the kernel's."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from powercap_tree import AMD_RANGE_UJ, INTEL_RANGE_UJ, PowercapTree, refusing

from hwbench.meters import Signal, rapl, read_all
from hwbench.meters.machine import Place

BARE = Place()


def energy(scope: str) -> Signal:
    return Signal("rapl", scope, "energy", "J")


def scopes(meter) -> list[str]:
    return [source.signal.scope for source in meter.energy]


def test_intel_socket_is_a_package_without_its_parts(tmp_path):
    tree = PowercapTree(tmp_path)
    meter = rapl.open_meter(tree.folder)
    assert scopes(meter) == ["package:0"]
    assert read_all(meter) == {energy("package:0"): 1000.0}
    tree.advance({"package-0": 30.0, "core": 25.0}, seconds=2)
    assert read_all(meter) == {energy("package:0"): 1060.0}
    assert meter.failures == {}


def test_counter_has_range_tick_and_quantum(tmp_path):
    counter = rapl.open_meter(PowercapTree(tmp_path).folder).energy[0]
    assert counter.wraps_at == pytest.approx(INTEL_RANGE_UJ / 1e6)
    assert (counter.tick_s, counter.quantum, counter.gain) == (0.001, 1e-4, None)


def test_two_sockets_have_package_and_memory_each(tmp_path):
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


def test_package_number_is_that_of_the_name(tmp_path):
    tree = PowercapTree(tmp_path, packages=2)
    (tree.zone("intel-rapl:0") / "name").write_text("package-1\n")
    (tree.zone("intel-rapl:1") / "name").write_text("package-0\n")
    tree.set_uj("intel-rapl:0", 7_000_000)
    assert read_all(rapl.open_meter(tree.folder))[energy("package:1")] == 7.0


def test_packages_are_in_numeric_order(tmp_path):
    meter = rapl.open_meter(PowercapTree(tmp_path, packages=11).folder)
    assert scopes(meter) == [f"package:{number}" for number in range(11)]


def test_dies_with_own_counters_are_numbered_in_order(tmp_path):
    tree = PowercapTree(tmp_path, packages=2, dies=2)
    for number in range(4):
        tree.set_uj(f"intel-rapl:{number}", 10**9 * (number + 1))
    meter = rapl.open_meter(tree.folder)
    assert scopes(meter) == ["package:0", "package:1", "package:2", "package:3"]


def test_dies_that_show_the_counter_of_their_package_count_once(tmp_path):
    """As AMD's Zen 1 and 2 do; the second is read a moment later."""
    tree = PowercapTree(tmp_path, packages=2, dies=2)
    for number, energy_uj in enumerate((10**9, 10**9 + 70_000, 5 * 10**9, 5 * 10**9 + 1)):
        tree.set_uj(f"intel-rapl:{number}", energy_uj)
    meter = rapl.open_meter(tree.folder)
    assert scopes(meter) == ["package:0", "package:1"]
    assert read_all(meter)[energy("package:1")] == 5000


def test_dies_that_cannot_be_read_are_all_named(tmp_path):
    tree = PowercapTree(tmp_path, dies=2)
    (source,) = rapl.sources(tree.folder, BARE, refusing("intel-rapl:0", "intel-rapl:1"))
    assert source.signals == ["package:0 energy", "package:1 energy"]


def test_amd_packages_are_sources(tmp_path):
    meter = rapl.open_meter(PowercapTree.amd(tmp_path, packages=2).folder)
    assert scopes(meter) == ["package:0", "package:1"]
    assert meter.energy[0].wraps_at == pytest.approx(AMD_RANGE_UJ / 1e6)


def test_board_is_a_separate_source_with_coarse_quantum(tmp_path):
    meter = rapl.open_meter(PowercapTree(tmp_path, psys=True).folder)
    assert scopes(meter) == ["package:0", "psys"]
    assert meter.energy[1].quantum == 1.0
    assert meter.energy[1].signal.index is None


def test_mmio_counter_is_not_counted_twice(tmp_path):
    tree = PowercapTree(tmp_path, mmio=True)
    assert (tree.folder / "intel-rapl-mmio:0" / "energy_uj").exists()
    assert scopes(rapl.open_meter(tree.folder)) == ["package:0"]


@pytest.mark.parametrize("content", [None, "", "lots", "0"])
def test_unreadable_range_is_unknown(tmp_path, content):
    tree = PowercapTree(tmp_path)
    file = tree.zone("package-0") / "max_energy_range_uj"
    file.unlink() if content is None else file.write_text(content)
    assert rapl.open_meter(tree.folder).energy[0].wraps_at is None


def test_wrapped_counter_is_shown_as_it_is(tmp_path):
    tree = PowercapTree(tmp_path, range_uj=10_000_000, start_uj=9_000_000)
    meter = rapl.open_meter(tree.folder)
    tree.advance({"package-0": 2.0}, seconds=1)
    assert read_all(meter)[energy("package:0")] == pytest.approx(1.0, abs=1e-5)


def test_no_permission_gives_no_meter_but_the_cure(tmp_path):
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


def test_file_that_vanishes_is_named_and_may_return(tmp_path):
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


def test_driver_error_is_quoted(tmp_path):
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
def test_missing_folder_has_reason_of_this_place(tmp_path, place, reason, cure):
    assert rapl.open_meter(tmp_path / "none") is None
    (source,) = rapl.sources(tmp_path / "none", place)
    assert (source.works, source.signals) == (False, ())
    assert reason in source.reason
    assert cure in source.cure


def test_links_into_masked_folder_count_as_missing(tmp_path):
    """Docker mounts an empty folder over the target of the links."""
    tree = PowercapTree(tmp_path)
    tree.devices.rename(tmp_path / "masked")
    assert rapl.open_meter(tree.folder) is None
    (source,) = rapl.sources(tree.folder, Place(container=True))
    assert "container" in source.reason


def test_folder_of_devices_works(tmp_path):
    """A container mounts it: nested zones without links."""
    tree = PowercapTree(tmp_path, dram=True, psys=True)
    assert scopes(rapl.open_meter(tree.devices / "intel-rapl")) == ["package:0", "dram:0", "psys"]


def test_environment_variable_names_the_folder(tmp_path, monkeypatch):
    tree = PowercapTree(tmp_path)
    monkeypatch.setenv("HWBENCH_POWERCAP", str(tree.folder))
    assert scopes(rapl.open_meter()) == ["package:0"]
    assert rapl.sources()[0].works
    monkeypatch.delenv("HWBENCH_POWERCAP")
    assert rapl.powercap() == Path("/sys/class/powercap")


def test_closed_meter_shows_nothing(tmp_path):
    meter = rapl.open_meter(PowercapTree(tmp_path).folder)
    meter.close()
    assert read_all(meter) == {}


def test_tree_is_advanced_by_another_process(tmp_path):
    script = Path(__file__).parent.with_name("powercap_tree.py")
    command = [sys.executable, str(script), str(tmp_path), "0.1", "package-0=50", "dram=5"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    shown = read_all(rapl.open_meter(Path(done.stdout.strip())))
    package_j, dram_j = shown[energy("package:0")], shown[energy("dram:0")]
    assert 1005 <= package_j < 1100
    assert (package_j - 1000) / (dram_j - 1000) == pytest.approx(10, rel=1e-3)


def test_place_is_read_from_files(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: AMD EPYC 7742\nflags\t\t: fpu hypervisor\n"
    )
    (tmp_path / ".dockerenv").touch()
    place = Place.here(tmp_path, "linux")
    assert (place.linux, place.virtual, place.container) == (True, True, True)
    assert place.cpu == "AMD EPYC 7742"
    assert place.cpus >= 1
    nowhere = Place.here(tmp_path / "none", "darwin")
    assert (nowhere.linux, nowhere.virtual, nowhere.smt_off) == (False, False, False)
    assert nowhere.cpu == ""
