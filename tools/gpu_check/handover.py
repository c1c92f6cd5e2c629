"""Put the results of a stage into the folder that the caller gets back: each file whole or not at
all."""

import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

MOST_BYTES = 16 << 20
"""Machines lent for minutes return only files up to about this size."""

ARCHIVE = "runs.tar.gz"


class Handover:
    """Writes files of the folder `out` from the folder `work`. `tell` gets a line for each problem
    and for files that may be too large."""

    def __init__(self, out: Path, work: Path, tell: Callable[[str], None]) -> None:
        self._out, self._work, self._tell = out, work, tell
        self._missing: dict[str, str] = {}

    @property
    def missing(self) -> list[str]:
        """A line for each file that could not be handed over."""
        return list(self._missing.values())

    def write(self, name: str, text: str) -> None:
        self._place(name, lambda part: part.write_text(text, encoding="utf-8"))

    def copy(self, name: str) -> None:
        """Hand over a file of the work folder, if it is there and has changed."""
        source, target = self._work / name, self._out / name
        if not source.is_file():
            return
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            self._place(name, lambda part: shutil.copyfile(source, part))

    def archive(self, folder: str) -> None:
        """Hand over a folder of the work folder as ARCHIVE."""

        def pack(part: Path) -> None:
            # Parquet is compressed already
            with tarfile.open(part, "w:gz", compresslevel=1) as archive:
                archive.add(self._work / folder, arcname=".", filter=_finished)

        self._place(ARCHIVE, pack)

    def _place(self, name: str, make: Callable[[Path], object]) -> None:
        part = self._out / f"{name}.part"
        try:
            make(part)
            with part.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(part, self._out / name)
        except OSError as error:
            self._tell(f"{name}: not handed over: {error}")
            self._missing[name] = f"{name} not handed over"
            part.unlink(missing_ok=True)
            return
        self._missing.pop(name, None)
        size = (self._out / name).stat().st_size
        if size > MOST_BYTES:
            limit = f"more than may come back ({MOST_BYTES >> 20} MiB)"
            self._tell(f"{name}: {size / 2**20:.0f} MiB, {limit}")


def _finished(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if member.name.endswith(".part") else member
