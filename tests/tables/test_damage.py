"""Tables that do not hold what a run's tables hold: another run's rows, values that cannot be."""

import os
import shutil
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damaged import CASE, fill, part, rewrite, store

from hwbench import tables
from hwbench.records import UserError
from hwbench.tables.writer import write_derived


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return store(tmp_path_factory.mktemp("results"))


@pytest.fixture
def folder(stored, tmp_path):
    return shutil.copytree(stored, tmp_path / "r1")


@pytest.mark.parametrize("table", tables.RAW)
@pytest.mark.parametrize("run_id", ["another", "../r1", "/tmp/r1", ".", "", "r1\n", "x" * 5000])
def test_rows_of_another_run_are_refused(folder, table, run_id):
    fill(folder, table, "run_id", run_id)
    with pytest.raises(UserError, match=f"table '{table}' has rows of another run") as caught:
        tables.read_run(folder)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("table", [name for name in tables.RAW if name != "runs"])
def test_a_part_of_another_run_beside_the_own_is_refused(folder, tmp_path, table):
    """Also where no measurement of it is there."""
    other = store(tmp_path / "others", "r2")
    fill(other, table, "process", 7)
    shutil.copy(part(other, table), folder / table / "other-7.parquet")
    with pytest.raises(UserError, match=f"table '{table}' has rows of another run, r2"):
        tables.read_run(folder)


def test_another_runs_noise_floors_are_left_out(folder, tmp_path):
    floors = pd.DataFrame(
        [
            {
                "run_id": "r2",
                "started_at": "2026-11-24",
                "case_id": CASE.case_id,
                "metric": "tokens_per_s",
                "floor": 0.5,
                "n": 3,
                "device_kind": "fake",
                "device_name": "Fake device",
            }
        ]
    )
    write_derived(folder, "noise", floors)
    warnings = []
    assert tables.read_noise(tmp_path, warnings.append).empty
    assert "table 'noise' has rows of another run, r2; left out" in warnings[0]


class TestFolder:
    def test_another_name_is_damage_with_the_cure(self, folder):
        renamed = folder.rename(folder.with_name("copy"))
        with pytest.raises(UserError, match="if the folder was renamed, name it r1 again"):
            tables.read_run(renamed)

    def test_another_name_is_left_out_of_the_heads(self, folder, tmp_path):
        folder.rename(folder.with_name("copy"))
        warnings = []
        assert tables.read_heads(tmp_path, warnings.append).empty
        assert "name it r1 again; left out" in warnings[0]

    @pytest.mark.skipif(sys.platform != "linux", reason="names are UTF-8 here")
    def test_a_run_below_a_name_that_is_not_utf8_is_read(self, folder, tmp_path):
        below = tmp_path / os.fsdecode(b"caf\xe9")
        below.mkdir()
        assert tables.read_run(folder.rename(below / "r1")).run_id == "r1"

    @pytest.mark.parametrize("name", ["a b", ".hidden", "x" * 101])
    def test_a_name_that_no_run_has_is_damage(self, folder, name):
        with pytest.raises(UserError, match="not the id of a run"):
            tables.read_run(folder.rename(folder.with_name(name)))

    @pytest.mark.parametrize("name", [".", "./", "../r1", "../r1/"])
    def test_the_same_folder_by_another_path_is_read(self, folder, monkeypatch, name):
        monkeypatch.chdir(folder)
        assert tables.read_run(tables.find_run(name, folder)).run_id == "r1"

    @pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
    def test_a_link_to_it_is_read(self, folder, tmp_path):
        (tmp_path / "latest").symlink_to(folder)
        assert tables.read_run(tmp_path / "latest").run_id == "r1"

    @pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "\udcff", ""])
    def test_a_name_that_none_can_have_is_a_clear_error(self, tmp_path, monkeypatch, name):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(UserError):
            tables.find_run(name, tmp_path)


NEGATIVE = "negative or not a number"
VALUES = [
    ("runs", "started_at", "yesterday", "not a time of ISO 8601"),
    ("runs", "started_at", "9999-12-31T23:59:59-23:59", "not a time of ISO 8601"),
    ("runs", "device_kind", "", "an empty text"),
    ("runs", "device_name", "x" * 100_001, "a text of 100,001 letters"),
    ("measurements", "process", -1, NEGATIVE),
    ("measurements", "case_id", "", "an empty text"),
    ("measurements", "warmup_steps", None, "a measured process has none"),
    ("measurements", "samples", None, "a measured process has none"),
    ("measurements", "converged", None, "a measured process has none"),
    ("measurements", "window_s", None, "a measured process has none"),
    ("measurements", "timer_kind", "sundial", "the unknown timer_kind 'sundial'"),
    ("measurements", "flops", -1, NEGATIVE),
    ("measurements", "tokens", -(2**63), NEGATIVE),
    ("measurements", "memory_peak_bytes", -1, NEGATIVE),
    ("measurements", "compile_s", float("inf"), NEGATIVE),
    ("measurements", "warmup_steps", 3, "not the steps that the measurement counts"),
    ("samples", "step_s", 1.7e308, "a time above 1e.09"),
    ("samples", "step", 0, "two rows of one step"),
    ("samples", "start_ns", 2**63 - 1, "a figure above"),
    ("spans", "position", 0, "two rows of one position"),
    ("spans", "step", 2**62, "two rows of one position|a step that"),
    ("readings", "value", float("inf"), "a figure that is too large"),
    ("readings", "uncertainty", -1.0, NEGATIVE),
    ("readings", "unit", "kWh", "not the unit of its quantity"),
    ("readings", "grade", "A+", "the unknown grade 'A.'"),
    ("readings", "method", "guessed", "the unknown method 'guessed'"),
    ("telemetry", "unit", "kJ", "not the unit of its quantity"),
    ("telemetry", "time_ns", -1, NEGATIVE),
    ("requests", "done_ns", 2**63 - 1, "a figure above"),
    ("requests", "new_tokens", -1, NEGATIVE),
    ("profiles", "busy_share", -1.0, NEGATIVE),
    ("ops", "level", "galaxy", "the unknown level 'galaxy'"),
    ("ops", "flops", float("-inf"), NEGATIVE),
    ("modules", "forward_s", 1e10, "a time above 1e.09"),
    ("gaps", "cause", "whim", "the unknown cause 'whim'"),
    ("memory", "weights_bytes", -1, NEGATIVE),
]


@pytest.mark.parametrize(("table", "column", "value", "says"), VALUES)
def test_values_that_cannot_be_are_damage(folder, table, column, value, says):
    fill(folder, table, column, value)
    with pytest.raises(UserError, match=says) as caught:
        tables.read_run(folder)
    assert str(caught.value).startswith(f"{folder}: ")


@pytest.mark.parametrize(
    "table", ["samples", "spans", "readings", "requests", "profiles", "memory"]
)
def test_rows_that_are_there_twice_are_damage(folder, table):
    shutil.copy(part(folder, table), folder / table / "again.parquet")
    with pytest.raises(UserError, match=f"table '{table}'"):
        tables.read_run(folder)


def test_steps_with_a_gap_are_damage(folder):
    content = pq.ParquetFile(part(folder, "samples")).read()
    steps = pa.array([*range(11), 99], pa.int64())
    where = content.schema.get_field_index("step")
    rewrite(folder, "samples", content.set_column(where, content.schema.field(where), steps))
    with pytest.raises(UserError, match="the numbers of a process have a gap"):
        tables.read_run(folder)
