"""The peak memory of a metered command: what the kernel knows, and what it does not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel is Linux")

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
PROGRAM = """
import json, sys
from dataclasses import asdict
from hwbench.meters import child, starter
from hwbench.meters.command import run_metered
exec(sys.argv[2])
done = [run_metered(words) for words in json.loads(sys.argv[1])]
print(json.dumps([[one.exit_status, one.memory_peak and asdict(one.memory_peak)] for one in done]))
"""


def run(commands, before=""):
    """The exit status of each command, and its peak. They run in another process, which becomes
    the parent of all that leave them. A shell starts it: a process has at least the peak of whoever
    started it, and that of a test run is a gigabyte."""
    shell = ["sh", "-c", '"$@"; exit $?', "sh"]
    program = [*shell, sys.executable, "-W", "error", "-c", PROGRAM, json.dumps(commands), before]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HWBENCH_POWERCAP": "/nowhere"}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def hold(mebibytes, after_s=0.0, then=""):
    """A Python that holds so much memory from `after_s` on."""
    code = f"import os, time; time.sleep({after_s}); block = b'x' * ({mebibytes} << 20); {then}"
    return [sys.executable, "-I", "-S", "-c", code]


def quoted(words):
    return " ".join(f"'{word}'" if " " in word else word for word in words).replace("'x'", '"x"')


FORK = "children = [os.fork() for _ in range(2)]; time.sleep(0.6); "
FORK += "all(children) and [os.waitpid(child, 0) for child in children]"
COMMANDS = {
    # what is touched late, between two looks of the meters
    "late": (hold(120, 0.4), 120, 140, "exact"),
    "small": (hold(30), 30, 45, "exact"),
    "tiny": (["true"], 1, 16, "at most"),
    # four processes share what the first one holds: the sum of their memory would be 480 MiB
    "shared": (hold(120, then=FORK), 120, 170, "at least"),
    "child": (["sh", "-c", f"{quoted(hold(60))}; true"], 60, 80, "at least"),
    # the parent between it and the command has ended
    "daemon": (["sh", "-c", f"({quoted(hold(60))} &); sleep 0.6"], 60, 80, "at least"),
    # last, as what it leaves would count with the next
    "left behind": (["sh", "-c", f"{quoted(hold(60, 1.0))} & sleep 0.1"], 0, 60, "at least"),
}


@pytest.fixture(scope="module")
def peaks():
    done = run([words for words, *_ in COMMANDS.values()])
    assert [status for status, _ in done] == [0] * len(COMMANDS)
    return dict(zip(COMMANDS, (peak for _, peak in done), strict=True))


@pytest.mark.parametrize("name", COMMANDS)
def test_peak_is_the_kernels_or_says_that_it_is_a_bound(peaks, name):
    _, least, most, bound = COMMANDS[name]
    assert peaks[name]["bound"] == bound
    assert least * MIB <= peaks[name]["value"] <= most * MIB


@pytest.mark.parametrize(
    "before",
    [
        "child._become_subreaper = lambda: False",  # not Linux
        "starter.__file__ = '/dev/null'",  # the small interpreter does nothing
        "sys.executable = '/nowhere/python'",
    ],
)
def test_command_is_measured_without_the_small_interpreter(before):
    """Its peak is then known only if it exceeds hwbench's own, and nobody knows its processes."""
    commands = [hold(400), ["sh", "-c", "exit 3"], ["no-such-command"]]
    (_, peak), *others = run(commands, before)
    assert peak["bound"] == "at least"
    assert 400 * MIB <= peak["value"] <= 420 * MIB
    assert [status for status, _ in others] == [3, 127]


@pytest.mark.parametrize("shell", [[], ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]])
def test_command_has_the_surroundings_that_it_would_have_alone(shell):
    """The small interpreter leaves it no file, no blocked and no ignored signal; what was ignored
    before stays so."""
    look = "import os; print(sorted(os.listdir('/proc/self/fd')), os.getpgid(0) != os.getpid(), "
    look += "[line for line in open('/proc/self/status') if line[:6] in ('SigBlk', 'SigIgn')])"
    words = [sys.executable, "-I", "-S", "-c", look]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    metered = [sys.executable, "-m", "hwbench", "meter", "--json", os.devnull, "--", *words]
    shown = [
        subprocess.run(
            [*shell, *command], env=environment, capture_output=True, text=True, timeout=60
        )
        for command in (words, metered)
    ]
    assert shown[0].stdout == shown[1].stdout != ""
