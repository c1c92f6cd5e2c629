"""Tables of one run are derived once."""

import gc
from dataclasses import replace

import pandas as pd
import pytest
from runs import CASE, OTHER, around, run_of

from hwbench.analysis import metrics
from hwbench.analysis.metrics.peak_shares import sustained_mhz
from hwbench.analysis.once import once_a_run


@pytest.fixture
def run():
    return run_of((CASE, around(1.0)), (OTHER, around(2.0)))


def test_a_function_is_called_once_for_each_run_and_argument(run):
    calls = []

    @once_a_run
    def derive(run, name="a"):
        calls.append(name)
        return name

    other = replace(run)
    assert [derive(run), derive(run), derive(run, "b"), derive(run, name="c")] == list("aabc")
    assert derive(other) == "a"
    assert calls == ["a", "b", "c", "a"]


@pytest.mark.parametrize("derive", [metrics.summarize, metrics.cases, metrics.per_process])
def test_no_caller_changes_what_the_next_one_gets(run, derive):
    first, before = derive(run), derive(run)
    first["validity"] = "spoilt"
    del first["case_id"]
    first.index = first.index + 7
    pd.testing.assert_frame_equal(derive(run), before)


def test_a_changed_run_is_derived_anew(run):
    assert set(metrics.summarize(run).case_id) == {CASE.case_id, OTHER.case_id}
    fewer = replace(run, measurements=run.measurements[run.measurements.case_id == CASE.case_id])
    assert set(metrics.summarize(fewer).case_id) == {CASE.case_id}


def test_an_error_is_raised_at_each_call(run):
    @once_a_run
    def derive(run):
        raise ValueError("never")

    for _ in range(2):
        with pytest.raises(ValueError, match="never"):
            derive(run)


def test_results_go_with_their_run():
    from hwbench.analysis import once

    metrics.summarize(run_of((CASE, around(1.0))))
    gc.collect()
    before = len(once._results)
    run = run_of((CASE, around(1.0)))
    metrics.summarize(run)
    sustained_mhz(run, "fp32")
    assert len(once._results) == before + 1
    del run
    gc.collect()
    assert len(once._results) == before
