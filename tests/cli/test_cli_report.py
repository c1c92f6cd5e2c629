"""`hwbench report` in its formats, and the runs that `label:NAME[:N]` stands for."""

import csv
import io
import json
import shutil

import pyarrow.parquet as pq
import pytest
from commands import assert_one_line
from runs import make_run, measured

from hwbench.records import Case, Policy, Run
from hwbench.tables.schema import ADDED, VERSION_KEY
from hwbench.tables.writer import Writer

CASE = Case("gpt/train", {"size": "nano"}, "fp32")


def store(results, run_id: str, started_at: str, label: str = "main", processes: int = 3) -> Writer:
    policy = Policy(processes=processes)
    plan = {"policy": vars(policy), "cases": [vars(CASE) | {"case_id": CASE.case_id}]}
    writer = Writer(
        results, Run(run_id, started_at, label, "fake", "Fake device", {}, ["hwbench", "run"], plan)
    )
    for process in range(processes):
        writer.add(CASE, process, measured())
    return writer


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    for run_id, started_at in (
        ("c", "2026-11-24T09"),
        ("a", "2026-11-24T10"),
        ("b", "2026-11-24T08"),
    ):
        store(folder, run_id, started_at)
    return folder


def ids(text: str) -> list[str]:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return list(dict.fromkeys(row["run_id"] for row in rows))


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["label:main"], ["b", "c", "a"]),
        (["label:main:2"], ["c", "a"]),
        (["a", "label:main"], ["a", "b", "c"]),
        (["results/b", "b"], ["b"]),
    ],
)
def test_label_means_its_runs_oldest_first_each_once(call, results, words, found):
    done = call("report", *words, "--format", "csv")
    assert done.returncode == 0, done.stderr
    assert ids(done.stdout) == found


def test_without_a_file_the_text_goes_to_standard_output(call, results, tmp_path):
    markdown = call("report", "a", "--format", "markdown")
    assert (markdown.returncode, markdown.stderr) == (0, "")
    assert markdown.stdout.startswith("### hwbench report\n")
    data = json.loads(call("report", "label:main", "--format", "json").stdout)
    assert [run["run_id"] for run in data["runs"]] == ["b", "c", "a"]
    assert [point["run_id"] for point in data["history"]["points"]] == ["b", "c", "a"]
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("form", ["markdown", "csv", "json", "html"])
def test_a_file_holds_what_standard_output_would(call, results, tmp_path, form):
    done = call("report", "a", "--format", form, "-o", "deep/x")
    assert (done.returncode, done.stdout.strip()) == (0, "deep/x")
    text = (tmp_path / "deep" / "x").read_bytes().decode()
    if form == "html":
        assert text.startswith("<!DOCTYPE html>")
    else:
        assert text == call("report", "a", "--format", form).stdout


def test_without_a_format_it_is_a_page(call, results, tmp_path):
    assert call("report", "label:main").stdout.strip() == "reports/b.html"
    assert (tmp_path / "reports" / "b.html").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["a", "--format", "marckdown"], "unknown format 'marckdown'; did you mean markdown"),
        (["a", "--format", ""], "unknown format ''"),
        (["a", "--format", "csv", "-o", "results/a/runs/run.parquet/x"], "cannot be written"),
        (["a", "--format", "json", "-o", "results"], "is a directory"),
        (["label:none"], "no run in results has the label 'none'"),
        (["label:main:0"], "label:main:0: expected label:NAME or label:NAME:N"),
        (["absent", "--format", "csv"], "no run 'absent'"),
    ],
)
def test_error_is_one_line(call, results, words, says):
    assert_one_line(call("report", *words), 2, says)


@pytest.mark.parametrize("form", ["markdown", "csv", "json", "html"])
def test_unfinished_run_is_reported_as_far_as_it_is_stored(call, results, form):
    make_run(results, "new", [CASE]).add(CASE, 0, measured())
    shutil.rmtree(results / "new" / "measurements")
    done = call("report", "new", "a", "--format", form)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("form", ["markdown", "csv", "json", "html"])
def test_a_run_of_the_first_schema_is_read_as_it_is(call, results, form):
    assert {folder.name for folder in (results / "a").iterdir()} == {
        "runs",
        "measurements",
        "samples",
        "spans",
    }
    for part in (results / "a" / "measurements").glob("*.parquet"):
        table = pq.ParquetFile(part).read().drop_columns(list(ADDED["measurements"]))
        pq.write_table(table.replace_schema_metadata({VERSION_KEY: b"1"}), part)
    done = call("report", "a", "b", "--format", form)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_damaged_run_of_a_label_is_left_out_with_a_warning(call, results):
    part = next((results / "c" / "samples").glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-50])
    done = call("report", "label:main", "--format", "json")
    assert done.returncode == 0
    assert "warning:" in done.stderr
    assert "left out" in done.stderr
    assert [run["run_id"] for run in json.loads(done.stdout)["runs"]] == ["b", "a"]
    assert call("report", "c", "--format", "json").returncode == 2


def test_figures_go_into_a_folder_and_their_paths_are_printed(call, results, tmp_path):
    done = call("report", "a", "--figures", "plots", "--figure-format", "svg, pdf")
    assert done.returncode == 0, done.stderr
    paths = done.stdout.splitlines()
    assert paths[:2] == [f"plots/throughput-tokens-per-s.{form}" for form in ("svg", "pdf")]
    assert sorted(paths) == sorted(f"plots/{file.name}" for file in (tmp_path / "plots").iterdir())
    assert not (tmp_path / "reports").exists()


def test_figures_are_png_unless_asked_otherwise(call, results, tmp_path):
    assert call("report", "a", "b", "--figures", "plots").returncode == 0
    assert {file.suffix for file in (tmp_path / "plots").iterdir()} == {".png"}
    assert (tmp_path / "plots" / "throughput-ratios.png").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--figures", "file"], "hwbench: file: is a file; name a folder"),
        (["--figures", "/proc/plots"], "hwbench: /proc/plots: cannot be written: No such file"),
        (["--figures", "x", "--figure-format", "pgn"], "unknown figure format 'pgn'"),
        (["--figures", "x", "-o", "page.html"], "--figures writes no page; leave out -o"),
        (["--figures", "x", "--format", "html"], "--figures writes no page"),
        (["--figure-format", "svg"], "--figure-format needs --figures FOLDER"),
    ],
)
def test_figures_that_cannot_be_written_are_one_line(call, results, tmp_path, words, says):
    (tmp_path / "file").write_text("")
    done = call("report", "a", *words)
    assert_one_line(done, 2, says)
    assert (tmp_path / "file").read_text() == ""


def test_a_run_without_a_figure_is_one_line(call, results, tmp_path):
    store(results, "empty", "2026-11-24T11", processes=0)
    assert_one_line(call("report", "empty", "--figures", "plots"), 2, "nothing to draw")
