"""Google Benchmark's JSON as a run."""

import json

import pytest
from foreign import (
    DROP,
    FILES,
    SOURCES,
    read_changed,
    reason_among_others,
    refusal,
    steps_of,
)

from hwbench.tables import importers

TOOL = "google-benchmark"
FIRST = ("benchmarks", 0)
FOUND = importers.read(TOOL, [FILES[TOOL]])
ROWS = SOURCES[TOOL]["benchmarks"]


def test_each_repetition_is_a_sample_and_aggregates_are_left_out():
    names = list(dict.fromkeys(row["run_name"] for row in ROWS))
    assert [case.workload for case, _ in FOUND.measured] == [f"google-benchmark/{n}" for n in names]
    for (_, process), name in zip(FOUND.measured, names, strict=True):
        times = [
            row["real_time"] * 1e-9
            for row in ROWS
            if row["run_name"] == name and row["run_type"] == "iteration"
        ]
        assert steps_of(process) == pytest.approx(times, rel=1e-12)


def test_the_machine_without_its_name_and_paths():
    assert FOUND.device_name == "unknown CPU"
    assert FOUND.environment["cpu"]["logical_cores"] == 10
    assert FOUND.started_at == "2022-09-02T21:11:56+00:00"
    assert not [word for word in ("snork", "/var/") if word in json.dumps(FOUND.environment)]


@pytest.mark.parametrize(("unit", "seconds"), [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1)])
def test_times_are_in_the_unit_that_the_file_names(tmp_path, unit, seconds):
    rows = [row | {"time_unit": unit, "real_time": 2.0} for row in ROWS[:3]]
    _, process = read_changed(tmp_path, TOOL, "benchmarks", to=rows).measured[0]
    assert steps_of(process) == [2.0 * seconds] * 3


class TestBytes:
    def test_are_those_of_an_iteration(self):
        assert [process.work.bytes for _, process in FOUND.measured] == [43200, 43200]

    @pytest.mark.parametrize("ending", ["real_time", "manual_time"])
    def test_are_over_the_clock_that_the_name_asks_for(self, tmp_path, ending):
        rows = [
            row | {"name": f"copy/{ending}", "real_time": 2000.0, "bytes_per_second": 3e9}
            for row in ROWS[:3]
        ]
        _, process = read_changed(tmp_path, TOOL, "benchmarks", to=rows).measured[0]
        assert process.work.bytes == 6000

    @pytest.mark.parametrize("rate", [DROP, float("nan"), 0, -1.0, 10**400, "fast", 1e-300, 1e30])
    def test_are_not_made_up(self, tmp_path, rate):
        found = read_changed(tmp_path, TOOL, *FIRST, "bytes_per_second", to=rate)
        assert found.measured[0][1].work.bytes is None

    def test_are_unknown_where_repetitions_differ(self, tmp_path):
        rate = ROWS[0]["bytes_per_second"] * 2
        found = read_changed(tmp_path, TOOL, *FIRST, "bytes_per_second", to=rate)
        assert found.measured[0][1].work.bytes is None


def test_a_benchmark_that_failed_is_an_error_with_its_message(tmp_path):
    failed = ROWS[1] | {"error_occurred": True, "error_message": "no\nfile", "real_time": 0.0}
    (_, first), (_, second) = read_changed(
        tmp_path, TOOL, "benchmarks", to=[ROWS[0], failed, *ROWS[2:]]
    ).measured
    assert (first.outcome, first.reason) == ("error", "no file")
    assert second.outcome == "ok"


def test_a_benchmark_that_skipped_itself_is_unsupported(tmp_path):
    skipped = ROWS[0] | {"skipped": True, "skip_message": "no AVX"}
    _, process = read_changed(tmp_path, TOOL, "benchmarks", to=[skipped]).measured[0]
    assert (process.outcome, process.reason) == ("unsupported", "no AVX")


WRONG = {
    "no run_type": ((*FIRST, "run_type"), DROP, "benchmarks[0] has no run_type"),
    "no name": ((*FIRST, "name"), 3, "benchmarks[0] has no name"),
    "a repetition twice": (("benchmarks",), ROWS[:1] * 2, "benchmarks[1] is of the same name as"),
    "no context": (("context",), DROP, "the file has no context"),
    "no unit": ((*FIRST, "time_unit"), DROP, "has no time_unit"),
    "an error message that is none": (
        FIRST,
        ROWS[0] | {"error_occurred": True, "error_message": 3},
        "has no error_message",
    ),
}
UNUSABLE = {
    "aggregates only": (
        ("benchmarks",),
        ROWS[3:],
        f"{ROWS[0]['run_name']} has aggregates only; run it with --benchmark_repetitions=10",
    ),
    "one repetition": (
        ("benchmarks",),
        ROWS[2:],
        f"{ROWS[0]['name']}: real_time has one time, which is no distribution; run it with"
        " --benchmark_repetitions=10",
    ),
    "an unknown unit": ((*FIRST, "time_unit"), "h", "time_unit is h and ns, not one of ns, us,"),
    **{
        f"a time of {bad}": (
            ("benchmarks", 1, "real_time"),
            bad,
            f"{ROWS[0]['name']}: real_time[1] is no time above zero",
        )
        for bad in (0, -1.0, float("nan"), float("inf"), 10**400, "1", None, True)
    },
}


@pytest.mark.parametrize(("path", "to", "says"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused_by_the_name_of_the_field(tmp_path, path, to, says):
    assert says in refusal(tmp_path, TOOL, *path, to=to)


@pytest.mark.parametrize(("path", "to", "says"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_has_no_times_is_a_row_with_the_reason_among_others(tmp_path, path, to, says):
    assert says in reason_among_others(read_changed(tmp_path, TOOL, *path, to=to))
