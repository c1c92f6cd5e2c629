"""Parts that are no parts: with bits flipped, cut, spliced, or made to fill memory."""

import os
import random
import shutil
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damaged import part, rewrite, store

from hwbench import tables
from hwbench.records import UserError
from hwbench.tables import parts, schema
from hwbench.tables.parts import Room, read_part
from hwbench.tables.writer import write_part

FLIPS = 100
"""Of each table."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return store(tmp_path_factory.mktemp("results"))


@pytest.fixture
def folder(stored, tmp_path):
    return shutil.copytree(stored, tmp_path / "r1")


def content_of(folder, table) -> pa.Table:
    return pq.ParquetFile(part(folder, table)).read()


@pytest.mark.parametrize("table", tables.RAW)
def test_a_flipped_bit_is_refused_or_changes_nothing(folder, table):
    file = part(folder, table)
    whole, expected = file.read_bytes(), read_part(file, table, Room())
    chance = random.Random(table)
    for _ in range(FLIPS):
        flipped = bytearray(whole)
        flipped[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        file.write_bytes(flipped)
        with suppress(UserError):
            assert read_part(file, table, Room()).equals(expected)


def test_any_count_of_rows_but_the_true_one_is_refused(folder):
    """No checksum covers a part's counts, and a smaller one would leave rows out."""
    file = part(folder, "spans")
    whole, expected = file.read_bytes(), read_part(file, "spans", Room())
    end = len(whole) - 8
    begin = end - int.from_bytes(whole[end : end + 4], "little")
    counts = set()
    for place in range(begin, end):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            if (rows := _rows(flipped)) not in (None, len(expected)):
                counts.add(rows)
                file.write_bytes(flipped)
                with pytest.raises(UserError):
                    read_part(file, "spans", Room())
    assert min(counts) < len(expected) < max(counts)


def _rows(content: bytes) -> int | None:
    """The rows that a part says it has; None if it cannot be opened."""
    try:
        metadata = pq.ParquetFile(pa.BufferReader(bytes(content))).metadata
        groups = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    except (pa.ArrowException, OSError, ValueError):
        return None
    return min(groups, default=0)


def test_a_part_without_checksums_is_read(folder):
    rewrite(folder, "samples", content_of(folder, "samples"))  # pyarrow writes none of itself
    assert len(tables.read_run(folder).samples) == 12


@pytest.mark.parametrize("table", tables.RAW)
def test_a_column_that_is_there_twice_is_damage(folder, table):
    content = content_of(folder, table)
    name = content.schema.names[-1]
    rewrite(folder, table, content.append_column(content.schema.field(name), content.column(name)))
    with pytest.raises(UserError, match=f"column '{name}' of table '{table}' is damaged"):
        tables.read_run(folder)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        (table, column.name)
        for table in tables.RAW
        for column in schema.SCHEMAS[table]
        if not column.nullable
    ],
)
def test_null_is_damage_where_there_is_always_a_value(folder, table, column):
    content = content_of(folder, table)
    kind = content.schema.field(column).type
    where = content.schema.get_field_index(column)
    nulls = pa.nulls(len(content), kind)
    rewrite(folder, table, content.set_column(where, pa.field(column, kind), nulls))
    with pytest.raises(UserError, match=f"column '{column}' of table '{table}' is damaged"):
        read_part(part(folder, table), table, Room())


@pytest.mark.parametrize("kind", [pa.float64(), pa.bool_(), pa.list_(pa.int64()), pa.string()])
def test_a_column_of_another_type_is_damage(folder, kind):
    content = content_of(folder, "samples")
    where = content.schema.get_field_index("step")
    rewrite(folder, "samples", content.set_column(where, "step", pa.nulls(len(content), kind)))
    with pytest.raises(UserError, match="another type"):
        tables.read_run(folder)


def test_a_column_of_this_version_may_not_be_missing(folder):
    rewrite(folder, "measurements", content_of(folder, "measurements").drop_columns(["choices"]))
    with pytest.raises(UserError, match="not a part of hwbench's table 'measurements'"):
        tables.read_run(folder)


@pytest.mark.parametrize("version", [b"9" * 5000, b"0" * 5000 + b"5", b"\xff", b"-1", b"", b"0"])
def test_a_version_that_is_none_is_damage(folder, version):
    content = content_of(folder, "samples")
    rewrite(folder, "samples", content.replace_schema_metadata({tables.VERSION_KEY: version}))
    with pytest.raises(UserError, match=r"damaged|not a part") as caught:
        tables.read_run(folder)
    assert len(str(caught.value)) < 400


def test_a_text_that_is_not_utf8_is_damage(folder):
    content = content_of(folder, "samples")
    texts = pa.array([b"\xff\xfe"] * len(content), pa.binary())
    raw = pa.StringArray.from_buffers(len(content), *texts.buffers()[1:])
    where = content.schema.get_field_index("flags")
    rewrite(folder, "samples", content.set_column(where, "flags", raw))
    with pytest.raises(UserError, match="damaged"):
        tables.read_run(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_no_part(folder):
    os.mkfifo(folder / "samples" / "pipe.parquet")
    with pytest.raises(UserError, match=r"pipe\.parquet: not a readable Parquet file"):
        tables.read_run(folder)


def repeated(content: pa.Table, rows: int) -> pa.Table:
    """A table of this many rows, all of them the first."""
    return content.take(pa.array(np.zeros(rows, np.int64)))


@pytest.mark.parametrize("table", tables.RAW)
def test_rows_without_bytes_are_refused_before_they_are_read(folder, table, monkeypatch):
    monkeypatch.setattr(parts, "THINNED", {})
    content = repeated(content_of(folder, table), 50_000)
    write_part(folder, table, part(folder, table).stem, content)
    with pytest.raises(UserError, match=r"50,000 rows in .* bytes; it is damaged"):
        read_part(part(folder, table), table, Room(10_000))


def test_telemetry_beyond_what_is_drawn_is_thinned_and_counted(folder, monkeypatch):
    monkeypatch.setattr(parts, "THINNED", {"telemetry": 1000})
    content = repeated(content_of(folder, "telemetry"), 100_000)
    times = pa.array(np.arange(100_000))
    content = content.set_column(content.schema.get_field_index("time_ns"), "time_ns", times)
    write_part(folder, "telemetry", part(folder, "telemetry").stem, content)
    run = tables.read_run(folder)
    assert len(run.telemetry) == pytest.approx(1000, rel=0.1)
    assert run.left_out == {"telemetry": 100_000 - len(run.telemetry)}
    assert run.telemetry.time_ns.is_monotonic_increasing
    assert run.telemetry.equals(tables.read_run(folder).telemetry)


def test_a_long_text_that_all_rows_share_is_refused(folder):
    """In the file it stands once."""
    content = repeated(content_of(folder, "samples"), 200)
    texts = pa.array(["x" * 100_000] * 200)
    content = content.set_column(content.schema.get_field_index("flags"), "flags", texts)
    write_part(folder, "samples", part(folder, "samples").stem, content)
    assert part(folder, "samples").stat().st_size < 100_000
    with pytest.raises(UserError, match="its texts are too long"):
        tables.read_run(folder)
