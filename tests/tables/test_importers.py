"""What holds for every tool: a wrong file is refused in one line, and `hwbench import` makes a
run."""

import contextlib
import copy
import functools
import gzip
import itertools
import json
import operator
import random
import time
from html import escape
from pathlib import Path

import numpy as np
import pytest
from commands import assert_one_line
from foreign import DATA, FILES, SOURCES, changed, steps_of, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwbench import tables
from hwbench.analysis import metrics
from hwbench.analysis.verdict.judgement import judge_runs
from hwbench.analysis.verdict.rules import Rules
from hwbench.recording import collected
from hwbench.recording.collected import Collected, store_whole
from hwbench.records import UserError
from hwbench.report import terminal
from hwbench.report.page import html
from hwbench.tables import importers

EACH_TOOL = pytest.mark.parametrize("tool", FILES)


@EACH_TOOL
@pytest.mark.parametrize("text", ["", "step,seconds\n1,2\n", '{"results": [{', "[" * 100_000])
def test_a_file_that_is_no_json_is_refused(tmp_path, tool, text):
    file = written(tmp_path, text)
    with pytest.raises(UserError) as refusal:
        importers.read(tool, [file])
    assert str(refusal.value) == f"{file}: not JSON, or cut short"


@EACH_TOOL
def test_a_file_that_is_not_text_is_refused(tmp_path, tool):
    (tmp_path / "file.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not JSON, or cut short"):
        importers.read(tool, [tmp_path / "file.json"])


@EACH_TOOL
@pytest.mark.parametrize("text", ["[1]", "3", "null", '"x"', "{}", '{"benchmarks": {}}'])
def test_json_of_another_shape_is_refused(tmp_path, tool, text):
    file = written(tmp_path, text)
    with pytest.raises(UserError) as refusal:
        importers.read(tool, [file])
    assert str(refusal.value).startswith(f"{file}: not a result of {tool}: ")


@pytest.mark.parametrize(("tool", "other"), list(itertools.permutations(FILES, 2)))
def test_a_file_of_another_tool_is_refused(tool, other):
    with pytest.raises(UserError, match=f": not a result of {tool}: "):
        importers.read(tool, [FILES[other]])


@EACH_TOOL
def test_a_file_without_a_benchmark_is_refused(tmp_path, tool):
    content = SOURCES[tool]
    if isinstance(content, dict):
        content = content | {name: [] for name in ("benchmarks", "results") if name in content}
    file = written(tmp_path, json.dumps(content if isinstance(content, dict) else []))
    with pytest.raises(UserError) as refusal:
        importers.read(tool, [file])
    assert str(refusal.value) == f"{file}: no benchmark in it"


@EACH_TOOL
@pytest.mark.parametrize(
    ("name", "says"), [("absent.json", "No such file"), (".", "Is a directory")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, tool, name, says):
    with pytest.raises(UserError, match=f"cannot be read: {says}"):
        importers.read(tool, [tmp_path / name])


def places(content, path=()):
    """The paths of all that is in a JSON document."""
    parts = []
    if isinstance(content, dict):
        parts = content.items()
    elif isinstance(content, list):
        parts = enumerate(content)
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


@EACH_TOOL
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_file_with_anything_in_one_place_is_read_or_refused(tool, data, tmp_path):
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


HOSTILE = [
    *(0, -0.0, 1, -1, 0.5, 5e-324, 1e-300, 1e-12, 1e-9, 1e8, 9.9e8, 1e9, 1e300, 1e308),
    *(float("nan"), float("inf"), 10**400, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), True),
    *(None, "", "1", "\ud800", "\0", "\u202e\x1b]0;x\a", "x" * 1000, [], {}, [0, 0], {"": None}),
]


@EACH_TOOL
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_what_is_imported_can_be_stored_read_and_judged(tool, seed, tmp_path):
    chance = random.Random(f"{tool} {seed}")
    everywhere = list(places(SOURCES[tool]))
    stored = 0
    for number in range(40 if seed else 10):
        content = copy.deepcopy(SOURCES[tool])
        for path in chance.sample(everywhere, chance.randint(1, 3)):
            with contextlib.suppress(KeyError, IndexError, TypeError):  # what was above it is gone
                *above, key = path
                functools.reduce(operator.getitem, above, content)[key] = chance.choice(HOSTILE)
        try:
            found = importers.read(tool, [written(tmp_path, json.dumps(content))])
        except UserError:
            continue
        run = store_whole(Collected(source=tool, **vars(found)), tmp_path / f"{seed}-{number}")
        stored += 1
        json.dumps(terminal.summary_rows(tables.read_run(run.folder)), allow_nan=False)
        judge_runs([run], run, Rules())
    assert stored


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
    @EACH_TOOL
    def test_makes_a_run_that_report_and_compare_take(self, tmp_path, call, tool):
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

    def test_stores_a_benchmark_that_failed_with_its_reason(self, tmp_path, call):
        file = written(tmp_path, changed("hyperfine", "results", 0, "exit_codes", to=[0, 0, 2]))
        done = call("import", "hyperfine", file)
        assert done.returncode == 0, done.stderr
        assert "error: 1 of 3 runs failed: 1 with exit status 2" in done.stdout

    def test_takes_several_files_as_several_processes(self, tmp_path, call):
        files = [slower("pytest-benchmark", 1 + n / 100, tmp_path / f"{n}.json") for n in range(3)]
        done = call("import", "pytest-benchmark", *files, "--json")
        assert {row["processes"] for row in json.loads(done.stdout)["rows"]} == {3}

    def test_refuses_the_same_results_twice(self, tmp_path, call):
        file = FILES["pyperf"]
        done = call("import", "pyperf", file, slower("pyperf", 1, tmp_path / "copy.json"))
        assert_one_line(done, 2, "copy.json: the same results a second time")

    def test_prints_a_table(self, tmp_path, call):
        done = call("import", "pyperf", FILES["pyperf"])
        assert done.returncode == 0, done.stderr
        assert "pyperf/sort" in done.stdout

    def test_leaves_nothing_behind_of_a_wrong_file(self, tmp_path, call):
        (tmp_path / "x.json").write_text("{}")
        assert_one_line(call("import", "pyperf", "x.json"), 2, "x.json: not a result of pyperf")
        assert not (tmp_path / "results").exists()

    def test_imports_what_is_beside_a_benchmark_of_zeros(self, tmp_path, call):
        zeros = changed("pytest-benchmark", "benchmarks", 0, "stats", "data", to=[0.0, 0.0])
        done = call("import", "pytest-benchmark", written(tmp_path, zeros), "--json")
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout)
        name = SOURCES["pytest-benchmark"]["benchmarks"][0]["fullname"]
        unusable, *others = metrics.cases(tables.read_run(Path(made["folder"]))).itertuples()
        assert unusable.reason == (
            f"cannot be imported: {name} has mostly times of zero: its clock is too coarse"
        )
        assert {other.outcome for other in others} == {"ok"}

    def test_refuses_a_file_of_which_nothing_can_be_imported(self, tmp_path, call):
        rows = [SOURCES["hyperfine"]["results"][n] | {"times": [1.0]} for n in (0, 1)]
        file = written(tmp_path, changed("hyperfine", "results", to=rows))
        says = (
            r"cannot be imported: results\[0\]\.times has one time, .*--min-runs 10 \(and 1 more\)"
        )
        assert_one_line(call("import", "hyperfine", file), 2, says)
        assert not (tmp_path / "results").exists()

    def test_has_one_part_a_table(self, tmp_path, call):
        call("import", "pyperf", FILES["pyperf"])
        for table in ("measurements", "samples"):
            assert [part.stem for part in tmp_path.glob(f"results/*/{table}/*")] == ["all"]

    def test_refuses_more_cases_than_a_run_holds(self, tmp_path, call, monkeypatch):
        monkeypatch.setattr(collected, "MOST_CASES", 1)
        done = call("import", "pyperf", FILES["pyperf"])
        assert_one_line(done, 2, "2 cases; a run holds up to 1: import them in parts")
        assert not (tmp_path / "results").exists()

    def test_leaves_nothing_of_a_run_that_cannot_be_read_back(self, tmp_path, call, monkeypatch):
        def refuse(folder):
            raise UserError(f"{folder}: damaged")

        monkeypatch.setattr(collected, "read_run", refuse)
        assert_one_line(call("import", "pyperf", FILES["pyperf"]), 2, "damaged")
        assert not list((tmp_path / "results").iterdir())

    def test_refuses_an_unknown_tool(self, call):
        assert_one_line(call("import", "asv", "x.json"), 2, "'asv' is not one of")


@EACH_TOOL
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_in_other_clothes_is_read(tmp_path, tool, encoding, pack):
    file = written(tmp_path, "")
    file.write_bytes(pack(FILES[tool].read_text(encoding="utf-8").encode(encoding)))
    assert importers.read(tool, [file]).measured == importers.read(tool, [FILES[tool]]).measured


NEW_YORK = [
    ("pytest-benchmark", "2024-04-05T19:38:44.406020"),  # up to 4.0.0
    ("pytest-benchmark", "2024-04-05T19:38:44.406020+00:00"),
    ("pytest-benchmark", "2024-04-05T21:38:44+02:00"),
    ("pyperf", "2024-04-05 15:38:44.406020"),
    ("google-benchmark", "2024-04-05T19:38:44+00:00"),
    ("google-benchmark", "2024-04-05T19:38:44-00:00"),
    ("google-benchmark", "2024-04-05 15:38:44"),
    ("google-benchmark", "2024/04/05-15:38:44"),
    ("google-benchmark", "04/05/24 15:38:44"),
    ("llama-bench", "2024-04-05T19:38:44Z"),
    ("llama-bench", "2024-04-05T19:38:44"),
]
"""One moment, as tools write it in New York."""

PLACES = {
    "pytest-benchmark": ("datetime",),
    "pyperf": ("metadata", "date"),
    "google-benchmark": ("context", "date"),
    "llama-bench": (0, "test_time"),
}


@pytest.fixture
def in_new_york(monkeypatch):
    """The clock of another place than the tests' own, which is UTC in most machines."""
    monkeypatch.setenv("TZ", "EST5EDT,M3.2.0,M11.1.0")  # by name it needs the system's tzdata
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("tool", "text"), NEW_YORK)
def test_a_time_without_a_zone_means_what_the_tool_means(tmp_path, in_new_york, tool, text):
    content = json.loads(changed(tool, *PLACES[tool], to=text))
    if tool == "pyperf":  # the date of a run goes first
        for run in content["benchmarks"][0]["runs"]:
            del run["metadata"]["date"]
    found = importers.read(tool, [written(tmp_path, json.dumps(content))])
    assert found.started_at == "2024-04-05T19:38:44+00:00"
