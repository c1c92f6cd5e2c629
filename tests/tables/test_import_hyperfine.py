"""hyperfine's JSON as a run."""

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

from hwbench.records import UserError
from hwbench.tables import importers

TOOL = "hyperfine"
FIRST = ("results", 0)
FOUND = importers.read(TOOL, [FILES[TOOL]])


def test_each_command_is_a_case_and_each_run_a_sample():
    for (case, process), entry in zip(FOUND.measured, SOURCES[TOOL]["results"], strict=True):
        assert case.workload == f"hyperfine/{entry['command']}"
        assert steps_of(process) == entry["times"]
        assert process.window.timer_kind == "host"


def test_the_machine_is_unknown():
    assert (FOUND.device_kind, FOUND.device_name) == ("cpu", "unknown CPU")


def test_parameters_are_parameters(tmp_path):
    found = read_changed(tmp_path, TOOL, *FIRST, "parameters", to={"threads": "4"})
    assert dict(found.measured[0][0].params) == {"threads": "4"}


def test_the_same_command_with_other_parameters_is_another_case(tmp_path):
    first = SOURCES[TOOL]["results"][0]
    both = [first | {"parameters": {"threads": count}} for count in "14"]
    found = read_changed(tmp_path, TOOL, "results", to=both)
    assert len({case.case_id for case, _ in found.measured}) == 2


def test_the_memory_is_that_of_the_largest_run(tmp_path):
    found = read_changed(tmp_path, TOOL, *FIRST, "memory_usage_byte", to=[5, 7, 6])
    assert found.measured[0][1].window.memory_peak_bytes == 7


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        ([0, 1, 1], "2 of 3 runs failed: 2 with exit status 1"),
        ([None, 0, 3], "2 of 3 runs failed: 1 with a signal, 1 with exit status 3"),
    ],
)
def test_a_command_that_failed_is_an_error(tmp_path, codes, reason):
    _, process = read_changed(tmp_path, TOOL, *FIRST, "exit_codes", to=codes).measured[0]
    assert (process.outcome, process.reason) == ("error", reason)
    assert process.window is None


def test_a_file_of_an_older_hyperfine_has_no_exit_codes(tmp_path):
    _, process = read_changed(tmp_path, TOOL, *FIRST, "exit_codes", to=DROP).measured[0]
    assert process.outcome == "ok"


WRONG = {
    "no command": (("command",), None, "results[0] has no command"),
    "exit codes that are words": (("exit_codes",), ["0"], "results[0].exit_codes has something"),
    "parameters in a list": (("parameters",), [1], "results[0] has no parameters"),
}
UNUSABLE = {
    "no times": (("times",), DROP, "results[0] has no times"),
    "one time": (
        ("times",),
        [1.0],
        "results[0].times has one time, which is no distribution; run hyperfine",
    ),
    "an empty list": (("times",), [], "results[0].times is empty"),
    **{
        f"a time of {bad}": (("times", 1), bad, "results[0].times[1] is no time above zero")
        for bad in (0, -1.0, float("nan"), float("inf"), 10**400, "1", None, True, [1.0])
    },
}


@pytest.mark.parametrize(("path", "to", "says"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused_by_the_name_of_the_field(tmp_path, path, to, says):
    assert says in refusal(tmp_path, TOOL, *FIRST, *path, to=to)


@pytest.mark.parametrize(("path", "to", "says"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_has_no_times_is_a_row_with_the_reason_among_others(tmp_path, path, to, says):
    assert says in reason_among_others(read_changed(tmp_path, TOOL, *FIRST, *path, to=to))


def test_the_same_command_twice_is_refused(tmp_path):
    twice = SOURCES[TOOL]["results"][:1] * 2
    with pytest.raises(UserError, match=r"results\[1\] is of the same command as another"):
        read_changed(tmp_path, TOOL, "results", to=twice)
