"""Reads one part of a table: a Parquet file that may be cut short, damaged, or made to do harm."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hwbench.records import UserError
from hwbench.tables.columns import damaged
from hwbench.tables.schema import ADDED, SCHEMA_VERSION, SCHEMAS, VERSION_KEY

FREE_ROWS = 1_000_000
"""Rows that a run may have however small its files are. Beyond them a file holds at most one row a
byte: each row that hwbench writes has a number that no other row has."""

MOST_ROWS = 8_000_000
"""Of a part, which is of one process or an import: a window ends after a million steps."""

SMALL = 2**24
"""Bytes of a file that is held in memory as it is read."""

THINNED = {"telemetry": 1_000_000}
"""The rows that are read of a part of a table that is only drawn, or of which a median is taken."""

MOST_TEXT = 16 * 2**20
"""The most bytes of texts in a column of a part; a text that many rows share counts once a row."""

LONGEST_TEXT = 64
"""Bytes that a text of each row may have beyond MOST_TEXT, for parts of many rows."""


@dataclass
class Room:
    """How many more rows of a run are read: a small file may spell more rows than memory holds.
    `left_out` counts by table those that are not."""

    rows: int = FREE_ROWS
    left_out: dict[str, int] = field(default_factory=dict)

    def take(self, file: Path, table: str, rows: int) -> int:
        """How many of the rows of a part are read. UserError if there are more than its bytes, or a
        process, can have."""
        size = file.stat().st_size
        kept = min(rows, THINNED.get(table, MOST_ROWS))
        self.rows += size - kept
        if self.rows < 0 or (kept < rows and table not in THINNED):
            raise UserError(
                f"{file}: {rows:,} rows in {size:,} bytes; it is damaged, or made to fill memory"
            )
        return kept


def read_part(file: Path, table: str, room: Room) -> pa.Table:
    """The part with the columns of SCHEMAS, thinned to THINNED. UserError, which names the file, if
    it is cut short, damaged, not hwbench's, of a newer schema, or holds more than there is room
    for."""
    unreadable = f"{file}: not a readable Parquet file; it is damaged or was cut short"
    if not file.is_file():  # a pipe, whose reading has no end
        raise UserError(unreadable)
    try:
        # by a handle: Arrow takes no path whose folders are not UTF-8
        with file.open("rb") as handle, _opened(source := _source(handle)) as part:
            columns = _check_columns(file, table, part.schema_arrow)
            rows = part.metadata.num_rows
            # no checksum covers the counts, and the fewer of two would leave rows out
            if rows != _rows_of_groups(part.metadata):
                raise UserError(unreadable)
            kept = room.take(file, table, rows)
            stored = _stored_bytes(part.metadata)
            if stored * rows <= MOST_TEXT and kept == rows:
                # to name columns takes half as long again
                named = None if part.schema_arrow.names == columns else columns
                content = part.read(named, use_threads=False)
            else:
                content = _read_bounded(source, file, columns, stored, kept / rows)
            if kept < rows:
                room.left_out[table] = room.left_out.get(table, 0) + rows - len(content)
            content.validate(full=True)
    except UserError:
        raise
    # a ValueError is text that is not UTF-8
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise UserError(unreadable) from error
    return _with_schema(file, table, content)


def _source(handle: BinaryIO) -> Any:
    """The file for Arrow to read from; a small one is read at once, which takes a fifth less."""
    is_small = os.fstat(handle.fileno()).st_size <= SMALL
    return pa.py_buffer(handle.read()) if is_small else handle


def _opened(source: Any, **options: Any) -> pq.ParquetFile:
    # a part of an older hwbench has no checksums, and is read all the same
    whole = pa.BufferReader(source) if isinstance(source, pa.Buffer) else source
    return pq.ParquetFile(whole, page_checksum_verification=True, **options)


def _check_columns(file: Path, table: str, schema: pa.Schema) -> list[str]:
    """The columns of the table that the part has. UserError unless these are all that its version
    has, each once and of its type."""
    version = _version(file, schema)
    names = schema.names
    missing = set(SCHEMAS[table].names) - set(names)
    if version < SCHEMA_VERSION:
        missing -= ADDED.get(table, frozenset())
    if version == 0 or missing:
        raise UserError(f"{file}: not a part of hwbench's table {table!r}")
    columns = [name for name in SCHEMAS[table].names if name in names]
    for name in columns:
        if names.count(name) > 1:
            raise damaged(file, table, name, "it is there more than once")
        if schema.field(name).type != SCHEMAS[table].field(name).type:
            raise damaged(file, table, name, "it has another type than it should")
    return columns


def _version(file: Path, schema: pa.Schema) -> int:
    """The schema's version; 0 if the part names none. UserError if it is newer than this reads."""
    written = (schema.metadata or {}).get(VERSION_KEY, b"")
    if not written.isdigit():
        return 0
    if len(written) > 9:  # Python reads no number of thousands of digits
        raise UserError(f"{file}: its schema version has {len(written):,} digits; it is damaged")
    version = int(written)
    if version > SCHEMA_VERSION:
        schemas = f"schema {version}, this reads up to {SCHEMA_VERSION}"
        raise UserError(f"{file}: written by a newer hwbench ({schemas})")
    return version


def _rows_of_groups(metadata: pq.FileMetaData) -> int:
    return sum(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))


def _stored_bytes(metadata: pq.FileMetaData) -> int:
    """The bytes of a part, not compressed."""
    groups = range(metadata.num_row_groups)
    return sum(metadata.row_group(group).total_byte_size for group in groups)


def _read_bounded(
    source: Any, file: Path, columns: list[str], stored: int, share: float
) -> pa.Table:
    """About this share of the rows of a large part, the same ones at each reading: they are chosen
    by chance, as every tenth row might be of one meter. UserError if their texts would not fit into
    memory: a file spells a text that many rows share once."""
    too_long = f"{file}: its texts are too long; it is damaged, or made to fill memory"
    # each text of a column once, and never in all rows at a time
    with _opened(source, read_dictionary=columns) as part:
        most = MOST_TEXT + LONGEST_TEXT * part.metadata.num_rows
        if stored > most * len(columns):
            raise UserError(too_long)
        chance, batches = np.random.default_rng(0), []
        for batch in part.iter_batches(columns=columns, use_threads=False):
            is_chosen = pa.array(chance.random(len(batch)) < share)
            batches.append(batch.filter(is_chosen) if share < 1 else batch)
        content = pa.Table.from_batches(batches)
    for name, column in zip(columns, content.columns, strict=True):
        if pa.types.is_dictionary(column.type):
            if _size(column) > most:
                raise UserError(too_long)
            texts = column.cast(pa.string())
            content = content.set_column(content.schema.get_field_index(name), name, texts)
    return content


def _size(column: pa.ChunkedArray) -> int:
    """The bytes of a column of texts as its rows spell them."""
    lengths = (pc.binary_length(chunk.dictionary).take(chunk.indices) for chunk in column.chunks)
    return sum(pc.sum(length).as_py() or 0 for length in lengths)


def _with_schema(file: Path, table: str, content: pa.Table) -> pa.Table:
    """The part with all columns of SCHEMAS; those of later versions are null. UserError for a null
    where there is always a value."""
    arrays = []
    for column in SCHEMAS[table]:
        if column.name not in content.schema.names:
            arrays.append(pa.nulls(len(content), column.type))
            continue
        array = content.column(column.name)
        if array.null_count and not column.nullable:
            raise damaged(file, table, column.name, "a value is missing")
        arrays.append(array)
    return pa.table(arrays, schema=SCHEMAS[table])
