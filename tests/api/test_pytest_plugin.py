"""The fixture that measures in other people's tests, in a pytest of its own."""

import subprocess
import sys

import pytest

import hwbench

TESTS = """
import math
import pytest

SHORT = dict(device="cpu", min_time_s=0.02, max_time_s=0.05)

@pytest.mark.parametrize("n", [1000, 2000])
def test_sum(hwbench_measure, n):
    found = hwbench_measure(lambda: math.fsum(range(n)), **SHORT)
    assert found.window.timed_steps > 0

@pytest.mark.parametrize("thing", [object()])
def test_two_steps(hwbench_measure, thing):
    hwbench_measure(lambda: math.fsum(range(999)), name="a", **SHORT)
    hwbench_measure(lambda: math.fsum(range(999)), name="b", **SHORT)

def test_plain():
    with open("plain", "a") as file:
        file.write("x")
"""

BROKEN = """
def test_raises(hwbench_measure):
    hwbench_measure(lambda: 1 / 0, device="cpu")

def test_twice(hwbench_measure):
    for _ in range(2):
        hwbench_measure(lambda: None, device="cpu", min_time_s=0.01, max_time_s=0.02)
"""


@pytest.fixture
def run_pytest(tmp_path):
    def run(tests, *words):
        (tmp_path / "test_it.py").write_text(tests)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
        return subprocess.run([*command, *words], cwd=tmp_path, capture_output=True, text=True)

    return run


def test_a_session_becomes_a_run_of_fresh_processes(run_pytest, tmp_path):
    done = run_pytest(TESTS, "--hwbench-processes", "3", "--hwbench-name", "main")
    assert done.returncode == 0, done.stdout
    run = hwbench.load("label:main", results=tmp_path / "results")[0]
    assert f"run {run.run_id}" in done.stdout
    assert list(run.cases.workload) == [
        "pytest/test_it.py::test_sum",
        "pytest/test_it.py::test_sum",
        "pytest/test_it.py::test_two_steps:a",
        "pytest/test_it.py::test_two_steps:b",
    ]
    assert list(run.cases.params)[:2] == [{"n": 1000}, {"n": 2000}]
    assert list(run.cases.processes) == [3, 3, 3, 3]
    assert run.metrics.ci_low.notna().any()
    assert (tmp_path / "plain").read_text() == "x"  # what measures nothing ran once


def test_one_process_has_no_interval_and_the_cure_is_named(run_pytest, tmp_path):
    done = run_pytest(TESTS, "-k", "two_steps", "--hwbench-output", "elsewhere")
    assert "--hwbench-processes 5" in done.stdout
    assert len(list((tmp_path / "elsewhere").iterdir())) == 1


def test_a_step_that_raises_is_a_failed_case_and_a_failed_test(run_pytest, tmp_path):
    done = run_pytest(BROKEN)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stdout
    assert "tell the steps apart by name=" in done.stdout
    (folder,) = (tmp_path / "results").iterdir()
    outcomes = hwbench.load(folder)[0].cases.set_index("workload").outcome
    assert outcomes["pytest/test_it.py::test_raises"] == "error"
    assert outcomes["pytest/test_it.py::test_twice"] == "ok"


FAILS_LATER = """
import os

def test_here(hwbench_measure, pytestconfig):
    assert not pytestconfig.getoption("--hwbench-part")
    hwbench_measure(lambda: 1, device="cpu", min_time_s=0.01, max_time_s=0.02)

def test_ends(hwbench_measure, pytestconfig):
    if pytestconfig.getoption("--hwbench-part"):
        os._exit(3)
    hwbench_measure(lambda: 1, device="cpu", min_time_s=0.01, max_time_s=0.02)
"""


@pytest.mark.parametrize(("test", "why"), [("here", ""), ("ends", "pytest exited with 3")])
def test_a_process_that_measured_nothing_fails_the_session(run_pytest, test, why):
    done = run_pytest(FAILS_LATER, "--hwbench-processes", "2", "-k", test)
    assert done.returncode == 1
    assert f"test_it.py::test_{test}: measured in 1 of 2 processes" in done.stdout
    assert why in done.stdout


def test_a_folder_that_cannot_be_written_fails_the_session(run_pytest, tmp_path):
    (tmp_path / "file").write_text("")
    done = run_pytest(TESTS, "-k", "two_steps", "--hwbench-output", "file")
    assert done.returncode == 1
    assert "cannot write to file" in done.stdout


@pytest.mark.slow
def test_nothing_measured_stores_nothing(run_pytest, tmp_path):
    done = run_pytest(TESTS, "-k", "plain")
    assert done.returncode == 0
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_side_by_side_tests_are_skipped(run_pytest):
    done = run_pytest(TESTS, "-n", "2", "-rs")
    assert "run without -n" in done.stdout


def test_a_number_of_processes_below_one_is_a_usage_error(run_pytest):
    done = run_pytest(TESTS, "--hwbench-processes", "0")
    assert done.returncode == 4
    assert "--hwbench-processes: expected 1 or more" in done.stderr
