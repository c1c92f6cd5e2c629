"""Files that commands write: refused before the work, and what is no file is neither replaced nor
waited for without end."""

import os
import threading
from pathlib import Path

import pytest
from commands import FAKE, assert_one_line
from runs import make_run, measured

from hwbench.cli import targets
from hwbench.records import Case, UserError

CASE = Case("gpt/train", {"size": "nano"}, "fp32")


@pytest.fixture
def place(tmp_path):
    """A folder with things in it that are no place for a file."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    for name in ("a", "b"):
        writer = make_run(tmp_path / "results", name, [CASE])
        for process in range(2):
            writer.add(CASE, process, measured())
    return tmp_path


BAD = {
    "loop": "Too many levels of symbolic links",
    "loop/x.json": "Too many levels of symbolic links",
    "folder": "folder|directory",
    "file/x.json": "Not a directory",
    "x" * 300: "File name too long",
    "new/" + "y" * 256: "File name too long",
    "caf\udce9.html": r"caf\\udce9.html: not in the encoding",
}

WRITING = {
    "report": ["report", "a", "-o"],
    "junit": ["gate", "--baseline", "a", "--candidate", "b", "--junit"],
    "markdown": ["gate", "--baseline", "a", "--candidate", "b", "--markdown"],
}


@pytest.mark.parametrize(("file", "says"), BAD.items())
@pytest.mark.parametrize("words", WRITING.values(), ids=WRITING)
def test_what_cannot_be_written_is_refused_before_a_run_is_read(
    place, call, monkeypatch, words, file, says
):
    monkeypatch.setattr("hwbench.tables.read_run", None)
    assert_one_line(call(*words, file), 2, says)
    assert (place / "loop").is_symlink()


# a folder is just where results go
@pytest.mark.parametrize(("file", "says"), [one for one in BAD.items() if one[0] != "folder"])
@pytest.mark.parametrize(
    "words",
    [["run", "fake/known", *FAKE, "--output"], ["noise", "fake/known", *FAKE[:4], "--output"]],
    ids=["run", "noise"],
)
def test_results_are_refused_before_a_device_is_asked(place, call, monkeypatch, words, file, says):
    monkeypatch.setattr("hwbench.recording.session.describe_device", None)
    assert_one_line(call(*words, file), 2, says)


def test_figures_are_refused_before_a_run_is_read(place, call, monkeypatch):
    monkeypatch.setattr("hwbench.tables.read_run", None)
    for file in ("loop", "pipe", "x" * 300):
        assert_one_line(call("report", "a", "--figures", file), 2, f"{file}: cannot be written")
    assert_one_line(call("report", "a", "--figures", "file"), 2, "file: is a file; name a folder")


def test_a_trace_is_refused_before_the_plan(place, call, monkeypatch):
    monkeypatch.setattr("hwbench.cli.profile.plan_of", None)
    (place / "t.json").symlink_to("t.json")
    says = "Too many levels of symbolic links"
    assert_one_line(call("profile", "gpt/train", "--trace", "t.json"), 2, says)


def test_nothing_is_made_where_a_command_is_refused(tmp_path, call):
    assert call("run", "fake/known", *FAKE, "--device", "none", "--output", "x/y").returncode == 2
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["z" * 250, "é" * 127, "a.html"])
def test_a_name_may_be_as_long_as_names_may_be(tmp_path, name):
    targets.write_page(tmp_path / name, "µ")
    assert (tmp_path / name).read_bytes() == "µ".encode()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_pipe_waits_for_its_reader_but_not_for_ever(place, monkeypatch):
    monkeypatch.setattr(targets, "PIPE_S", 0.2)
    with pytest.raises(UserError, match="pipe: cannot be written: nobody reads this pipe"):
        targets.write_page(place / "pipe", "text")
    monkeypatch.setattr(targets, "PIPE_S", 10)
    texts: list[str] = []
    read = threading.Thread(target=lambda: texts.append((place / "pipe").read_text()))
    threading.Timer(0.2, read.start).start()
    targets.write_page(place / "pipe", "text")
    read.join(10)
    assert texts == ["text"]


def test_an_open_file_goes_on_where_it_is(tmp_path):
    with (tmp_path / "log").open("w", encoding="utf-8") as log:
        log.write("before\n")
        log.flush()
        targets.write_page(Path(f"/dev/fd/{log.fileno()}"), "page\n")
        os.lseek(log.fileno(), 0, os.SEEK_END)
        log.write("after\n")
    assert (tmp_path / "log").read_text(encoding="utf-8") == "before\npage\nafter\n"


def test_a_reader_that_leaves_a_pipe_has_seen_enough(place):
    gone = threading.Thread(target=lambda: (place / "pipe").open("rb").close())
    gone.start()
    targets.write_page(place / "pipe", "x" * 1_000_000)
    gone.join(10)


@pytest.mark.parametrize("summary", ["pipe", "loop", "folder"])
def test_a_summary_that_cannot_be_written_leaves_the_verdict(place, call, monkeypatch, summary):
    monkeypatch.setattr(targets, "PIPE_S", 0.1)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(place / summary))
    done = call("gate", "--baseline", "a", "--candidate", "b")
    assert done.returncode == 0
    assert f"warning: {place / summary}: cannot be written: " in done.stderr


def test_a_metered_command_may_have_any_bytes(tmp_path, call):
    done = call("meter", "--output", "r", "--", "sh", "-c", "exit 3", "caf\udce9")
    assert done.returncode == 3, done.stderr
    (run,) = (tmp_path / "r").iterdir()
    assert call("summarize", run.name, "--output", "r").returncode == 0
    assert call("report", run.name, "--output", "r", "-o", "x.html").returncode == 0
    assert Path(tmp_path / "x.html").is_file()
