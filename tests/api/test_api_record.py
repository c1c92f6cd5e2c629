"""What `hwbench run` does, as a function."""

from pathlib import Path

import pytest

import hwbench

FAKE = str(Path(__file__).parents[1] / "fake_workloads.py")


def test_record_returns_the_run_that_it_stored(tmp_path):
    phases = []
    run = hwbench.record(
        "fake/known",
        device="fake",
        processes=2,
        name="main",
        output=tmp_path,
        workload_files=[FAKE],
        on_progress=lambda progress: phases.append(progress.kind),
    )
    assert list(run.cases.outcome) == ["ok"]
    assert run.label == "main"
    assert run.folder.parent == tmp_path
    assert (run.folder / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert hwbench.load("label:main", results=tmp_path)[0].run_id == run.run_id
    assert phases.count("done") == 2


def test_record_sweeps_a_list(tmp_path):
    run = hwbench.record(
        "gemm", n=[16, 32], dtype="fp32", device="cpu", processes=1, min_time_s=0.01,
        max_time_s=0.02, output=tmp_path,
    )  # fmt: skip
    assert [params["n"] for params in run.cases.params] == [16, 32]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"n": 0}, "n=0"),
        ({"nn": 1}, "did you mean n"),
        ({"processes": 0}, "processes = 0"),
        ({"suite": "nope"}, "nope"),
        ({"device": "gpu"}, "unknown device"),
        ({"name": "a b"}, "name"),
        ({"workload_files": "nope.py"}, "nope.py: no such"),
    ],
)
def test_record_refuses_before_anything_is_stored(tmp_path, asked, message):
    with pytest.raises(hwbench.UserError, match=message):
        hwbench.record("gemm", **{"device": "cpu", "output": tmp_path / "results"} | asked)
    assert not (tmp_path / "results").exists()


def test_workloads_are_named():
    with pytest.raises(hwbench.UserError, match="by its name, not a list"):
        hwbench.record(["gemm"])
