"""`hwbench profile` as a user meets it: one real run, and what is refused before anything is
measured."""

import gzip
import json
import subprocess
from pathlib import Path

import pytest
from commands import assert_one_line, hwbench

from hwbench import tables

NANO = [
    "--device",
    "cpu",
    "--set",
    "size=nano",
    "--set",
    "batch=2",
    "--set",
    "seq=32",
    "--dtype",
    "fp32",
]
SMALL = ["--workloads", str(Path(__file__).parent.with_name("small_ceilings.py"))]
QUICK = [*SMALL, "--min-time", "0", "--max-time", "0.05", "--min-samples", "3"]


@pytest.fixture(scope="module")
def profiled(tmp_path_factory) -> tuple[subprocess.CompletedProcess[str], dict]:
    words = ["profile", "gpt/train", *NANO, *QUICK, "--json", "--trace", "trace.json.gz"]
    for _ in range(3):  # beside other work a profile may find that it was disturbed
        folder = tmp_path_factory.mktemp("profile")
        done = hwbench(*words, cwd=folder)
        found = json.loads(done.stdout) | {"cwd": folder}
        if found["waterfall"]:
            break
    return done, found


def test_the_parts_of_the_waterfall_sum_to_the_clean_step(profiled):
    done, found = profiled
    assert done.returncode == 0
    assert [part["part"] for part in found["waterfall"]] == [
        "compute", "memory", "launch_and_idle", "framework", "rest",
    ]  # fmt: skip
    assert sum(part["seconds"] for part in found["waterfall"]) == pytest.approx(
        found["clean_step_s"], rel=0.01
    )
    assert all(part["seconds"] >= 0 for part in found["waterfall"])
    assert len(found["sentences"]) <= 3  # none where something else ran meanwhile


def test_clean_step_comes_from_the_timed_window(profiled):
    run = tables.read_run(profiled[1]["cwd"] / "results" / profiled[1]["run_id"])
    case_id = run.profiles.case_id.iloc[0]
    timed = run.samples[(run.samples.case_id == case_id) & ~run.samples.warmup]
    assert profiled[1]["clean_step_s"] == pytest.approx(timed.step_s.median())
    assert {"gemm", "copy", "gpt/train"} == set(run.measurements.workload)
    assert run.profiles.process.tolist() == [0]
    assert len(run.ops) > 100
    assert len(run.modules) >= 10
    assert len(run.memory) > 100


def test_the_trace_and_the_page_are_where_it_says(profiled):
    done, found = profiled
    trace = json.loads(gzip.decompress((found["cwd"] / "trace.json.gz").read_bytes()))
    assert any(
        event.get("args", {}).get("name") == "modules, backward" for event in trace["traceEvents"]
    )
    assert "trace.json.gz (opens in ui.perfetto.dev)" in done.stderr
    assert not {"host_name", "traceName"} & trace.keys()  # traces are shown to others
    assert (found["cwd"] / "results" / found["run_id"] / "report.html").is_file()


def test_diff_of_a_run_with_itself_is_empty(profiled):
    found = profiled[1]
    done = hwbench(
        "profile", "--diff", found["run_id"], found["run_id"], "--json", cwd=found["cwd"]
    )
    assert done.returncode == 0
    assert all(row["difference_s"] == 0 for row in json.loads(done.stdout)["rows"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "name a workload to profile"),
        (["gpt/trian"], "unknown workload 'gpt/trian'; did you mean gpt/train"),
        (["gpt/train", "--set", "batch=1,2"], "a profile is of one case, these are 2"),
        (["gpt/train", "--set", "batch=max"], "batch=max is for `hwbench run`"),
        (["gpt/train", "--trace", "trace.txt"], r"a trace is a file \*.json or \*.json.gz"),
        (["gpt/train", "--trace", "nowhere/trace.json"], "name a file in a folder that exists"),
        (["gpt/train", "--max-time", "-1"], "max_time_s = -1"),
        (["--diff", "a", "b"], "no run 'a'"),
        (["gpt/train", "--diff", "a", "b"], "it takes no workload"),
    ],
)
def test_bad_usage_is_refused_before_measuring(call, tmp_path, words, says):
    assert_one_line(call("profile", *words), 2, says)
    assert not (tmp_path / "results").exists()


def test_unsupported_case_has_a_reason_no_profile_and_no_ceilings(call, tmp_path):
    """An answer, not a failure: 512 tokens are more than nano has positions."""
    words = [
        "profile",
        "gpt/train",
        "--device",
        "cpu",
        "--set",
        "size=nano",
        "--set",
        "seq=512",
        *QUICK,
        "--json",
    ]
    done = call(*words)
    assert done.returncode == 0
    assert json.loads(done.stdout)["outcome"] == "unsupported"
    assert "no profile: gpt/train size=nano batch=4 seq=512" in done.stderr
    (folder,) = (tmp_path / "results").iterdir()
    run = tables.read_run(folder)
    assert set(run.measurements.workload) == {"gpt/train", "gemm", "copy"}
    assert set(run.measurements.outcome) == {"unsupported"}
