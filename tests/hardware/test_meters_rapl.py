"""The oddities of RAPL, one row each.

A row has what the hardware or its driver does, the public report that it is from, and the right
answer. Stand-ins take the place of the hardware.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from powercap_tree import INTEL_RANGE_UJ, PowercapTree, refusing

from hwbench.meters import rapl, read_all
from hwbench.meters.counters import unwrap
from hwbench.meters.machine import Place
from hwbench.meters.uncertainty import NoAnswer

from .reports import NONE_FOUND, REPORT

BARE, CONTAINER = Place(), Place(container=True)


@dataclass(frozen=True)
class Rapl:
    """A powercap tree that `build` makes, and what is right: the joules by scope, and what is said
    of the rest."""

    oddity: str
    source: str
    build: Callable[[Path], PowercapTree]
    joules: dict[str, float]
    reason: str = ""
    place: Place = BARE
    read: rapl.Read = rapl.text_of


def named(tree: PowercapTree, **names: str) -> PowercapTree:
    """The tree with other names for its packages: `p0`, `p1`."""
    for zone, name in names.items():
        (tree.zone(f"intel-rapl:{zone[1:]}") / "name").write_text(f"{name}\n")
    return tree


def without_links(root: Path) -> PowercapTree:
    """Docker mounts an empty folder over the target of the links."""
    tree = PowercapTree(root)
    tree.devices.rename(root / "masked")
    return tree


def without_powercap(root: Path) -> PowercapTree:
    tree = PowercapTree(root / "elsewhere")
    tree.folder = root / "class" / "powercap"
    return tree


def mirrored(root: Path) -> PowercapTree:
    tree = PowercapTree(root, dies=2)
    tree.set_uj("intel-rapl:1", 10**9 + 50_000)
    return tree


def broken(root: Path) -> PowercapTree:
    """Constraints that give "No data available", as text that is no number."""
    tree = PowercapTree(root)
    (tree.zone("package-0") / "constraint_1_max_power_uw").write_text("")
    return tree


RAPL = [
    Rapl(
        "only root may read the counters",
        "mlco2/codecarbon#244",
        PowercapTree,
        {},
        "since CVE-2020-8694 only root",
        read=refusing("intel-rapl:0"),
    ),
    Rapl(
        "one zone of several may not be read",
        "mlco2/codecarbon#950",
        lambda root: PowercapTree(root, dram=True),
        {"package:0": 1000},
        "permission denied",
        read=refusing("intel-rapl:0:2"),
    ),
    Rapl(
        "the same package by MSR and by MMIO",
        "mlco2/codecarbon#950",
        lambda root: PowercapTree(root, mmio=True),
        {"package:0": 1000},
    ),
    Rapl(
        "the board contains its package",
        "powercap/raplcap#8",
        lambda root: PowercapTree(root, psys=True),
        {"package:0": 1000, "psys": 1000},
    ),
    Rapl(
        "each package has a zone named dram",
        "level1techs/siomon#70",
        lambda root: PowercapTree(root, packages=2, dram=True),
        {"package:0": 1000, "dram:0": 1000, "package:1": 1000, "dram:1": 1000},
    ),
    Rapl(
        "two packages of one name",
        "sustainable-computing-io/kepler#2182",
        lambda root: named(PowercapTree(root, packages=2), p1="package-0"),
        {"package:0": 1000, "package:1": 1000},
    ),
    Rapl(
        "the dies of a package mirror one counter",
        "mlco2/codecarbon#1274",
        mirrored,
        {"package:0": 1000},
    ),
    Rapl(
        "AMD has a lone package without memory",
        "RRZE-HPC/likwid#181",
        PowercapTree.amd,
        {"package:0": 1000},
    ),
    Rapl(
        "a container sees links that lead nowhere",
        "hubblo-org/scaphandre#373",
        without_links,
        {},
        "this container does not show it",
        CONTAINER,
    ),
    Rapl(
        "a system without powercap",
        "sustainable-computing-io/kepler#2262",
        without_powercap,
        {},
        "the kernel shows no such counter",
    ),
    Rapl(
        "a constraint has no data",
        "intel/powertelemetry#3",
        broken,
        {"package:0": 1000},
    ),
]


@pytest.mark.parametrize("row", RAPL, ids=lambda row: row.oddity)
def test_rapl(tmp_path, row):
    folder = row.build(tmp_path).folder
    meter = rapl.open_meter(folder, row.read)
    shown = {signal.scope: joules for signal, joules in read_all(meter).items()} if meter else {}
    assert shown == pytest.approx(row.joules)
    reasons = [line.reason for line in rapl.sources(folder, row.place, row.read) if not line.works]
    assert row.reason in "; ".join(reasons)
    assert bool(reasons) == bool(row.reason)


@dataclass(frozen=True)
class Wrap:
    """What a counter shows each second, and the joules since the first; None: no answer."""

    oddity: str
    source: str
    shown_uj: list[int]
    range_uj: int | None
    joules: float | None


LAST = INTEL_RANGE_UJ - 20_000_000
WRAPS = [
    Wrap(
        "a counter wraps",
        "hubblo-org/scaphandre#280",
        [LAST, LAST + 10_000_000, 10_000_000],
        INTEL_RANGE_UJ,
        30,
    ),
    Wrap(
        "a counter wraps, and its range cannot be read",
        "mlco2/codecarbon#1309",
        [LAST, LAST + 10_000_000, 10_000_000],
        None,
        None,
    ),
    Wrap(
        "a counter of another range than it states jumps at its wrap",
        NONE_FOUND,
        [65_532_000_000, 65_532_610_987, 10_000_000],
        INTEL_RANGE_UJ,
        None,
    ),
]


@pytest.mark.parametrize("row", WRAPS, ids=lambda row: row.oddity)
def test_wraps(tmp_path, row):
    tree = PowercapTree(tmp_path)
    file = tree.zone("package-0") / "max_energy_range_uj"
    file.write_text("" if row.range_uj is None else str(row.range_uj))
    meter = rapl.open_meter(tree.folder)
    shown = []
    for energy_uj in row.shown_uj:
        (tree.zone("package-0") / "energy_uj").write_text(str(energy_uj))
        shown += read_all(meter).values()
    assert unwrapped(meter.energy[0], shown) == pytest.approx(row.joules)


def unwrapped(counter, shown):
    try:
        return unwrap(counter, np.arange(float(len(shown))), np.array(shown))[-1]
    except NoAnswer:
        return None


@pytest.mark.parametrize("row", [*RAPL, *WRAPS], ids=lambda row: row.oddity)
def test_every_row_names_its_report(row):
    assert REPORT.fullmatch(row.source)
