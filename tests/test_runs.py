"""The builder of runs: what it makes in memory is what the writer stores."""

from dataclasses import fields

import pandas as pd
from runs import CASE, OTHER, measured, run_of, window_of

from hwbench.records import Measurement, Policy
from hwbench.tables.run import RunTables
from hwbench.tables.schema import RAW

RESULTS = ((CASE, [[1.0, 1.5], [2.0]]), (OTHER, [[3.0]]))
BY_THE_WRITER = ["hwbench_version", "schema_version"]
ORDER = ["case_id", "process", "step"]


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    keys = [name for name in ORDER if name in table]
    return table.sort_values(keys, ignore_index=True) if keys else table


def test_a_run_in_memory_equals_the_one_stored_and_read_back(tmp_path):
    options = {"policy": Policy(processes=2), "run_id": "r", "label": "main"}
    stored, made = run_of(*RESULTS, **options, folder=tmp_path), run_of(*RESULTS, **options)
    assert stored.folder == tmp_path / "r"
    assert {field.name for field in fields(RunTables)} == {"folder", *RAW, "left_out"}
    assert made.left_out == stored.left_out == {}
    for name in RAW:
        ours, theirs = (in_order(getattr(run, name)) for run in (made, stored))
        if name == "runs":
            ours, theirs = ours.drop(columns=BY_THE_WRITER), theirs.drop(columns=BY_THE_WRITER)
        pd.testing.assert_frame_equal(ours, theirs, check_dtype=False)


def test_a_process_may_be_a_measurement():
    failure = Measurement("oom", "no memory")
    timed = Measurement("ok", window=window_of([9.0, 1.0], [("forward", 0.5)], warmup=1))
    run = run_of((CASE, [measured(0.003), failure, timed]))
    assert run.measurements.outcome.tolist() == ["ok", "oom", "ok"]
    assert run.measured.samples.tolist() == [10, 1]
    assert set(run.spans.name) == {"forward", "backward"}
