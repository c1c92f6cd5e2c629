"""pytest-benchmark's JSON as a run."""

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
)

from hwbench import tables
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


ARCHITECTURES = {"processor": "x86_64", "machine": "x86_64", "system": "Linux", "release": "5"}
CPUS = {
    "py-cpuinfo before 6": ({"brand": "AMD Ryzen 9 5900X", "count": 24}, "AMD Ryzen 9 5900X"),
    "py-cpuinfo of today": (
        {"brand_raw": "Intel(R) Core(TM) i7-4770"},
        "Intel(R) Core(TM) i7-4770",
    ),
    "a key from before that nothing fills": (
        {"brand": "unknown", "vendor_id": "unknown", "hardware": "unknown"},
        "unknown CPU",
    ),
    "an architecture for a brand": ({"brand_raw": "ARMv7 Processor rev 4 (v7l)"}, "unknown CPU"),
    "nothing": ({"arch": "ARM_8", "arch_string_raw": "aarch64", "model": 1}, "unknown CPU"),
    "no text": ({"brand": 3}, "unknown CPU"),
}
"""ionelmc/pytest-benchmark#193, oracle/hiq#28, RedHatInsights/insights-core#1794."""


@pytest.mark.parametrize(("cpu", "name"), CPUS.values(), ids=CPUS)
def test_a_processor_is_named_by_its_brand_and_never_by_its_architecture(tmp_path, cpu, name):
    found = read_changed(tmp_path, TOOL, "machine_info", to=ARCHITECTURES | {"cpu": cpu})
    assert found.device_name == name
    assert found.environment["cpu"]["name"] == name


def test_vendor_family_and_model_are_stored_where_the_file_has_them(tmp_path):
    cpu = {"brand_raw": "AMD EPYC", "vendor_id_raw": "AuthenticAMD", "family": 25, "model": 17}
    found = read_changed(tmp_path, TOOL, "machine_info", "cpu", to=cpu | {"count": 2})
    facts = {"vendor": "AuthenticAMD", "family": "25", "model": "17"}
    assert found.environment["cpu"] == {"name": "AMD EPYC", "logical_cores": 2, **facts}
    other = tmp_path / "other.json"
    other.write_text(changed(TOOL, "machine_info", "cpu", to=cpu | {"model": 1}))
    with pytest.raises(UserError, match=r"model 1, and .* model 17"):
        importers.read(TOOL, [tmp_path / "file.json", other])


@pytest.mark.parametrize(
    ("brands", "says"),
    [
        (("Intel(R) Core(TM) i7-4770", "AMD Ryzen 9 5900X"), "another device: Intel"),
        (("AMD Ryzen 9 5900X", "AMD Ryzen 9 5900X"), None),
        ((None, None), "nothing identifies the device (unknown CPU)"),
    ],
)
def test_only_imports_of_one_known_processor_are_compared(tmp_path, call, brands, says):
    for number, brand in enumerate(brands):
        cpu = {"cpu": {"brand": brand} if brand else {}}
        files = [tmp_path / f"{number}-{process}.json" for process in range(3)]
        for process, file in enumerate(files):
            text = changed(TOOL, "machine_info", to=ARCHITECTURES | cpu)
            content = json.loads(text)
            for entry in content["benchmarks"]:
                scale = (1 + number) * (1 + 0.001 * process)
                entry["stats"]["data"] = [scale * time for time in entry["stats"]["data"]]
            file.write_text(json.dumps(content))
        assert call("import", TOOL, *files, "--name", f"side{number}").returncode == 0
    rows = json.loads(call("compare", *sorted_runs(tmp_path), "--json").stdout)["rows"]
    verdicts = {row["verdict"] for row in rows}
    assert verdicts == ({"incomparable"} if says else {"slower"})
    assert all(row["reason"].startswith(says or "") for row in rows)
    across = call("compare", *sorted_runs(tmp_path), "--allow-cross-device", "--json")
    assert {row["verdict"] for row in json.loads(across.stdout)["rows"]} == {"slower"}


def sorted_runs(folder):
    """The runs that were imported, the first first."""
    heads = tables.read_heads(folder / "results", pytest.fail)
    return list(heads.sort_values("label").run_id)


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
    "twice the same": (("benchmarks",), ENTRIES[:1] * 2, "two benchmarks are called"),
}
UNUSABLE = {
    "no single times": ((*FIRST, "stats"), {"median": 1.0}, f"has no single times; {CURE}"),
    "times of zero": ((*FIRST, "stats", "data"), [0.0, 0, 1e-6], "has mostly times of zero"),
    "a time of no clock": ((*FIRST, "stats", "data"), [1e-300], "has a time that is negative"),
    "no rounds": ((*FIRST, "stats", "data"), [], "has no times"),
}


@pytest.mark.parametrize(("path", "to", "says"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused_in_one_line(tmp_path, path, to, says):
    assert says in refusal(tmp_path, TOOL, *path, to=to)


@pytest.mark.parametrize(("path", "to", "says"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_has_no_times_is_a_row_with_the_reason_among_others(tmp_path, path, to, says):
    assert says in reason_among_others(read_changed(tmp_path, TOOL, *path, to=to))


MACHINE = SOURCES[TOOL]["machine_info"]


@pytest.mark.parametrize(
    ("machine", "os"),
    [
        (MACHINE, " ".join(MACHINE[name] for name in ("system", "release", "machine"))),
        ({"system": "Linux", "machine": "x86_64"}, "Linux x86_64"),
        ({"system": 3, "release": None, "machine": ""}, None),
        ({}, None),
    ],
)
def test_what_a_file_does_not_say_of_the_system_is_unknown(tmp_path, machine, os):
    found = read_changed(tmp_path, TOOL, "machine_info", to=machine)
    assert found.environment["os"] == os
