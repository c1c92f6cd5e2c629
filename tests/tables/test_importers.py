"""Files of other tools, real ones and every kind of wrong one."""

import json
from html import escape

import numpy as np
import pytest
from commands import assert_one_line
from foreign import DATA, FILES, SOURCES, changed, read_changed, steps_of, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwbench import tables
from hwbench.analysis import metrics
from hwbench.records import UserError
from hwbench.report.page import html
from hwbench.tables import importers


class TestPytestBenchmark:
    found = importers.read("pytest-benchmark", [FILES["pytest-benchmark"]])

    def test_each_benchmark_is_a_case_and_each_round_a_sample(self):
        for (case, found), entry in zip(
            self.found.measured, SOURCES["pytest-benchmark"]["benchmarks"], strict=True
        ):
            assert case.workload == f"pytest-benchmark/{entry['fullname']}"
            assert steps_of(found) == entry["stats"]["data"]

    def test_parameters_are_parameters(self):
        assert [dict(case.params) for case, _ in self.found.measured] == [
            {},
            {"n": 10},
            {"n": 1000},
        ]

    def test_nothing_is_made_up(self):
        window = self.found.measured[0][1].window
        assert set(window.samples.start_ns) == {None}
        assert window.window_s == pytest.approx(sum(window.samples.step_s))
        assert window.memory_peak_bytes is None

    def test_the_machine_without_its_name(self):
        info = SOURCES["pytest-benchmark"]["machine_info"]
        assert self.found.device_name == info["cpu"]["brand_raw"]
        assert self.found.environment["python"] == info["python_version"]
        assert (
            self.found.environment["git"]["commit"]
            == SOURCES["pytest-benchmark"]["commit_info"]["id"]
        )
        assert info["node"] not in json.dumps(self.found.environment)


class TestPyperf:
    found = importers.read("pyperf", [FILES["pyperf"]])

    def test_each_run_with_values_is_a_process(self):
        runs = SOURCES["pyperf"]["benchmarks"][0]["runs"]
        assert len(runs) == 1 + len(
            [m for case, m in self.found.measured if case.workload == "pyperf/sort"]
        )
        assert [steps_of(m) for _, m in self.found.measured[:2]] == [
            run["values"] for run in runs[1:3]
        ]

    def test_warm_ups_are_flagged(self):
        run = SOURCES["pyperf"]["benchmarks"][0]["runs"][1]
        assert steps_of(self.found.measured[0][1], warmup=True) == [
            seconds for _, seconds in run["warmups"]
        ]

    def test_the_machine_and_the_memory(self):
        about = SOURCES["pyperf"]["metadata"]
        assert self.found.device_name == about["cpu_model_name"]
        assert self.found.environment["packages"] == {"pyperf": about["perf_version"]}
        peak = SOURCES["pyperf"]["benchmarks"][0]["runs"][1]["metadata"]["mem_max_rss"]
        assert self.found.measured[0][1].window.memory_peak_bytes == peak
        assert about["python_executable"] not in json.dumps(self.found.environment)


FIRST = ("benchmarks", 0)
WRONG = {
    "empty": ("pytest-benchmark", "", "not JSON, or cut short"),
    "no JSON": ("pyperf", "step,seconds\n1,2\n", "not JSON, or cut short"),
    "cut short": ("pyperf", json.dumps(SOURCES["pyperf"])[:500], "not JSON, or cut short"),
    "endless nesting": ("pyperf", "[" * 100_000, "not JSON, or cut short"),
    "a list": (
        "pytest-benchmark",
        "[1]",
        "not a result of pytest-benchmark: the file has no machine_info",
    ),
    "something else": (
        "pyperf",
        '{"results": []}',
        "not a result of pyperf: the file has no benchmarks",
    ),
    "the other tool's": (
        "pyperf",
        json.dumps(SOURCES["pytest-benchmark"]),
        "its format is '5.3.1', not '1.0'",
    ),
    "the other way round": (
        "pytest-benchmark",
        json.dumps(SOURCES["pyperf"]),
        "the file has no machine_info",
    ),
    "no benchmarks": (
        "pytest-benchmark",
        changed("pytest-benchmark", "benchmarks", to=[]),
        "no benchmark in it",
    ),
    "calibration only": ("pyperf", changed("pyperf", "benchmarks", to=[]), "no benchmark in it"),
    "a benchmark that is a number": (
        "pytest-benchmark",
        changed("pytest-benchmark", *FIRST, to=3),
        "has no fullname",
    ),
    "no single times": (
        "pytest-benchmark",
        changed("pytest-benchmark", *FIRST, "stats", to={"median": 1.0}),
        "no single times; save it with --benchmark-json FILE or --benchmark-save-data",
    ),
    "no rounds": (
        "pytest-benchmark",
        changed("pytest-benchmark", *FIRST, "stats", "data", to=[]),
        "has no times",
    ),
    "twice the same": (
        "pytest-benchmark",
        changed(
            "pytest-benchmark", "benchmarks", to=SOURCES["pytest-benchmark"]["benchmarks"][:1] * 2
        ),
        "two benchmarks are called",
    ),
    "twice the same name": (
        "pyperf",
        changed("pyperf", "benchmarks", to=SOURCES["pyperf"]["benchmarks"][:1] * 2),
        "two benchmarks are called sort",
    ),
    "another unit": (
        "pyperf",
        changed("pyperf", *FIRST, "metadata", "unit", to="byte"),
        "is in byte; only times",
    ),
    "a nameless benchmark": ("pyperf", changed("pyperf", *FIRST, "metadata", to={}), "has no name"),
    "an odd warm-up": (
        "pyperf",
        changed("pyperf", *FIRST, "runs", 1, "warmups", to=[3]),
        "has a time that is",
    ),
    **{
        f"a time of {bad}": (
            "pyperf",
            changed("pyperf", *FIRST, "runs", 1, "values", 0, to=bad),
            "has a time that is",
        )
        for bad in (-1e-6, float("nan"), float("inf"), 10**400, "1", None, True)
    },
}


@pytest.mark.parametrize(("tool", "text", "says"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_in_one_line(tmp_path, tool, text, says):
    file = written(tmp_path, text)
    with pytest.raises(UserError) as refusal:
        importers.read(tool, [file])
    assert says in str(refusal.value)
    assert str(refusal.value).startswith(f"{file}: ")
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "file.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not JSON, or cut short"):
        importers.read("pyperf", [tmp_path / "file.json"])


@pytest.mark.parametrize(
    ("name", "says"), [("absent.json", "No such file"), (".", "Is a directory")]
)
def test_a_file_that_cannot_be_read(tmp_path, name, says):
    with pytest.raises(UserError, match=f"cannot be read: {says}"):
        importers.read("pyperf", [tmp_path / name])


def test_what_json_can_spell_and_parquet_cannot_hold(tmp_path):
    name = "half a pair: \ud800"
    found = read_changed(tmp_path, "pytest-benchmark", *FIRST, "fullname", to=name)
    case, _ = found.measured[0]
    assert case.workload == "pytest-benchmark/half a pair: \\ud800"


def test_odd_parameters_are_kept_as_text(tmp_path):
    odd = {"shape": [1, 2], "x": float("nan"), "name": "a", "none": None}
    case, _ = read_changed(tmp_path, "pytest-benchmark", *FIRST, "params", to=odd).measured[0]
    assert dict(case.params) == {"shape": "[1, 2]", "x": "NaN", "name": "a", "none": None}


def places(content, path=()):
    """The paths of all that is in a JSON document."""
    parts = (
        content.items()
        if isinstance(content, dict)
        else enumerate(content)
        if isinstance(content, list)
        else ()
    )
    for key, part in parts:
        yield (*path, key)
        yield from places(part, (*path, key))


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.mark.parametrize("tool", FILES)
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_whatever_a_file_holds_it_is_read_or_refused(tool, data, tmp_path):
    path = data.draw(st.sampled_from(list(places(SOURCES[tool]))))
    file = written(tmp_path, changed(tool, *path, to=data.draw(ANY_JSON)))
    refusal, measured = "", []
    try:
        measured = importers.read(tool, [file]).measured
    except UserError as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert refusal or measured
    for case, measurement in measured:
        assert measurement.reason if measurement.outcome != "ok" else steps_of(measurement)
        json.dumps(case.params).encode()
        str(case).encode()
        measurement.reason.encode()


def test_files_of_two_machines_do_not_mix(tmp_path):
    (tmp_path / "b.json").write_text(
        changed("pyperf", "metadata", "cpu_model_name", to="Another CPU")
    )
    with pytest.raises(UserError, match=r"b\.json: measured on Another CPU, and "):
        importers.read("pyperf", [FILES["pyperf"], tmp_path / "b.json"])


def slower(tool, factor, file):
    """The example with all its times so many times as long, as a file."""
    file.write_text(json.dumps(scaled(SOURCES[tool], factor)))
    for samples in (DATA / "nvbench.json-bin").iterdir():
        beside = file.parent / "nvbench.json-bin" / samples.name
        beside.parent.mkdir(exist_ok=True)
        times = np.fromfile(samples, "<f4") * np.float32(factor)
        times.astype("<f4").tofile(beside)
    return file


def scaled(content, factor):
    """JSON with the numbers in its lists, and Google Benchmark's times, so many times as large."""
    if isinstance(content, dict):
        return {
            name: value * factor if name in ("real_time", "cpu_time") else scaled(value, factor)
            for name, value in content.items()
        }
    if isinstance(content, list):
        is_number = [type(one) in (int, float) and one != 0 for one in content]
        pairs = zip(content, is_number, strict=True)
        return [one * factor if number else scaled(one, factor) for one, number in pairs]
    return content


METRICS = {"step_s_p50", "tokens_per_s", "bytes_per_s", "memory_peak_bytes"}


class TestCommand:
    @pytest.mark.parametrize("tool", FILES)
    def test_it_makes_a_run_that_report_and_compare_take(self, tmp_path, call, tool):
        ids = []
        for _ in range(2):
            other = slower(tool, 1.01, tmp_path / "s.json")
            done = call("import", tool, FILES[tool], other, "--name", "theirs", "--json")
            assert done.returncode == 0, done.stderr
            ids.append(json.loads(done.stdout)["run_id"])
        run = tables.read_run(tmp_path / "results" / ids[0])
        assert set(metrics.cases(run).outcome) == {"ok"}
        assert escape(run.measured.workload.iloc[0]) in html.render([run])
        compared = json.loads(call("compare", *ids, "--allow-cross-device", "--json").stdout)
        assert {row["ratio"] for row in compared["rows"]} == {1.0}
        assert {row["metric"] for row in compared["rows"]} <= METRICS

    def test_a_benchmark_that_failed_is_a_row_with_its_reason(self, tmp_path, call):
        file = written(tmp_path, changed("hyperfine", "results", 0, "exit_codes", to=[0, 0, 2]))
        done = call("import", "hyperfine", file)
        assert done.returncode == 0, done.stderr
        assert "error: 1 of 3 runs failed: 1 with exit status 2" in done.stdout

    def test_several_files_are_several_processes(self, tmp_path, call):
        files = [slower("pytest-benchmark", 1 + n / 100, tmp_path / f"{n}.json") for n in range(3)]
        done = call("import", "pytest-benchmark", *files, "--json")
        assert {row["processes"] for row in json.loads(done.stdout)["rows"]} == {3}

    def test_the_same_results_twice_would_count_twice(self, tmp_path, call):
        file = FILES["pyperf"]
        done = call("import", "pyperf", file, slower("pyperf", 1, tmp_path / "copy.json"))
        assert_one_line(done, 2, "copy.json: the same results a second time")

    def test_a_table_for_people(self, tmp_path, call):
        done = call("import", "pyperf", FILES["pyperf"])
        assert done.returncode == 0, done.stderr
        assert "pyperf/sort" in done.stdout

    def test_a_foreign_file_leaves_nothing_behind(self, tmp_path, call):
        (tmp_path / "x.json").write_text("{}")
        assert_one_line(call("import", "pyperf", "x.json"), 2, "x.json: not a result of pyperf")
        assert not (tmp_path / "results").exists()

    def test_an_unknown_tool(self, call):
        assert_one_line(call("import", "asv", "x.json"), 2, "'asv' is not one of")
