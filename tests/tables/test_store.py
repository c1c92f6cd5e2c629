import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damaged import PROFILE, READING
from runs import make_run, measured, run_of

from hwbench import tables
from hwbench.records import Declared, Measurement, Requests, Telemetry, UserError, Work
from hwbench.records.profile import Gaps
from hwbench.tables import schema


@pytest.fixture
def run(tmp_path, training):
    writer = make_run(tmp_path, "r1", [training])
    telemetry = Telemetry([5], ["rapl"], ["package:0"], [0], ["energy"], [1.5], ["J"])
    requests = Requests([0], [0], [10], [11], [None], [30], [8], [4], [1])
    writer.add(
        training,
        0,
        measured(readings=[READING], telemetry=telemetry, requests=requests, profile=PROFILE),
    )
    return writer


def test_no_place_and_no_secret_is_stored(tmp_path, training):
    argv = ["hwbench", "meter", "--", "x", "--token", "s3cret", "/home/jane/a.py"]
    run = run_of((training, [[0.1, 0.2]]), folder=tmp_path, argv=json.dumps(argv))
    assert run.argv == [*argv[:-2], "…", "…/a.py"]


def test_a_reason_and_a_note_name_no_place(run, training):
    run.add(training, 1, Measurement("error", "no file '/home/jane/a'", notes=["x: /home/jane/b"]))
    row = tables.read_run(run.folder).measurements.iloc[1]
    assert row.reason == "no file '…/a'"
    assert json.loads(row.notes) == ["x: …/b"]


def test_a_measurement_reads_back_as_it_was_written(run, training):
    found = tables.read_run(run.folder)
    row = found.measurements.iloc[0]
    assert (row.case_id, row.outcome, row.samples, row.warmup_steps) == (
        training.case_id,
        "ok",
        10,
        2,
    )
    assert (row.tokens, row.flops, row.bytes) == (30, 6000, 900)
    assert row.window_s == 0.03
    assert found.samples.step.tolist() == list(range(12))
    assert len(found.spans) == 24
    assert found.readings.iloc[0][list(vars(READING))].to_dict() == vars(READING)
    assert found.telemetry[["time_ns", "device_index", "value"]].to_numpy().tolist() == [
        [5, 0, 1.5]
    ]
    assert found.requests[["scheduled_ns", "done_ns", "batch"]].to_numpy().tolist() == [[10, 30, 1]]
    assert found.requests.first_token_ns.isna().all()
    assert found.runs.schema_version.iloc[0] == schema.SCHEMA_VERSION


def test_a_run_has_its_device_plan_and_environment(run, training):
    run.add(training, 1, Measurement("oom", "too large"))
    found = tables.read_run(run.folder)
    row = found.runs.iloc[0]
    assert found.device == tables.RunDevice(row.device_kind, row.device_name)
    assert found.plan == json.loads(row.plan)
    assert found.environment == json.loads(row.environment)
    assert found.argv == json.loads(row.argv)
    assert found.measurements.outcome.tolist() == ["ok", "oom"]
    assert found.measured.outcome.tolist() == ["ok"]
    assert found.plan is found.plan
    assert found.measured is found.measured


def test_a_changed_run_does_not_keep_cached_properties(run):
    found = tables.read_run(run.folder)
    assert found.device.name != "another"
    changed = replace(found, runs=found.runs.assign(device_name="another"))
    assert changed.device.name == "another"
    assert len({found, changed, found}) == 2


def test_a_part_is_synced_before_it_has_its_name_and_its_folder_after(run, training, monkeypatch):
    synced, folder = [], run.folder / "measurements"

    def note(handle):
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        synced.append((is_folder, len(list(folder.glob("*.parquet")))))

    monkeypatch.setattr(os, "fsync", note)
    run.add(training, 1, Measurement("error", "boom"))
    assert synced == [(False, 1), (True, 2)]


@pytest.mark.parametrize("version", [b"1", b"2"])
def test_a_column_that_came_later_is_null_in_older_parts(run, training, version):
    run.add(training, 1, measured(work=Work(flops=1, flops_full_attention=2)))
    part = next(run.folder.glob("measurements/*-0.parquet"))
    table = pq.ParquetFile(part).read().drop_columns(["flops_full_attention"])
    pq.write_table(table.replace_schema_metadata({tables.VERSION_KEY: version}), part)
    found = tables.read_run(run.folder).measurements
    assert found.flops_full_attention.isna().tolist() == [True, False]
    assert found.columns.tolist() == schema.SCHEMAS["measurements"].names


def test_a_workloads_declarations_are_stored(run, training):
    declared = Declared({"optimizer": Work(flops=3)}, {"attention": "flash"}, memory_bytes=70)
    run.add(training, 1, measured(declared=declared, memory_base_bytes=30))
    row = tables.read_run(run.folder).measurements.iloc[1]
    assert json.loads(row.span_work)["optimizer"] | {"flops": 3} == vars(Work(flops=3))
    assert json.loads(row.choices) == {"attention": "flash"}
    assert (row.memory_base_bytes, row.memory_predicted_bytes) == (30, 70)


def test_a_profile_reads_back_as_it_was_written(tmp_path, training):
    run = make_run(tmp_path, "r1", [training])
    run.add(
        training,
        1,
        Measurement.from_json(measured(profile=replace(PROFILE, gaps=Gaps())).as_json()),
    )
    found = tables.read_run(run.folder)
    row = found.profiles.iloc[0]
    assert (row.process, row.steps, row.clean_step_s, row.threads) == (1, 3, 0.003, 2)
    assert json.loads(row.unknown) == PROFILE.unknown
    assert pd.isna(row.busy_share)
    operator = found.ops.iloc[0]
    assert (operator["name"], operator.seconds, operator.flops) == ("aten::mm", 0.001, 16.0)
    assert pd.isna(operator.bytes)
    assert found.memory.activations_bytes.tolist() == [2]
    assert found.modules.module.tolist() == ["head"]
    assert found.gaps.empty


def test_unknown_is_null_not_zero(run, training):
    run.add(training, 1, Measurement("error", "ValueError: x"))
    row = tables.read_run(run.folder).measurements.iloc[1]
    assert row.reason == "ValueError: x"
    assert row[["tokens", "samples", "window_s", "memory_peak_bytes", "timer_kind"]].isna().all()


PROCESS = "run_id case_id process"
DOCUMENTED = {
    "runs": """run_id started_at label device_kind device_name hwbench_version schema_version
        environment argv""",
    "measurements": """workload params dtype outcome reason warmup_steps samples converged
        timer_kind tokens flops bytes window_s memory_peak_bytes compile_s""",
    "samples": "step warmup start_ns step_s flags",
    "spans": "step name position span_s",
    "readings": "meter scope quantity value unit method window_s uncertainty grade reason",
    "telemetry": "time_ns meter device_index quantity value unit",
    "requests": """request query scheduled_ns issued_ns first_token_ns done_ns prompt_tokens
        new_tokens batch""",
    "profiles": "steps clean_step_s profiled_step_s events invalid unknown",
    "ops": "level span module name shapes calls seconds flops bytes",
    "modules": "module kind calls forward_s backward_s",
    "gaps": "step start_s gap_s cause",
    "memory": "position weights_bytes gradients_bytes optimizer_bytes activations_bytes",
}


@pytest.mark.parametrize("table", tables.RAW)
def test_raw_tables_have_the_documented_columns(run, table):
    documented = DOCUMENTED[table] if table == "runs" else f"{PROCESS} {DOCUMENTED[table]}"
    columns = pq.ParquetFile(next((run.folder / table).glob("*.parquet"))).schema_arrow.names
    assert set(documented.split()) <= set(columns)


def test_derived_tables_have_the_documented_columns():
    case = ["run_id", "case_id", "device_kind", "workload"]
    value = ["metric", "value", "ci_low", "ci_high", "unit", "n", "method", "validity", "reasons"]
    share = ["convention", "peak", "peak_dtype"]
    metrics = [*case, *value, "source", "uncertainty", "grade", *share]
    assert schema.SCHEMAS["metrics"].names == metrics
    assert schema.SCHEMAS["span_metrics"].names == [*case, "span", *value, "source", *share]


def test_the_parts_of_all_runs_read_as_one_table(tmp_path, training):
    for name in ("a", "b"):
        make_run(tmp_path, name, [training]).add(training, 0, measured())
    table = pd.concat(
        pd.read_parquet(file) for file in sorted(tmp_path.glob("*/samples/*.parquet"))
    )
    assert table.groupby("run_id").size().to_dict() == {"a": 12, "b": 12}


def test_rows_without_a_measurement_are_left_out(run, training):
    stray = run.folder / "samples" / f"{training.case_id}-9.parquet"
    table = pq.ParquetFile(run.folder / "samples" / f"{training.case_id}-0.parquet").read()
    column = pa.array([9] * len(table), pa.int32())
    pq.write_table(
        table.set_column(table.schema.get_field_index("process"), "process", column), stray
    )
    assert set(tables.read_run(run.folder).samples.process) == {0}


def test_a_part_that_is_being_written_is_left_out(run, training, monkeypatch):
    """What a process leaves that is killed between writing a part and renaming it."""
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.add(training, 1, measured())
    monkeypatch.undo()
    assert [f.name for f in (run.folder / "samples").iterdir() if f.name.endswith(".part")]
    assert set(tables.read_run(run.folder).measurements.process) == {0}
    assert len(list(run.folder.glob("samples/*.parquet"))) == 1


def interrupt(*_):
    raise KeyboardInterrupt


def test_a_write_that_fails_leaves_no_file_behind(run, training, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(OSError, match="No space"):
        run.add(training, 1, measured())
    assert not list(run.folder.rglob("*.part"))
    assert len(list(run.folder.rglob("*-1.parquet"))) == 0
    assert set(tables.read_run(run.folder).measurements.process) == {0}


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "x" * 101, "a b"])
def test_a_run_id_that_is_no_plain_name_is_refused(tmp_path, training, name):
    with pytest.raises(UserError, match="run id"):
        make_run(tmp_path / "results", name, [training])
    assert not (tmp_path / "results").exists()


def test_a_run_id_that_exists_is_refused(run, tmp_path, training):
    with pytest.raises(UserError, match="run r1 exists"):
        make_run(tmp_path, "r1", [training])
    assert len(tables.read_run(run.folder).measurements) == 1


def test_a_results_folder_that_is_a_file_is_refused(tmp_path, training):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to"):
        make_run(tmp_path / "file", "r", [training])


class TestFindRun:
    def test_finds_a_run_by_folder_and_by_id(self, run, tmp_path):
        assert tables.find_run(str(run.folder), Path("elsewhere")) == run.folder
        assert tables.find_run("r1", tmp_path) == run.folder

    def test_finds_a_reference_run_by_id(self, tmp_path, training):
        folder = make_run(tmp_path / "reference", "ref", [training]).folder
        assert tables.find_run("ref", tmp_path) == folder

    @pytest.mark.parametrize("name", ["r2", "../x", "/nowhere"])
    def test_lists_the_latest_runs_if_there_is_none(self, run, tmp_path, monkeypatch, name):
        monkeypatch.chdir(tmp_path)  # beside which there is no x, whatever lies beside the checkout
        with pytest.raises(UserError, match="the latest there are r1"):
            tables.find_run(name, tmp_path)

    def test_refuses_an_empty_folder(self, tmp_path):
        with pytest.raises(UserError, match="no run in this folder"):
            tables.find_run(str(tmp_path), tmp_path)


class TestReadRunRefuses:
    def part(self, run, table="measurements"):
        return next((run.folder / table).glob("*.parquet"))

    @pytest.mark.parametrize("table", tables.RAW)
    def test_a_part_that_was_cut_short(self, run, table):
        part = self.part(run, table)
        part.write_bytes(part.read_bytes()[:-50])
        with pytest.raises(UserError, match="damaged or was cut short"):
            tables.read_run(run.folder)

    def test_an_empty_part(self, run):
        self.part(run).write_bytes(b"")
        with pytest.raises(UserError, match="damaged or was cut short"):
            tables.read_run(run.folder)

    def test_a_part_of_another_program(self, run):
        pq.write_table(pa.table({"x": [1]}), self.part(run))
        with pytest.raises(UserError, match="not a part of hwbench's table 'measurements'"):
            tables.read_run(run.folder)

    def test_a_column_of_another_type(self, run):
        part = self.part(run)
        table = pq.ParquetFile(part).read()
        where = table.schema.get_field_index("window_s")
        pq.write_table(table.set_column(where, "window_s", pa.array(["long"])), part)
        with pytest.raises(UserError, match="another type"):
            tables.read_run(run.folder)

    @pytest.mark.parametrize(
        ("table", "column", "value"),
        [
            ("runs", "plan", "{bad"),
            ("runs", "plan", None),
            ("runs", "plan", "{}"),
            ("runs", "plan", '{"policy": {"processes": 1}, "cases": [{"case_id": 3}]}'),
            ("runs", "environment", "[1]"),
            ("runs", "argv", None),
            ("measurements", "notes", None),
            ("measurements", "notes", "[1]"),
            ("measurements", "params", "[1]"),
            ("measurements", "choices", "{bad"),
            ("measurements", "span_work", "[1]"),
            ("profiles", "unknown", None),
        ],
    )
    def test_damaged_json(self, run, table, column, value):
        self.fill(run, table, column, value)
        with pytest.raises(UserError, match=f"column '{column}' of table '{table}' is damaged"):
            tables.read_run(run.folder)

    @pytest.mark.parametrize(
        ("table", "column", "value", "says"),
        [
            ("measurements", "window_s", 0.0, "a window of zero length"),
            ("measurements", "outcome", "wat", "the unknown outcome 'wat'"),
            ("measurements", "run_id", "another", "has rows of another run, another"),
            ("measurements", "samples", 11, "is damaged: it has 10 of 11 steps of case"),
            ("samples", "step_s", float("nan"), "a time that is negative or not a number"),
            ("samples", "step_s", -1.0, "a time that is negative or not a number"),
            ("spans", "span_s", float("inf"), "a time that is negative or not a number"),
            ("profiles", "clean_step_s", float("nan"), "a time that is negative or not a number"),
            ("ops", "name", None, "column 'name' of table 'ops' is damaged: a value is missing"),
            ("ops", "seconds", -1.0, "a figure that is negative or not a number"),
            ("memory", "weights_bytes", None, "a value is missing"),
        ],
    )
    def test_figures_that_cannot_be(self, run, table, column, value, says):
        self.fill(run, table, column, value)
        with pytest.raises(UserError, match=says):
            tables.read_run(run.folder)

    def fill(self, run, table, column, value):
        """Write the value into each row of the column."""
        part = self.part(run, table)
        content = pq.ParquetFile(part).read()
        where = content.schema.get_field_index(column)
        values = pa.array([value] * len(content), content.schema.field(column).type)
        pq.write_table(content.set_column(where, column, values), part)

    def test_two_rows_for_one_process(self, run):
        part = self.part(run)
        part.with_name("again.parquet").write_bytes(part.read_bytes())
        with pytest.raises(UserError, match="two measurements of the same case and process"):
            tables.read_run(run.folder)

    def test_two_runs_in_one_folder(self, run):
        part = self.part(run, "runs")
        part.with_name("again.parquet").write_bytes(part.read_bytes())
        with pytest.raises(UserError, match="more than one run"):
            tables.read_run(run.folder)

    def test_a_version_that_is_no_number(self, run):
        part = self.part(run)
        table = pq.ParquetFile(part).read()
        pq.write_table(table.replace_schema_metadata({tables.VERSION_KEY: b"one"}), part)
        with pytest.raises(UserError, match="not a part of hwbench's table"):
            tables.read_run(run.folder)

    def test_a_newer_schema(self, run):
        part = self.part(run)
        table = pq.ParquetFile(part).read()
        pq.write_table(table.replace_schema_metadata({tables.VERSION_KEY: b"99"}), part)
        with pytest.raises(UserError, match=r"newer hwbench \(schema 99"):
            tables.read_run(run.folder)
