"""pytest-benchmark's JSON as a run."""

import json

import pytest
from foreign import DROP, FILES, SOURCES, changed, read_changed, steps_of, written

from hwbench.records import UserError
from hwbench.tables import importers

TOOL = "pytest-benchmark"
FIRST = ("benchmarks", 0)
FOUND = importers.read(TOOL, [FILES[TOOL]])
ENTRIES = SOURCES[TOOL]["benchmarks"]


def test_each_benchmark_is_a_case_and_each_round_a_sample():
    for (case, process), entry in zip(FOUND.measured, ENTRIES, strict=True):
        assert case.workload == f"pytest-benchmark/{entry['fullname']}"
        assert steps_of(process) == entry["stats"]["data"]


def test_parameters_are_parameters():
    assert [dict(case.params) for case, _ in FOUND.measured] == [{}, {"n": 10}, {"n": 1000}]


def test_start_times_and_memory_are_unknown():
    window = FOUND.measured[0][1].window
    assert set(window.samples.start_ns) == {None}
    assert window.window_s == pytest.approx(sum(window.samples.step_s))
    assert window.memory_peak_bytes is None


def test_the_machine_is_stored_without_its_name():
    info = SOURCES[TOOL]["machine_info"]
    assert FOUND.device_name == info["cpu"]["brand_raw"]
    assert FOUND.environment["python"] == info["python_version"]
    assert FOUND.environment["git"]["commit"] == SOURCES[TOOL]["commit_info"]["id"]
    assert info["node"] not in json.dumps(FOUND.environment)


def test_a_name_that_parquet_cannot_hold_is_escaped(tmp_path):
    name = "half a pair: \ud800"
    case, _ = read_changed(tmp_path, TOOL, *FIRST, "fullname", to=name).measured[0]
    assert case.workload == "pytest-benchmark/half a pair: \\ud800"


def test_parameters_that_are_no_words_or_numbers_become_text(tmp_path):
    odd = {"shape": [1, 2], "x": float("nan"), "name": "a", "none": None}
    case, _ = read_changed(tmp_path, TOOL, *FIRST, "params", to=odd).measured[0]
    assert dict(case.params) == {"shape": "[1, 2]", "x": "NaN", "name": "a", "none": None}


CURE = "save it with --benchmark-json FILE or --benchmark-save-data"
WRONG = {
    "no machine": (("machine_info",), DROP, "the file has no machine_info"),
    "a benchmark that is a number": (FIRST, 3, "a benchmark has no fullname"),
    "no single times": ((*FIRST, "stats"), {"median": 1.0}, f"has no single times; {CURE}"),
    "no rounds": ((*FIRST, "stats", "data"), [], "has no times"),
    "twice the same": (("benchmarks",), ENTRIES[:1] * 2, "two benchmarks are called"),
}


@pytest.mark.parametrize(("path", "to", "says"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused_in_one_line(tmp_path, path, to, says):
    with pytest.raises(UserError) as refusal:
        importers.read(TOOL, [written(tmp_path, changed(TOOL, *path, to=to))])
    assert str(refusal.value).startswith(f"{tmp_path}/file.json: not a result of {TOOL}: ")
    assert says in str(refusal.value)
