"""A side of `hwbench ab`: an interpreter with the hwbench it imports, and how its workers start.

That may be another torch, another checkout, another working folder.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwbench.formats import Rates
from hwbench.machine import environment
from hwbench.recording import probe
from hwbench.recording.launch.exchange import OPENING_TIMEOUT_S, describe_device
from hwbench.recording.launch.local import Launch, LocalLauncher, here
from hwbench.recording.matrix import Plan
from hwbench.recording.runner import CaseRunner, Progress
from hwbench.records import UserError
from hwbench.tables.writer import Writer

CHECKOUT = Path(__file__).resolve().parents[2]
"""The checkout of this hwbench. An interpreter without a hwbench borrows it, unless this one is an
installed package."""


@dataclass(frozen=True)
class Side:
    """One of the two sides: how its workers start, its workload files, and how it describes itself
    (see `probe`)."""

    name: str
    launch: Launch
    files: list[str]
    facts: Mapping[str, Any]

    @property
    def device(self) -> str:
        return str(self.facts["device"])

    def policy(self, plan: Plan) -> dict[str, Any]:
        """The policy without the fields that this side's hwbench, which may be older, does not
        know."""
        return {
            name: value
            for name, value in vars(plan.policy).items()
            if name in self.facts["nouns"]["Policy"]
        }

    def runner(
        self,
        plan: Plan,
        writer: Writer,
        on_progress: Callable[[Progress], None],
        formats: Rates | None,
    ) -> CaseRunner:
        """What measures the cases of `plan` on this side."""
        return CaseRunner(
            self.device,
            self.files,
            self.policy(plan),
            writer,
            on_progress,
            formats,
            LocalLauncher(self.launch),
        )

    def describe_device(self, warn: Callable[[str], None]) -> dict[str, Any]:
        """What the device says of itself to this side. UserError if it cannot be opened."""
        try:
            return describe_device(self.device, warn, LocalLauncher(self.launch))[1]
        except UserError as error:
            raise UserError(f"side {self.name}: {error}") from error

    def environment(self, device: Mapping[str, Any]) -> dict[str, Any]:
        """The environment of a run on this side's interpreter and folder (environment.collect)."""
        own = {name: self.facts[name] for name in ("python", "git")}
        packages = {"hwbench": self.facts["hwbench"], **self.facts["packages"]}
        return environment.collect(device) | own | {"packages": packages}

    def __str__(self) -> str:
        commit = ""
        if git := self.facts["git"]:
            changes = " with changes" if git["dirty"] else ""
            commit = f", commit {git['commit'][:12]}{changes}"
        versions = f"Python {self.facts['python']}, torch {self.facts['packages']['torch']}"
        return f"{self.name}: hwbench {self.facts['hwbench']}, {versions}{commit}"


def open_side(
    name: str, python: str, folder: Path | None, device: str, files: Sequence[str]
) -> Side:
    """The side `name` with this interpreter and folder. UserError if it cannot measure, or if its
    hwbench is too old.

    The folder comes first on the import path and is the workers' working folder; a hwbench in it is
    the one that is measured. A relative name in `files` means the side's own file if its folder has
    one.
    """
    program = shutil.which(python)
    if program is None:
        cure = "name an interpreter, e.g. /path/to/venv/bin/python"
        raise UserError(f"--{name} {python}: no such Python; {cure}")
    if folder is not None and not folder.is_dir():
        raise UserError(f"--{name}-dir {folder}: no such folder")
    launch = _launch(os.path.abspath(program), folder)
    facts = _facts(name, launch, device)
    root = Path(facts["root"])
    has_hwbench = folder is not None and (folder / "hwbench" / "__init__.py").is_file()
    if folder is not None and has_hwbench and root != folder.resolve():
        raise UserError(f"side {name}: {python} imports hwbench from {root}, not from {folder}")
    _check_understood(name, facts)
    return Side(name, launch, [_own_file(file, folder) for file in files], facts)


def _launch(program: str, folder: Path | None) -> Launch:
    """Workers of `program` that import what lies in `folder`, then what that interpreter has."""
    is_this_one = program == sys.executable
    inherited = here().environment if is_this_one else os.environ
    path = [str(folder.resolve())] if folder else []
    path += filter(None, [inherited.get("PYTHONPATH")])
    settings = os.environ | {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(path)}
    launch = Launch([program, "-m", "hwbench.worker"], settings, folder)
    if not _has_hwbench(launch) and (CHECKOUT / "pyproject.toml").is_file():
        settings["PYTHONPATH"] = os.pathsep.join([*path, str(CHECKOUT)])
    return launch


def _has_hwbench(launch: Launch) -> bool:
    code = "import importlib.util, sys; sys.exit(importlib.util.find_spec('hwbench') is None)"
    return _ask(launch, "-c", code).returncode == 0


def _facts(name: str, launch: Launch, device: str) -> dict[str, Any]:
    """What the side's `probe` prints. UserError with its last words if it fails."""
    done = _ask(launch, str(probe.__file__), device, *environment.PACKAGES)
    if done.returncode:
        words = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise UserError(f"side {name} ({launch.command[0]}): {words[-1]}")
    try:
        facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return facts
    except (IndexError, ValueError) as error:
        raise UserError(
            f"side {name}: {launch.command[0]} does not answer as a Python interpreter does"
        ) from error


def _ask(launch: Launch, *words: str) -> subprocess.CompletedProcess[str]:
    program = launch.command[0]
    try:
        return subprocess.run(
            [program, *words],
            env=launch.environment,
            cwd=launch.folder,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=OPENING_TIMEOUT_S,
        )
    except OSError as error:
        raise UserError(f"{program}: cannot be started: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{program}: no answer after {OPENING_TIMEOUT_S} s") from error


def _check_understood(name: str, facts: Mapping[str, Any]) -> None:
    """Raise UserError if this hwbench could not read the answers of the side's workers."""
    for noun, fields in probe.nouns().items():
        if noun == "Policy":  # it is sent to them, without the fields that they do not know
            continue
        theirs = facts["nouns"][noun]
        missing = [field for field, needed in fields.items() if needed and field not in theirs]
        if missing:
            lacks = f"no {noun}.{min(missing)}"
            raise UserError(f"side {name} has a hwbench too old to compare with this one: {lacks}")


def _own_file(file: str, folder: Path | None) -> str:
    own = folder / file if folder else Path(file)
    return str((own if own.is_file() else Path(file)).resolve())
