"""nvbench's JSON with its binary samples as a run."""

import json
import struct

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

from hwbench.tables import importers

TOOL = "nvbench"
FIRST = ("benchmarks", 0, "states", 0)
SAMPLES = (*FIRST, "summaries", 3, "data")
FOUND = importers.read(TOOL, [FILES[TOOL]])
STATE = SOURCES[TOOL]["benchmarks"][0]["states"][0]


def test_each_state_is_a_case_of_its_benchmark_and_axes():
    assert [(case.workload, dict(case.params)) for case, _ in FOUND.measured] == [
        ("nvbench/simple", {}),
        ("nvbench/copy_sweep_grid_shape", {"BlockSize": 1024, "NumBlocks": 64}),
        ("nvbench/copy_sweep_grid_shape", {"BlockSize": 64, "NumBlocks": 256}),
    ]


def test_samples_are_the_floats_of_the_binary_file():
    for number, (_, process) in enumerate(FOUND.measured):
        content = (FILES[TOOL].parent / "nvbench.json-bin" / f"{number}.bin").read_bytes()
        assert steps_of(process) == list(struct.unpack("<12f", content))
        assert process.window.timer_kind == "device_event"


def test_the_mean_of_the_samples_is_the_mean_that_the_file_states():
    mean = float(STATE["summaries"][1]["data"][0]["value"])
    assert sum(steps_of(FOUND.measured[0][1])) / 12 == pytest.approx(mean, rel=1e-6)


def test_bytes_are_what_the_benchmark_declares():
    assert [process.work.bytes for _, process in FOUND.measured] == [None, 2**29, 2**29]


def test_the_device_is_the_gpu_of_the_states():
    assert (FOUND.device_kind, FOUND.device_name) == ("cuda", "Quadro GV100")
    assert FOUND.environment["device"]["multiprocessors"] == 80
    assert FOUND.environment["packages"] == {"nvbench": "0.1.0"}
    assert "/home" not in json.dumps(FOUND.environment)


def test_a_renamed_file_finds_its_samples(tmp_path):
    file = written(tmp_path, FILES[TOOL].read_text())
    assert importers.read(TOOL, [file]).measured == FOUND.measured


def test_a_path_of_windows_is_understood(tmp_path):
    name = "C:\\benchmarks\\nvbench.json-bin\\0.bin"
    found = read_changed(tmp_path, TOOL, *SAMPLES, 0, "value", to=name)
    assert found.measured == FOUND.measured


def test_a_skipped_state_is_unsupported(tmp_path):
    skipped = STATE | {"is_skipped": True, "skip_reason": "Too large.", "summaries": None}
    _, process = read_changed(tmp_path, TOOL, *FIRST, to=skipped).measured[0]
    assert (process.outcome, process.reason) == ("unsupported", "Too large.")


def axis(kind, value):
    return [{"name": "T", "type": kind, "value": value}]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [("int64", "8", 8), ("float64", "0.5", 0.5), ("string", "I32", "I32")],
)
def test_values_of_axes_have_their_types(tmp_path, kind, text, value):
    found = read_changed(tmp_path, TOOL, *FIRST, "axis_values", to=axis(kind, text))
    assert dict(found.measured[0][0].params) == {"T": value}


def named(value):
    return [{"name": "filename", "type": "string", "value": value}, *SAMPLES_OF_FIRST[1:]]


SAMPLES_OF_FIRST = STATE["summaries"][3]["data"]
WRONG = {
    "no meta": (("meta",), DROP, "the file has no meta"),
    "another version": (("meta", "version", "json", "major"), 2, "its format is 2, not 1"),
    "no summaries": ((*FIRST, "summaries"), None, "simple, states[0] has no summaries"),
    "a size in words": ((*SAMPLES, 1, "value"), "many", "has a int64 that is no number"),
    "an axis without a name": ((*FIRST, "axis_values"), [{}], "axis_values has no name"),
    "axes that are a word": ((*FIRST, "axis_values"), "T", "simple, states[0] has no axis_values"),
    "an axis of no number": ((*FIRST, "axis_values"), axis("int64", "x"), "has a int64 that is no"),
    "a state that is a number": (FIRST, 3, "simple, states[0] is no state"),
    "the same state twice": (
        ("benchmarks", 0, "states"),
        [STATE, STATE],
        "simple, states[1] is of the same case as another state",
    ),
    "a device that is not there": ((*FIRST, "device"), 7, "of the device 7, which devices does"),
    "no device": ((*FIRST, "device"), None, "of the device None, which devices does"),
    "two devices": (
        (*FIRST, "device"),
        1,
        "its states are of the devices 0 (Quadro GV100) and 1 (Quadro GP100); run one at a time",
    ),
    "no devices": (("devices",), None, "the file has no devices"),
    "a nameless device": (("devices", 0, "name"), 3, "a device has no name"),
}
UNUSABLE = {
    "no samples": ((*FIRST, "summaries"), STATE["summaries"][:3], "run nvbench with --jsonbin"),
    "samples of the host": (
        (*FIRST, "summaries", 3, "tag"),
        "nv/json/bin:nv/cpu_only/sample_times",
        "simple, states[0] was timed on the host only",
    ),
    "a missing file": (SAMPLES, named("nvbench.json-bin/9.bin"), "9.bin, which should have 12"),
    "a file of another folder": (SAMPLES, named("/etc/passwd"), "etc/passwd, which should have"),
    "a file above": (SAMPLES, named("../file.json"), "../file.json, which should have 12 times"),
    "a folder": (SAMPLES, named("nvbench.json-bin"), "nvbench.json-bin, which should have 12"),
    "no name": (SAMPLES, named(""), "/, which should have 12 times"),
    "a null in the name": (SAMPLES, named("\0"), "which should have 12 times"),
    "another size": ((*SAMPLES, 1, "value"), "11", "which should have 11 times, is missing"),
    "a size of nothing": ((*SAMPLES, 1, "value"), "0", "names no file and no size"),
    "a huge size": ((*SAMPLES, 1, "value"), "9" * 30, "names no file and no size"),
}


@pytest.mark.parametrize(("path", "to", "says"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused_by_the_name_of_the_field(tmp_path, path, to, says):
    assert says in refusal(tmp_path, TOOL, *path, to=to)


@pytest.mark.parametrize(("path", "to", "says"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_has_no_times_is_a_row_with_the_reason_among_others(tmp_path, path, to, says):
    assert says in reason_among_others(read_changed(tmp_path, TOOL, *path, to=to))


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_a_sample_that_is_no_time_is_named(tmp_path, bad):
    file = written(tmp_path, FILES[TOOL].read_text())
    times = [1.0] * 11 + [bad]
    (tmp_path / "nvbench.json-bin" / "0.bin").write_bytes(struct.pack("<12f", *times))
    reason = reason_among_others(importers.read(TOOL, [file]))
    assert reason == "simple, states[0]: sample[11] is no time above zero"


def test_one_sample_is_no_distribution(tmp_path):
    file = written(tmp_path, changed(TOOL, *SAMPLES, 1, "value", to="1"))
    (tmp_path / "nvbench.json-bin" / "0.bin").write_bytes(struct.pack("<f", 1.0))
    reason = reason_among_others(importers.read(TOOL, [file]))
    assert reason.endswith("one time, which is no distribution; run nvbench with --min-samples 10")
