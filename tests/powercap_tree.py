"""Build a folder like the kernel's powercap and advance its counters, for tests without hardware.

    tree = PowercapTree(tmp_path, packages=2, dram=True, psys=True)
    tree.advance({"package-0": 30.0, "dram": 4.0}, seconds=1.5)  # W by a zone's name or id
    os.environ["HWBENCH_POWERCAP"] = str(tree.folder)

For another process, advance it on the clock: `python tests/powercap_tree.py FOLDER SECONDS
package-0=30 dram=4` builds the tree under FOLDER, prints the folder for HWBENCH_POWERCAP, and
advances the counters every 10 ms until the time is over. Files are replaced atomically, so a reader
never finds half a number.
"""

import errno
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

INTEL_RANGE_UJ = 262_143_328_850  # of a desktop and most servers: 2^32 - 1 steps of 61 µJ
AMD_RANGE_UJ = 65_532_610_987  # 2^32 - 1 steps of 15.3 µJ


class PowercapTree:
    """`folder` is like /sys/class/powercap: links into a folder of devices."""

    def __init__(
        self,
        root: Path,
        packages: int = 1,
        parts: tuple[str, ...] = ("core", "uncore"),
        dram: bool = False,
        psys: bool = False,
        mmio: bool = False,
        dies: int = 1,
        range_uj: int = INTEL_RANGE_UJ,
        start_uj: int = 1_000_000_000,
    ) -> None:
        self.folder = root / "class" / "powercap"
        self.devices = root / "devices" / "virtual" / "powercap"
        self.range_uj = range_uj
        self.zones: dict[str, Path] = {}
        self.folder.mkdir(parents=True)
        self._put("intel-rapl", "intel-rapl", None, 0)
        names = [f"package-{number}" for number in range(packages)]
        if dies > 1:
            names = [f"{name}-die-{die}" for name in names for die in range(dies)]
        if dram:
            parts = (*parts, "dram")
        for number, name in enumerate(names):
            top = self._put("intel-rapl", f"intel-rapl:{number}", name, start_uj)
            for position, part in enumerate(parts):
                self._put(top, f"{top}:{position}", part, start_uj)
        if psys:
            self._put("intel-rapl", f"intel-rapl:{len(names)}", "psys", start_uj)
        if mmio:
            self._put("intel-rapl-mmio", "intel-rapl-mmio", None, 0)
            self._put("intel-rapl-mmio", "intel-rapl-mmio:0", "package-0", start_uj)

    @classmethod
    def amd(cls, root: Path, packages: int = 1) -> "PowercapTree":
        """A tree like that of AMD's processors: packages with their cores, without memory."""
        return cls(root, packages, parts=("core",), range_uj=AMD_RANGE_UJ)

    def zone(self, which: str) -> Path:
        """A zone's folder by its id or its name, the first with that name."""
        if which in self.zones:
            return self.zones[which]
        return next(zone for zone in self.zones.values() if self._name(zone) == which)

    def set_uj(self, which: str, energy: int) -> None:
        _replace(self.zone(which) / "energy_uj", f"{energy % (self.range_uj + 1)}\n")

    def uj(self, which: str) -> int:
        return int((self.zone(which) / "energy_uj").read_text())

    def advance(self, watts: Mapping[str, float], seconds: float) -> None:
        """Let each zone of `watts` use its power for so many seconds; counters wrap like the
        hardware's."""
        for which, power in watts.items():
            self.set_uj(which, self.uj(which) + round(power * seconds * 1e6))

    def _put(self, parent: str, zone: str, name: str | None, energy: int) -> str:
        place = self.zones.get(parent) or self.devices / parent
        if zone != parent:
            place = place / zone
        place.mkdir(parents=True)
        (self.folder / zone).symlink_to(os.path.relpath(place, self.folder))
        if name is not None:
            self.zones[zone] = place
            (place / "name").write_text(f"{name}\n")
            (place / "max_energy_range_uj").write_text(f"{self.range_uj}\n")
            (place / "energy_uj").write_text(f"{energy}\n")
        return zone

    def _name(self, zone: Path) -> str:
        return (zone / "name").read_text().strip()


def refusing(*zones: str, error: int = errno.EACCES) -> Callable[[Path], str]:
    """A reader that is refused the counters of these zones; modes of files would not stop root."""

    def read(file: Path) -> str:
        if file.name == "energy_uj" and file.parent.name in zones:
            raise OSError(error, os.strerror(error), str(file))
        return file.read_text()

    return read


def _replace(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def main(root: str, seconds: str, *powers: str) -> None:
    watts = {which: float(power) for which, power in (text.split("=") for text in powers)}
    tree = PowercapTree(Path(root), dram="dram" in watts, psys="psys" in watts)
    print(tree.folder, flush=True)
    begin = before = time.monotonic()
    while before - begin < float(seconds):
        time.sleep(0.01)
        now = time.monotonic()
        tree.advance(watts, now - before)
        before = now


if __name__ == "__main__":
    main(*sys.argv[1:])
