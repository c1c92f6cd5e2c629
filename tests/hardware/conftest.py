"""A machine of a test's own: the files under /proc and /sys that its kernel shows."""

from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
import pytest

from hwbench.system import files

Files = Mapping[str, str | bytes | None]
"""By path below the root folder, what a file holds; None where it is there and cannot be read."""


@pytest.fixture
def lay_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Files], Path]:
    """Makes these files the only ones of the machine, for hwbench and for psutil. Returns the
    root folder."""
    root = tmp_path / "machine"
    root.mkdir()
    monkeypatch.setattr(files, "ROOT", root)
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(root / "proc"))

    def write(contents: Files) -> Path:
        for name, content in contents.items():
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                file.mkdir()  # read as root, a file without permissions can be read
            else:
                file.write_bytes(content.encode() if isinstance(content, str) else content)
        return root

    return write
