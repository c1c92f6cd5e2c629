"""Run the functions of a file whose names begin with a prefix: `python functions.py FILE PREFIX
[NAME …]`.

Each result is printed at once: `ok`, `skipped` (unittest.SkipTest) or `FAILED`; a function's return
value is printed as `name: value`. The functions run in one child process, in the order of the file.
One that takes more than its share (`share_of`) of the time left is killed with its process, and the
others continue in a new one. Exit status 1 if one failed.
"""

import importlib.util
import os
import queue
import subprocess
import sys
import threading
import time
import traceback
import unittest
from pathlib import Path
from types import ModuleType
from typing import Any

from process import GRACE_S, GRACE_SHARE, end_with_parent

ROOT = Path(__file__).resolve().parent.parent.parent
BEGIN, END = "\x02begin ", "\x02end "
"""Beginnings of the lines of the child that only its parent reads."""

DEFAULT_S = 600.0
MARGIN_SHARE = 0.05
"""How long before the check interrupts this process the last function must end, so that a hanging
one can be named."""

OPENING_SHARE = 0.5
"""The share of the time left that a child may use to import the file and open the device."""


def main(file: str, prefix: str, chosen: list[str]) -> int:
    """Run the functions in children. Returns 1 if one failed, else 0."""
    limit_s = float(os.environ.get("GPU_CHECK_LIMIT_S", DEFAULT_S))
    usable_s = limit_s - min(GRACE_S, GRACE_SHARE * limit_s) - MARGIN_SHARE * limit_s
    deadline = time.monotonic() + usable_s
    names = chosen or names_in(file, prefix)
    total, failed = len(names), 0
    while names:
        names, failures = _run_child(file, prefix, names, deadline)
        failed += failures
    print(f"{total - failed} passed or skipped, {failed} failed", flush=True)
    return 1 if failed else 0


def share_of(left: int) -> float:
    """The largest share of the time for the first of `left` functions: three times an even share,
    since most take little, but no more than half while others wait."""
    return min(0.5, 3 / left) if left > 1 else 1.0


def names_in(file: str, prefix: str) -> list[str]:
    """The names of a file's functions, found without importing it."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return [line[4:].partition("(")[0] for line in lines if line.startswith(f"def {prefix}")]


def _run_child(file: str, prefix: str, names: list[str], deadline: float) -> tuple[list[str], int]:
    """Run `names` in one child. Returns the names left after a function hung or died, and the
    number of failures."""
    command = [sys.executable, __file__, file, prefix, "--child", *names]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, preexec_fn=end_with_parent)
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(child, lines), daemon=True).start()
    left, failed, running = list(names), 0, ""
    end = time.monotonic() + OPENING_SHARE * (deadline - time.monotonic())
    while True:
        try:
            line = lines.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            child.kill()
            child.wait()
            reason = "waited too long for the device"
            if running:
                reason = "took more than its share of the time"
            print(f"FAILED  {left.pop(0)}: {reason}", flush=True)
            return left, failed + 1
        if line.startswith(BEGIN):
            running = line.removeprefix(BEGIN)
            end = time.monotonic() + share_of(len(left)) * max(0.0, deadline - time.monotonic())
        elif line.startswith(END):
            left.pop(0)
            failed += line.removeprefix(END) == "failed"
            end = max(end, time.monotonic() + 1)
        elif line:
            print(line, flush=True)
        else:
            status = child.wait()
            if left:
                reason = f"its process ended with exit status {status}"
                print(f"FAILED  {left.pop(0)}: {reason}", flush=True)
                return left, failed + 1
            return [], failed


def _read(child: "subprocess.Popen[bytes]", lines: "queue.SimpleQueue[str]") -> None:
    assert child.stdout
    with child.stdout as printed:
        for line in printed:
            lines.put(line.decode(errors="replace").rstrip("\n") or " ")
    lines.put("")


def run_here(file: str, prefix: str, names: list[str]) -> None:
    """The child: run `names` one by one and print the result of each."""
    module = _load(ROOT / file)
    open_device = getattr(module, "open_device", None)
    if open_device:
        open_device()  # loading libraries and raising clocks count for no function
    for name in names:
        print(f"{BEGIN}{name}", flush=True)
        began = time.monotonic()
        status, value = _outcome(getattr(module, name))
        why = f": {value}" if status == "skipped" else ""
        print(f"{status:<7} {name} ({time.monotonic() - began:.1f} s){why}", flush=True)
        if value is not None and not why:
            print(f"{name.removeprefix(prefix)}: {value}", flush=True)
        print(f"{END}{'failed' if status == 'FAILED' else 'passed'}", flush=True)


def _outcome(function: Any) -> tuple[str, object]:
    """`ok` and the return value, `skipped` and the reason, or `FAILED` and the `value` of the
    error, if it has one."""
    try:
        return "ok", function()
    except unittest.SkipTest as why:
        return "skipped", str(why)
    except Exception as error:  # noqa: BLE001 - each failure is reported by itself
        traceback.print_exc(file=sys.stdout)
        return "FAILED", getattr(error, "value", None)


def _load(file: Path) -> ModuleType:
    sys.path[:0] = [str(ROOT), str(file.parent)]
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    if "--child" in sys.argv:
        run_here(sys.argv[1], sys.argv[2], sys.argv[4:])
    else:
        sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
