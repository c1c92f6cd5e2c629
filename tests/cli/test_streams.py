"""The exit status belongs to the work, whatever becomes of the output; and what output may hold."""

import io
import json
import os
import shlex
import subprocess
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout

import pytest
from commands import FAKE, environment
from rich.text import Text
from runs import make_run, measured

from hwbench.cli import console, main, options, streams
from hwbench.records import Case, Policy
from hwbench.report.terminal.tables import table_of, words
from hwbench.tables.reader import read_run

NAME = "a\n::stop-commands::x\x1b]0;t\x07 ##[add-mask]b \u202eµ"
"""A name that nobody gives in good faith."""

SHOWN = r"a\n::stop-commands::x\x1b]0;t\x07 #\x23[add-mask]b \u202eµ"

SHOWING = {
    "report": ["report", "a", "--format", "csv"],
    "report json": ["report", "a", "--format", "json"],
    "compare": ["compare", "a", "b"],
    "summarize": ["summarize", "a"],
    "list": ["list", "--workloads", FAKE[3]],
    "meter list": ["meter", "--list"],
    "completion": ["completion"],
    "help": ["--help"],
}
WORKING = {
    "gate": (["gate", "--baseline", "a", "--candidate", "a2"], 0),
    "slower": (["gate", "--baseline", "a", "--candidate", "b"], 1),
    "no verdict": (["gate", "--baseline", "none", "--candidate", "a"], 3),
    "run": (["run", "fake/known", *FAKE, "--run-id", "r"], 0),
    "failing run": (["run", "fake/raises", *FAKE, "--run-id", "r"], 1),
    "meter": (["meter", "--", "sh", "-c", "exit 7"], 7),
}
"""Commands whose result is stored, or is their exit status."""


@pytest.fixture
def status(tmp_path, monkeypatch):
    """Run a command in this process with file descriptors as its streams. Returns its status."""
    case = Case("gpt/train", {"size": "nano"}, "fp32")
    for name, step_s in (("a", 0.01), ("a2", 0.01), ("b", 0.02)):
        writer = make_run(tmp_path / "results", name, [case], policy=Policy(processes=3))
        for process in range(3):
            writer.add(case, process, measured(step_s))
    monkeypatch.chdir(tmp_path)

    def run(command, output, errors) -> int:
        monkeypatch.setattr(sys, "argv", ["hwbench", *command])
        with (
            os.fdopen(os.dup(output), "w", encoding="utf-8") as stdout,
            os.fdopen(os.dup(errors), "w", encoding="utf-8") as stderr,
            redirect_stdout(stdout),
            redirect_stderr(stderr),
            pytest.raises(SystemExit) as end,
        ):
            main()
        return end.value.code

    return run


@pytest.fixture
def broken():
    """The end of a pipe whose reader has left."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.fixture
def full():
    """A disk without room."""
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    device = os.open("/dev/full", os.O_WRONLY)
    yield device
    os.close(device)


@pytest.fixture
def file(tmp_path):
    """A file that takes all."""
    handle = os.open(tmp_path / "errors", os.O_RDWR | os.O_CREAT)
    yield handle
    os.close(handle)


def content(handle: int) -> str:
    return os.pread(handle, 1 << 20, 0).decode()


@pytest.mark.parametrize("words", SHOWING.values(), ids=SHOWING)
def test_a_reader_that_leaves_changes_no_status(status, broken, words):
    assert status(words, broken, broken) == 0


@pytest.mark.parametrize(("words", "promised"), WORKING.values(), ids=WORKING)
def test_the_work_ends_as_it_would_without_a_reader(status, broken, words, promised, tmp_path):
    assert status(words, broken, broken) == promised
    if words[0] == "run":
        folder = tmp_path / "results" / "r"
        assert len(read_run(folder).measurements) == 1
        assert (folder / "report.html").is_file()


@pytest.mark.parametrize("words", SHOWING.values(), ids=SHOWING)
def test_what_a_command_only_shows_must_not_be_lost_on_a_full_disk(status, full, file, words):
    assert status(words, full, file) == 2
    assert content(file) == "hwbench: standard output: No space left on device\n"


@pytest.mark.parametrize(("words", "promised"), WORKING.values(), ids=WORKING)
def test_a_full_disk_changes_no_status_of_the_work(status, full, file, words, promised):
    assert status(words, full, file) == promised
    lost = "hwbench: standard output: No space left on device; the rest of it is lost\n"
    assert content(file).count(lost) == (promised != 3)  # without a verdict there is no table


@pytest.mark.parametrize("words", [["list", "--workloads", FAKE[3]], ["gate", "--help"]])
def test_a_full_standard_error_changes_no_status(status, full, file, words):
    assert status(words, file, full) == 0
    assert content(file)


def test_the_process_ends_well_without_any_stream(tmp_path, broken):
    command = [sys.executable, "-m", "hwbench", "completion"]
    done = subprocess.run(command, stdout=broken, stderr=subprocess.PIPE, env=environment())
    assert (done.returncode, done.stderr) == (0, b"")
    closed = f"exec {shlex.join(command)} <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", closed], env=environment()).returncode == 0


def written(encoding: str, write) -> bytes:
    """What arrives on standard output in this encoding."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    with redirect_stdout(stream), streams.prepared():
        write()
    return raw.getvalue()


def test_a_name_starts_no_line_and_no_command_of_a_log():
    def write() -> None:
        options.print_line(NAME)
        options.print_line("  ::add-mask::x")
        options.print_heading("::warning::x", NAME)
        options.print_table(table_of(words("case", "::error::"), [[NAME, "x"], ["::group::", "y"]]))

    text = written("utf-8", write).decode()
    assert text.splitlines()[:3] == [
        SHOWN,
        r"  \x3a:add-mask::x",
        rf"\x3a:warning::x{SHOWN}",
    ]
    assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]
    assert set("\x1b\x07\u202e").isdisjoint(text)
    assert "##[" not in text


def test_cells_that_are_texts_already_are_escaped_too(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    with redirect_stdout(stream):
        console.output_console().print(Text("a\x1b]0;t\x07", "bold"))
    assert stream.getvalue() == "\x1b[1ma\\x1b]0;t\x1b[0m\n"  # rich drops the bell


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "4.6 µs ±1 × 2 – é 漢 \\udcff"),
        ("latin-1", "4.6 µs ±1 × 2 - é \\u6f22 \\udcff"),
        ("ascii", "4.6 us +-1 x 2 - \\xe9 \\u6f22 \\udcff"),
    ],
)
def test_an_encoding_that_lacks_a_sign_gets_another(encoding, shown):
    text = "4.6 µs ±1 × 2 – é 漢 \udcff"
    table = table_of(words("case"), [[text]])
    assert written(encoding, lambda: options.print_line(text)).decode(encoding) == f"{shown}\n"
    lines = written(encoding, lambda: options.print_table(table)).decode(encoding).splitlines()
    assert lines[1] == shown


@pytest.mark.parametrize("words", [["summarize", "r"], ["report", "r", "-o", "new.html"]])
def test_a_locale_of_ascii_is_no_fault(status, tmp_path, words):
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    assert status(["run", "fake/known", *FAKE, "--run-id", "r"], 1, 2) == 0
    done = subprocess.run(
        [sys.executable, "-m", "hwbench", *words],
        env=environment(**ascii_only), cwd=tmp_path, capture_output=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
    if words[0] == "report":
        assert "µ" in (tmp_path / "new.html").read_text(encoding="utf-8")


def test_json_stays_json_in_a_log_and_keeps_texts():
    text = written("ascii", lambda: options.print_json({NAME: "\x7f##vso[x"})).decode("ascii")
    assert json.loads(text) == {NAME: "\x7f##vso[x"}
    assert "##" not in text
    assert "\x7f" not in text


def test_a_pipe_that_is_full_and_does_not_block_is_waited_for():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with open(reading, "rb") as reader, open(writing, "w", encoding="utf-8") as stream:
        got: list[bytes] = []
        thread = threading.Thread(target=lambda: got.append(reader.read(300_001)))
        thread.start()
        with redirect_stdout(stream), streams.prepared():
            options.print_line("x" * 300_000)
        thread.join(10)
    assert len(got[0]) == 300_001
