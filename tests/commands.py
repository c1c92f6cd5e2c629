"""hwbench's command line, for tests: as processes and in this one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hwbench.cli import main

FILE = str(Path(__file__).with_name("fake_workloads.py"))
FAKE = [
    *("--device", "fake", "--workloads", FILE, "--processes", "1"),
    *("--min-time", "0.03", "--min-samples", "10"),
]
PYTHONPATH = {"PYTHONPATH": str(Path(__file__).resolve().parent.parent), "COLUMNS": "200"}


def environment(**more):
    """That of a process which imports this hwbench, as it is now."""
    return {**os.environ, **PYTHONPATH, **more}


def hwbench(*words, cwd, **kwargs):
    return subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-m", "hwbench", *map(str, words)],
        cwd=cwd, capture_output=True, text=True, timeout=120, env=environment(), **kwargs,
    )  # fmt: skip


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Like `hwbench(…)`, but in this process, which is faster."""
    monkeypatch.setenv("COLUMNS", PYTHONPATH["COLUMNS"])

    def run(*words):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["hwbench", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        output, errors = capsys.readouterr()
        return subprocess.CompletedProcess(words, end.value.code, output, errors)

    return run


def assert_one_line(done, status, says):
    """One clear line on standard error, the promised status, and nothing of Python's own."""
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("hwbench: ")]
    assert len(lines) == 1, done.stderr
    assert re.search(says, lines[0]), lines[0]
    assert done.stdout == ""
