"""Steps of one's own script under the harness."""

import builtins
import math

import numpy as np
import pytest
import torch

import hwbench
from hwbench.recording.in_process import with_mark

SHORT = {"min_time_s": 0.05, "max_time_s": 0.1}


def busy(n: int = 20_000) -> float:
    return math.fsum(range(n))


def test_measure_gives_rates_of_declared_work_and_stores_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = hwbench.measure(busy, device="cpu", work=hwbench.Work(flops=20_000), **SHORT)
    metrics = run.metrics.set_index("metric")
    window = run.measurements.iloc[0]
    assert metrics.value.flops_per_s == pytest.approx(20_000 * window.samples / window.window_s)
    assert "no_interval" in metrics.reasons.flops_per_s  # one process
    assert list(run.cases.workload) == ["busy"]
    assert run.folder is None
    assert list(tmp_path.iterdir()) == []


def test_marks_become_spans():
    def step(mark):
        busy()
        mark("forward")
        busy()
        mark("backward")

    run = hwbench.measure(step, device="cpu", **SHORT)
    assert list(run.span_times.name)[:2] == ["forward", "backward"]
    assert run.spans.span_s.sum() <= run.samples.step_s.sum()
    assert list(run.spans.name.iloc[:2]) == ["forward", "backward"]


def test_measure_stores_runs_that_compare_by_name_and_params(tmp_path):
    options = {"device": "cpu", "output": tmp_path, "label": "mine", "params": {"n": 3}} | SHORT
    for _ in range(2):
        hwbench.measure(busy, name="sum", **options)
    runs = hwbench.load("label:mine", results=tmp_path)
    assert len(set(runs.cases.case_id)) == 1
    found = hwbench.compare(runs[0], runs[1])
    assert set(found.table.verdict) <= {"inconclusive", "same"}
    assert found.table.reason.str.contains("one process on a side").any()


def test_what_the_step_raises_passes_through():
    with pytest.raises(ZeroDivisionError):
        hwbench.measure(lambda: 1 / 0, device="cpu", **SHORT)


def test_limits_are_checked_before_anything_runs():
    calls = []
    with pytest.raises(hwbench.UserError, match="did you mean max_time_s"):
        hwbench.measure(lambda: calls.append(1), device="cpu", max_time=1)
    with pytest.raises(hwbench.UserError, match="precision = 2"):
        hwbench.measure(lambda: calls.append(1), device="cpu", precision=2)
    assert calls == []


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (lambda: "none", "none"),
        (lambda mark: mark, "mark"),
        (lambda mark=None: mark, "mark"),
        (lambda first: first, "mark"),
        (lambda n=3: n, 3),
        (lambda *marks: marks, ()),
        (lambda *, mark: mark, "mark"),
        (lambda mark, /: mark, "mark"),
        (lambda n=3, mark=None: (n, mark), (3, "mark")),
    ],
)
def test_a_step_gets_mark_only_where_it_asks_for_it(step, expected):
    assert with_mark(step)("mark") == expected


def test_a_builtin_is_called_without_mark():
    assert with_mark(builtins.dict)(None) == {}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"name": 5}, "name = 5"),
        ({"name": "\ud800"}, "printable"),
        ({"dtype": 5}, "dtype = 5"),
        ({"params": {"a": object()}}, "params: a: expected a text, a number"),
        ({"params": {3: 1}}, "params: 3"),
        ({"params": {"n": 2**63}}, "params: n: expected a number of up to 63 bits"),
        ({"work": 3}, "expected a Work"),
        ({"processes": 3}, "unknown limit 'processes'"),
        ({"device": None}, "unknown device 'None'"),
        ({"label": "a b"}, "name 'a b'"),
        ({"output": __file__}, "cannot write to"),
    ],
)
def test_what_cannot_be_stored_is_refused_before_the_first_step(asked, message):
    calls = []
    with pytest.raises(hwbench.UserError, match=message):
        hwbench.measure(lambda: calls.append(1), **{"device": "cpu"} | SHORT | asked)
    assert calls == []


def generates():
    yield 1


async def waits():
    pass


@pytest.mark.parametrize("step", [generates, waits, 3])
def test_a_step_whose_call_does_no_work_is_refused(step):
    with pytest.raises(hwbench.UserError, match="step is"):
        hwbench.measure(step, device="cpu", **SHORT)


def test_a_number_of_numpy_and_a_device_of_torch_are_taken(tmp_path):
    params = {"n": np.int64(3), "share": np.float64(0.5)}
    run = hwbench.measure(busy, device=torch.device("cpu"), params=params, **SHORT)
    assert list(run.cases.params) == [{"n": 3, "share": 0.5}]


def test_a_stored_run_keeps_its_folder_when_the_script_moves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = hwbench.measure(busy, device="cpu", output="here", **SHORT)
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert run.folder.parent == tmp_path / "here"
