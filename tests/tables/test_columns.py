"""JSON of the result tables: each column has one shape, and anything else is one line of damage."""

import json
import shutil
from dataclasses import replace

import pytest
from damaged import CASE, fill, store
from runs import make_run, measured

from hwbench.analysis.outcomes import cases
from hwbench.records import Declared, Measurement, Run, UserError
from hwbench.tables import columns, read_run
from hwbench.tables.integrity import check_run
from hwbench.tables.writer import Writer


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return read_run(store(tmp_path_factory.mktemp("results")))


@pytest.fixture
def folder(stored, tmp_path):
    return shutil.copytree(stored.folder, tmp_path / "r1")


def plan(**changes) -> str:
    case = {"case_id": "c", "workload": "w", "params": {}, "dtype": "fp32"}
    return json.dumps({"policy": {"processes": 1}, "cases": [case | changes]})


def policy(**changes) -> str:
    return json.dumps({"policy": {"processes": 1} | changes, "cases": []})


DEEP = "[" * 100_000 + "]" * 100_000
WRONG = {
    ("runs", "environment"): [
        '{"device": [1]}',
        '{"device": {"index": "0; rm"}}',
        '{"device": {"multiprocessors": 1.5}}',
        '{"cpu": {"cores": "many"}}',
        '{"cpu": {"vector_extensions": [1]}}',
        '{"variables": ["A"]}',
        '{"variables": {"A": {}}}',
        '{"memory_bytes": 1' + "0" * 400 + "}",
        '{"a":' * 30 + "1" + "}" * 30,
        " " * 1_000_001,
    ],
    ("runs", "argv"): ["{}", "[1]", '[["a"]]', '"hwbench"'],
    ("runs", "plan"): [
        "{}",
        '{"policy": 1, "cases": []}',
        '{"policy": {"processes": 1}, "cases": {}}',
        policy(processes="1"),
        policy(processes=True),
        policy(processes=-1),
        policy(processes=10**30),
        policy(precision=0),
        policy(precision="5%"),
        policy(budget_s=[]),
        policy(max_time_s=1e300),
        plan(case_id=3),
        plan(case_id=""),
        plan(workload=None),
        plan(params=[]),
        plan(params={"n": [1]}),
        plan(params={"n": 2**70}),
        plan(params={f"p{n}": n for n in range(1001)}),
        plan(dtype=1),
        " " * 16_000_001,
    ],
    ("measurements", "params"): ["[]", '{"n": {}}', '{"n": [1]}', '{"n": 1' + "0" * 5000 + "}"],
    ("measurements", "choices"): ["[]", '{"a": {}}', '{"a": ["flash"]}', "3"],
    ("measurements", "span_work"): [
        "[]",
        '{"forward": 3}',
        '{"forward": {"flops": -1}}',
        '{"forward": {"flops": true}}',
        '{"forward": {"flops": 1.5}}',
        '{"forward": {"flops": 9223372036854775808}}',
    ],
    ("measurements", "slice_of"): [
        "[]",
        "{}",
        '{"axis": "layers", "value": 12, "work": {}}',  # the case has no such axis
        '{"axis": "size", "value": 12, "work": {}}',  # which is no number
        '{"axis": "batch", "value": 0, "work": {}}',
        '{"axis": "batch", "value": 12, "work": []}',
    ],
    ("measurements", "notes"): ["{}", "[1]", '["a", null]', '[["a"]]'],
    ("profiles", "unknown"): ["[]", '{"bytes": 1}', '{"bytes": {}}'],
    ("ops", "shapes"): ["{}", '[[1, "x"]]', "[[[1]]]", "[1.5]"],
}
ANY_WRONG = ["", "nul", "{bad", '{"a": 1', DEEP, f'{{"x": {DEEP}}}']
EVERY = [(*place, text) for place, texts in WRONG.items() for text in (*texts, *ANY_WRONG)]


@pytest.mark.parametrize(("table", "column", "text"), EVERY)
def test_json_of_another_shape_is_damage(stored, table, column, text):
    changed = getattr(stored, table).assign(**{column: text})
    with pytest.raises(UserError) as caught:
        check_run(replace(stored, **{table: changed}))
    message = str(caught.value)
    assert f"column '{column}' of table '{table}' is damaged: " in message
    assert "\n" not in message
    assert len(message) < 400


@pytest.mark.parametrize(("table", "column"), WRONG)
def test_damaged_json_is_refused_when_it_is_read(folder, table, column):
    fill(folder, table, column, '"no such shape"')
    with pytest.raises(UserError, match=f"column '{column}' of table '{table}' is damaged"):
        read_run(folder)


@pytest.mark.parametrize(
    ("table", "column", "text"),
    [
        ("runs", "environment", '{"device": null, "cpu": "x86", "new": {"deep": [[1]]}, "os": {}}'),
        ("runs", "environment", '{"load": NaN, "limit": Infinity, "name": "\\udcff"}'),
        ("runs", "argv", '["hwbench", "\\udcff"]'),
        ("runs", "plan", policy(new={"x": [1]}, precision=None)),
        ("measurements", "choices", '{"n": 3, "on": true, "none": null}'),
        ("measurements", "choices", None),
        ("measurements", "span_work", '{"forward": {"flops": 3, "new": []}}'),
        ("measurements", "span_work", None),
        ("ops", "shapes", '[[1, 2], "and 3 more"]'),
    ],
)
def test_what_older_and_newer_versions_store_is_read(folder, table, column, text):
    fill(folder, table, column, text)
    read_run(folder)


def test_json_that_python_alone_reads_is_null_or_escaped(folder):
    fill(folder, "runs", "environment", '{"load": NaN, "name": "\\udcff"}')
    assert read_run(folder).environment == {"load": None, "name": "\\udcff"}


def test_a_run_decodes_each_column_once(folder, monkeypatch):
    run = read_run(folder)
    monkeypatch.setattr(columns, "decode", None)
    assert run.planned.policy.processes == run.plan["policy"]["processes"] == 2
    assert run.planned.cases[0].params == CASE.params
    row = run.measured.iloc[0]
    assert (row.params, row.choices, row.slice_of) == (CASE.params, {"attention": "flash"}, None)
    assert row.span_work["forward"].flops == 3
    assert run.unknown.tolist() == [{"bytes": "compiled"}]


def test_texts_that_are_not_utf8_are_stored_escaped(tmp_path):
    odd = "a\udcff"
    writer = make_run(tmp_path, "r1", [CASE])
    declared = Declared(choices={odd: odd})
    writer.add(CASE, 0, measured(declared=declared, notes=[f"{odd}: b"]))
    writer.add(CASE, 1, Measurement("error", odd))
    found = read_run(writer.folder)
    assert found.decoded.choices[0] == {"a\\udcff": "a\\udcff"}
    assert found.decoded.notes[0] == ["a\\udcff: b"]
    assert found.measurements.reason[1] == "a\\udcff"


def test_choices_that_are_numbers_are_shown(tmp_path):
    writer = make_run(tmp_path, "r1", [CASE])
    writer.add(CASE, 0, measured(declared=Declared(choices={"blocks": 3})))
    assert cases(read_run(writer.folder)).choices[0] == {"blocks": "3"}


@pytest.mark.parametrize(
    "declared", [{"choices": {"a": [1]}}, {"choices": {1: "a"}}, {"memory_bytes": -1}]
)
def test_a_declaration_that_no_column_holds_is_refused(declared):
    with pytest.raises(ValueError, match="Declared"):
        Declared(**declared)


def test_a_run_that_could_not_be_read_back_is_refused_before_it_is_measured(tmp_path):
    bad = {"policy": {"processes": 1}, "cases": [{"params": {"n": 2**70}}]}
    run = Run("r1", "2026-11-24T08:00:00+00:00", "", "fake", "D", {}, [], bad)
    with pytest.raises(UserError, match="run r1 cannot be stored: its plan"):
        Writer(tmp_path / "results", run)
    assert not (tmp_path / "results").exists()
