"""pyperf's JSON as a run."""

import json

import pytest
from foreign import (
    DROP,
    FILES,
    SOURCES,
    changed,
    read_changed,
    reason_among_others,
    refusal,
    steps_of,
    written,
)

from hwbench.records import UserError
from hwbench.tables import importers

TOOL = "pyperf"
FIRST = ("benchmarks", 0)
FOUND = importers.read(TOOL, [FILES[TOOL]])
ENTRIES = SOURCES[TOOL]["benchmarks"]
RUNS = ENTRIES[0]["runs"]


def test_each_run_with_values_is_a_process():
    assert RUNS[0].get("values") is None  # it calibrates
    processes = [process for case, process in FOUND.measured if case.workload == "pyperf/sort"]
    assert [steps_of(process) for process in processes] == [run["values"] for run in RUNS[1:]]


def test_warm_ups_are_flagged():
    seconds = [seconds for _, seconds in RUNS[1]["warmups"]]
    assert steps_of(FOUND.measured[0][1], warmup=True) == seconds


def test_the_machine_and_the_memory_are_stored():
    about = SOURCES[TOOL]["metadata"]
    assert FOUND.device_name == about["cpu_model_name"]
    assert FOUND.environment["packages"] == {"pyperf": about["perf_version"]}
    peak = RUNS[1]["metadata"]["mem_max_rss"]
    assert FOUND.measured[0][1].window.memory_peak_bytes == peak
    assert about["python_executable"] not in json.dumps(FOUND.environment)


def test_files_of_two_machines_do_not_mix(tmp_path):
    other = written(tmp_path, changed(TOOL, "metadata", "cpu_model_name", to="Another CPU"))
    with pytest.raises(UserError, match=r"file\.json: measured on Another CPU, and "):
        importers.read(TOOL, [FILES[TOOL], other])


def test_a_file_that_only_calibrates_has_no_benchmark(tmp_path):
    with pytest.raises(UserError, match="no benchmark in it"):
        read_changed(tmp_path, TOOL, "benchmarks", to=[ENTRIES[0] | {"runs": RUNS[:1]}])


WRONG = {
    "no benchmarks": (("benchmarks",), DROP, "the file has no benchmarks"),
    "another version": (("version",), "5.3.1", "its format is '5.3.1', not '1.0'"),
    "twice the same name": (("benchmarks",), ENTRIES[:1] * 2, "two benchmarks are called sort"),
    "a nameless benchmark": ((*FIRST, "metadata"), {}, "the metadata of a benchmark has no name"),
}
UNUSABLE = {
    "another unit": ((*FIRST, "metadata", "unit"), "byte", "sort is in byte; only times"),
    "an odd warm-up": ((*FIRST, "runs", 1, "warmups"), [3], "sort has a time that is"),
    **{
        f"a time of {bad}": ((*FIRST, "runs", 1, "values", 0), bad, "sort has a time that is")
        for bad in (-1e-6, float("nan"), float("inf"), 10**400, "1", None, True)
    },
}


@pytest.mark.parametrize(("path", "to", "says"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused_in_one_line(tmp_path, path, to, says):
    assert says in refusal(tmp_path, TOOL, *path, to=to)


@pytest.mark.parametrize(("path", "to", "says"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_has_no_times_is_a_row_with_the_reason_among_others(tmp_path, path, to, says):
    assert says in reason_among_others(read_changed(tmp_path, TOOL, *path, to=to))
