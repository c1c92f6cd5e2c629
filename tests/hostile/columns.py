"""Kinds of attack on what the tables of a stored run hold: values, JSON, types, columns, rows."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa

from hostile import shapes, stored
from hostile.attack import Attack
from hostile.reading import RESULTS, any_reader
from hostile.stored import GOOD, SLOW
from hostile.texts import PATHS, text
from hwbench.tables.schema import RAW, SCHEMAS

RAW_AND_NOISE = [*RAW, "noise"]

JSON_COLUMNS = {
    "runs": ("environment", "argv", "plan"),
    "measurements": ("params", "span_work", "choices", "slice_of", "notes"),
    "profiles": ("unknown",),
    "ops": ("shapes",),
}
SHOWN = [
    *(("runs", name) for name in ("device_name", "label", "started_at", "hwbench_version")),
    *(("runs", name) for name in ("environment", "plan", "plan", "argv")),
    *(("measurements", name) for name in ("reason", "reason", "choices", "notes", "params")),
    *(("measurements", name) for name in ("workload", "dtype", "slice_of", "span_work")),
    *(("spans", "name"), ("readings", "reason"), ("readings", "meter"), ("readings", "scope")),
    *(("telemetry", "quantity"), ("telemetry", "unit"), ("telemetry", "scope"), ("ops", "name")),
    *(("ops", "module"), ("ops", "span"), ("ops", "shapes"), ("modules", "module")),
    *(("modules", "kind"), ("gaps", "after"), ("memory", "name"), ("profiles", "unknown")),
    *(("profiles", "invalid"), ("noise", "device_name")),
]
"""Columns of texts that some command shows."""

FLOATS = [0.0, -0.0, -1.0, 5e-324, 1e-300, 1e-9, 1e9, 1e300, 1.7976931348623157e308, -1e300]
FLOATS += [math.nan, math.inf, -math.inf]
INTEGERS = [0, 1, -1, 2**31 - 1, -(2**31), 2**53 + 1, 2**63 - 1, -(2**63)]


def lay(rng: Random, work: Path) -> Path:
    """Sound runs in the results, and the folder of the one to harm."""
    stored.lay(work / RESULTS, GOOD, SLOW)
    return work / RESULTS / SLOW


def a_part(rng: Random, run: Path, *tables: str) -> Path:
    """One of the parts of one of the tables."""
    return rng.choice(stored.parts(run, rng.choice(tables or RAW)))


def change(file: Path, name: str, of: Callable[[list[Any]], Sequence[Any]]) -> None:
    """Store a part with one column changed, of the same type."""
    table = stored.read_part(file)
    place = table.schema.get_field_index(name)
    field = table.schema.field(place)
    column = pa.array(of(table.column(place).to_pylist()), field.type)
    stored.write_part(file, table.set_column(place, field, column))


def one(rng: Random, value: Any) -> Callable[[list[Any]], list[Any]]:
    """What puts the value into one row, or into all."""

    def put(values: list[Any]) -> list[Any]:
        if rng.random() < 0.5:
            return [value] * len(values)
        at = rng.randrange(len(values))
        return [*values[:at], value, *values[at + 1 :]]

    return put


def values(rng: Random, work: Path) -> Attack:
    """A value that is null, or out of all bounds, in any column."""
    run = lay(rng, work)
    file = a_part(rng, run, *RAW_AND_NOISE)
    table = stored.read_part(file)
    field = rng.choice(list(table.schema))
    change(file, field.name, one(rng, _value(rng, field.type)))
    return any_reader(rng, SLOW)


def _value(rng: Random, kind: pa.DataType) -> Any:
    if rng.random() < 0.2:
        return None
    if pa.types.is_string(kind):
        return text(rng)
    if pa.types.is_boolean(kind):
        return rng.random() < 0.5
    if pa.types.is_floating(kind):
        return rng.choice(FLOATS)
    bits = kind.bit_width - 1
    return max(-(2**bits), min(2**bits - 1, rng.choice(INTEGERS)))


def texts(rng: Random, work: Path) -> Attack:
    """A hostile text in a column of texts, wherever it stands in that column, mostly in one that is
    shown."""
    run = lay(rng, work)
    table, name = rng.choice(SHOWN)
    if rng.random() < 0.3:
        table = rng.choice(RAW_AND_NOISE)
        schema = SCHEMAS[table]
        name = rng.choice([field.name for field in schema if field.type == pa.string()])
    hostile = text(rng)
    for file in stored.parts(run, table):
        if name in JSON_COLUMNS.get(table, ()):
            document = stored.read_part(file).column(name)[0].as_py()
            hostile = _with_text(rng, document, hostile)
        change(file, name, lambda values, told=hostile: [told] * len(values))
    return any_reader(rng, SLOW)


def _with_text(rng: Random, document: str | None, hostile: str) -> str:
    """The document with the text in place of one of its own, or of a name in it."""
    content = json.loads(document) if document else {}
    found = sorted({word for word in _texts(content) if word}) or [""]
    word = json.dumps(rng.choice(found))
    return json.dumps(content).replace(word, json.dumps(hostile))


def _texts(content: Any) -> list[str]:
    if isinstance(content, dict):
        return [*content, *(word for value in content.values() for word in _texts(value))]
    if isinstance(content, list):
        return [word for value in content for word in _texts(value)]
    return [content] if isinstance(content, str) else []


def documents(rng: Random, work: Path) -> Attack:
    """A column of JSON that is of another shape, cut short, deep or huge."""
    run = lay(rng, work)
    table = rng.choice(["runs", "measurements", "measurements", "profiles", "ops"])
    name = rng.choice(JSON_COLUMNS[table])
    file = a_part(rng, run, table)
    document = stored.read_part(file).column(name)[0].as_py() or "{}"
    content = json.loads(document)
    way = rng.randrange(5)
    if way == 0:
        hostile = shapes.spelled(rng)
    elif way == 1:
        hostile = shapes.broken(rng, document)
    elif way == 2 and content and isinstance(content, dict):
        hostile = shapes.renamed(rng, content)
    else:
        hostile = shapes.changed(rng, content)
    change(file, name, one(rng, hostile.encode(errors="replace").decode()))
    return any_reader(rng, SLOW)


def identities(rng: Random, work: Path) -> Attack:
    """Rows that say they are of another run: of none, of a neighbour, or of a path elsewhere."""
    run = lay(rng, work)
    name = rng.choice(
        [*PATHS, GOOD, "other", "", str(work.parent / "VICTIM"), f"{SLOW}/", f" {SLOW}"]
    )
    tables = [rng.choice(RAW)] if rng.random() < 0.6 else list(RAW)
    for file in [file for table in tables for file in stored.parts(run, table)]:
        change(file, "run_id", lambda values: [name] * len(values))
    return any_reader(rng, SLOW, is_damaged=True)


def neighbours(rng: Random, work: Path) -> Attack:
    """Parts of another run among its own, beside them or in their place."""
    run = lay(rng, work)
    table = rng.choice(RAW)
    for file in stored.parts(work / RESULTS / GOOD, table):
        prefix = rng.choice(["", "other-"])
        (run / table / f"{prefix}{file.name}").write_bytes(file.read_bytes())
    return any_reader(rng, SLOW, is_damaged=True)


def moved(rng: Random, work: Path) -> Attack:
    """A run whose folder has another name than its tables say."""
    run = lay(rng, work)
    name = rng.choice(["renamed", "slow2", "Slow"])
    run.rename(run.with_name(name))
    return any_reader(rng, name, is_damaged=True)


def types(rng: Random, work: Path) -> Attack:
    """A column of another type than it should be."""
    run = lay(rng, work)
    file = a_part(rng, run, *RAW_AND_NOISE)
    table = stored.read_part(file)
    place = rng.randrange(table.num_columns)
    count = len(table)
    column = rng.choice(
        [
            pa.nulls(count),
            pa.array([text(rng)] * count, pa.string()),
            pa.array([text(rng)] * count, pa.large_string()),
            pa.array([b"\xff\xfe\x00"] * count, pa.binary()),
            pa.array(["1"] * count, pa.string()),
            pa.array([[1, 2]] * count, pa.list_(pa.int64())),
            pa.array([{"a": 1}] * count),
            pa.array([1.5] * count, pa.float32()),
            pa.array([1e300] * count, pa.float64()),
            pa.array([True] * count, pa.bool_()),
            pa.array([2**64 - 1] * count, pa.uint64()),
            pa.array([10**18] * count, pa.timestamp("ns")),
            pa.array(["a"] * count).dictionary_encode(),
            pa.array([None] * count, pa.dictionary(pa.int32(), pa.string())),
            pa.array([1] * count, pa.decimal128(38, 0)),
        ]
    )
    stored.write_part(file, table.set_column(place, table.schema.names[place], column))
    return any_reader(rng, SLOW)


def columns(rng: Random, work: Path) -> Attack:
    """Columns that stand twice, are missing, are others', or have other names."""
    run = lay(rng, work)
    file = a_part(rng, run, *RAW_AND_NOISE)
    table = stored.read_part(file)
    place = rng.randrange(table.num_columns)
    names = list(table.schema.names)
    way = rng.randrange(6)
    if way == 0:
        table = table.remove_column(place)
    elif way == 1:
        table = table.append_column(names[place], table.column(place))
    elif way == 2:
        table = table.append_column(text(rng)[:1000], table.column(place))
    elif way == 3:
        table = table.rename_columns([*names[:place], text(rng)[:1000], *names[place + 1 :]])
    elif way == 4:
        table = table.select(rng.sample(names, len(names)))
    else:
        table = table.select([])
    stored.write_part(file, table)
    return any_reader(rng, SLOW)


def versions(rng: Random, work: Path) -> Attack:
    """A schema version that is none."""
    run = lay(rng, work)
    file = a_part(rng, run, *RAW_AND_NOISE)
    version = rng.choice(
        [
            b"",
            b"0",
            b"-1",
            b"6",
            b"99999999999999999999",
            b"9" * 5000,
            b"5.0",
            b"5\n",
            b" 5",
            b"\xff",
            "\u0665".encode(),
            b"1",
            b"1e0",
            b"0x5",
            b"5" * 5000,
            b"0" * 5000 + b"5",
            b"+5",
            b"5_0",
        ]
    )
    stored.write_part(file, stored.read_part(file), version)
    return any_reader(rng, SLOW)


def rows(rng: Random, work: Path) -> Attack:
    """Rows that are missing, stand twice, or are those of another process."""
    run = lay(rng, work)
    file = a_part(rng, run, *RAW_AND_NOISE)
    table = stored.read_part(file)
    way = rng.randrange(5)
    if way == 0:
        table = table.slice(0, 0)
    elif way == 1:
        table = pa.concat_tables([table, table])
    elif way == 2:
        table = pa.concat_tables([table.slice(0, 1)] * rng.choice([2, 1000]))
    elif way == 3:
        table = table.slice(rng.randrange(len(table)))
    else:
        table = table.take(rng.sample(range(len(table)), len(table)))
    stored.write_part(file, table)
    return any_reader(rng, SLOW)


def repeated(rng: Random, work: Path) -> Attack:
    """Steps, positions, requests or times that are all one number."""
    run = lay(rng, work)
    table, names = rng.choice(
        [
            ("samples", ["step", "start_ns", "step_s"]),
            ("spans", ["step", "position", "span_s"]),
            ("requests", ["request", "query", "scheduled_ns", "done_ns", "first_token_ns"]),
            ("telemetry", ["time_ns", "value"]),
            ("memory", ["position"]),
        ]
    )
    name = rng.choice(names)
    for file in stored.parts(run, table):
        kind = stored.read_part(file).schema.field(name).type
        value = _value(rng, kind)
        change(file, name, lambda values, value=value: [value] * len(values))
    return any_reader(rng, SLOW)
