"""Runs attacks: lays the files, has the server run the command, and gathers what came of it."""

import os
import pickle
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from hostile.attack import REFUSED, Attack, Done, Kind
from hostile.checks import faults

ROOT = Path(__file__).resolve().parents[2]
HANGS_S = 30.0
"""When a command is killed. Of a busy machine's time a command may get a third."""

INNER = Path("one", "two", "three", "work")
"""Where the command runs: three folders up there is still something to harm."""

Snapshot = Mapping[str, tuple[int, ...]]


class Runner:
    """Runs attacks one after another; closing it ends its server. One whose server dies fails, and
    the next has a new one."""

    def __init__(self) -> None:
        self._own = tempfile.TemporaryDirectory(prefix="hostile-")
        self._server = self._start()

    def close(self) -> None:
        self._end()
        self._own.cleanup()

    def _start(self) -> subprocess.Popen[bytes]:
        quiet = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}
        own = {"PYTHONPATH": str(ROOT), "MPLCONFIGDIR": self._own.name}
        return subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **quiet, **own},
        )

    def _end(self) -> int:
        """End the server. Returns its exit status."""
        assert self._server.stdin
        assert self._server.stdout
        with suppress(BrokenPipeError):  # it died before it had read all
            self._server.stdin.close()
        self._server.stdout.close()
        return self._server.wait()

    def lay(self, kind: Kind, seed: int, top: Path) -> tuple[Attack, Path]:
        """The attack of this seed, its files laid below `top`, and the folder that it runs in."""
        work = top / INNER
        work.mkdir(parents=True)
        for name in ("home", "temporary"):
            (top / name).mkdir()
        for folder in (top, *list(work.parents)[:3]):
            (folder / "VICTIM").write_text("what was there before\n")
        return kind.build(Random(f"{kind.name} {seed}"), work), work

    def run(self, attack: Attack, top: Path, work: Path) -> Done:
        """Run the command of an attack that was laid."""
        before = _snapshot(top)
        with tempfile.TemporaryDirectory() as scratch:
            files = [Path(scratch, name) for name in ("stdout", "stderr")]
            answer = self._ask(_request(attack, top, work, files))
            streams = [file.read_bytes() if file.exists() else b"" for file in files]
        after = _snapshot(top)
        changed = {path for path in before | after if before.get(path) != after.get(path)}
        return Done(
            **answer,
            stdout=streams[0],
            stderr=streams[1],
            changed=frozenset(changed),
            top=top,
            work=work,
        )

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._server.stdin
        assert self._server.stdout
        try:
            pickle.dump(request, self._server.stdin)
            self._server.stdin.flush()
            answer: dict[str, Any] = pickle.load(self._server.stdout)
        except (BrokenPipeError, EOFError, pickle.UnpicklingError) as error:
            status = self._end()
            self._server = self._start()
            raise RuntimeError(f"the server died with exit status {status}") from error
        return answer


def _request(attack: Attack, top: Path, work: Path, files: list[Path]) -> dict[str, Any]:
    environment = _environment(top) | attack.environment
    return {
        "words": [os.fsencode(word) for word in attack.words],
        "folder": os.fsencode(work),
        "environment": {
            os.fsencode(name): os.fsencode(value)
            for name, value in environment.items()
            if value is not None
        },
        "stdout": attack.stdout,
        "stderr": attack.stderr,
        "files": [str(file) for file in files],
        "locale_c": attack.locale_c,
        "measures": attack.measures,
        "seconds": HANGS_S,
    }


def _environment(top: Path) -> dict[str, str | bytes | None]:
    """What every command is given: nothing of a CI system, and folders that are watched."""
    own = {"HOME": top / "home", "TMPDIR": top / "temporary", "HWBENCH_CACHE": top / "home/cache"}
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        **{name: str(folder) for name, folder in own.items()},
    }


def _snapshot(top: Path) -> Snapshot:
    """Every path below `top`, with what changes when somebody writes to it. Folders only by their
    presence."""
    found = {}
    for folder, folders, files in os.walk(os.fsencode(top)):
        for name in folders + files:
            path = os.path.join(folder, name)
            about = os.lstat(path)
            is_folder = stat.S_ISDIR(about.st_mode)
            content = (0, 0, 0) if is_folder else (about.st_size, about.st_mtime_ns, about.st_ino)
            relative = os.path.relpath(path, os.fsencode(top))
            found[os.fsdecode(relative)] = (stat.S_IFMT(about.st_mode), *content)
    return found


def try_attack(runner: Runner, kind: Kind, seed: int, top: Path) -> tuple[list[str], Done, Attack]:
    """Lay and run an attack below `top`. Returns what is wrong with how it ended."""
    attack, work = runner.lay(kind, seed, top)
    done = runner.run(attack, top, work)
    found = faults(attack, done)
    if attack.clean and done.status != REFUSED and not found:
        shutil.rmtree(work)
        work.mkdir()
        attack.clean(work)
        if runner.run(attack, top, work).stdout != done.stdout:
            found.append("says something else of what was harmed, and does not say that it was")
    for words in attack.then if done.status == 0 and not found else ():
        after = replace(attack, words=words, statuses=frozenset({0}), writes=["page.html"])
        wrong = faults(after, runner.run(after, top, work))
        found += [f"done, but then `hwbench {' '.join(words)}`: {one}" for one in wrong]
    return found, done, attack
