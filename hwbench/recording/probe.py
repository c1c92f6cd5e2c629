"""Describe a side of `hwbench ab`: `python probe.py DEVICE PACKAGE…` prints one line of JSON.

It is run by its path in the side's own interpreter, so that it imports the side's hwbench, not the
one beside this file. Exit status 1, with the reason as the last line on standard error, if that
side cannot measure.
"""

import json
import platform
import subprocess
import sys
from dataclasses import MISSING, fields
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import hwbench
from hwbench import devices, records


def main() -> None:
    device, *packages = sys.argv[1:]
    for needed in ("torch", "hwbench.worker"):
        import_module(needed)
    try:
        spec = devices.resolve(device)
    except records.UserError as error:
        raise SystemExit(str(error)) from error
    answer = {
        "device": spec,
        "hwbench": hwbench.__version__,
        "root": str(Path(hwbench.__file__).resolve().parent.parent),
        "nouns": nouns(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
        "git": _git(),
    }
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


def nouns() -> dict[str, dict[str, bool]]:
    """The fields of the records that go into a worker and come out of it, and whether each is
    required."""
    return {
        name: {
            f.name: f.default is MISSING and f.default_factory is MISSING
            for f in fields(getattr(records, name))
        }
        for name in ("Policy", "Measurement", "Work", "Window", "Samples", "Spans")
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git() -> dict[str, Any] | None:
    """The commit of the working folder and whether it has changes; None outside a repository."""
    words = [["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"]]
    try:
        commit, changes = (
            subprocess.check_output(["git", *w], stderr=subprocess.DEVNULL).decode(errors="replace")
            for w in words
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit.strip(), "dirty": bool(changes.strip())}


if __name__ == "__main__":
    main()
