"""Kinds of attack by sheer number: small files that hold very many rows, names, entries or
characters."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

from hostile import columns, stored
from hostile.attack import Attack
from hostile.reading import any_reader
from hostile.stored import SLOW
from hostile.texts import text

TABLES = ("telemetry", "samples", "spans", "readings", "requests", "ops", "measurements", "gaps")
ROWS = [200_000, 2_000_000]
CHUNK = 1 << 18
"""Rows of a group in the file."""


def bombs(rng: Random, work: Path) -> Attack:
    """A small part of very many rows, all alike."""
    run = columns.lay(rng, work)
    inflate(columns.a_part(rng, run, *TABLES), rng.choice(ROWS))
    return any_reader(rng, SLOW)


def inflate(file: Path, count: int) -> None:
    """Store the part's first row so many times."""
    row = stored.read_part(file).slice(0, 1)
    many = row.take(pa.array([0] * min(count, CHUNK)))
    with pq.ParquetWriter(file, many.schema, compression="zstd") as writer:
        for begin in range(0, count, CHUNK):
            writer.write_table(many.slice(0, min(CHUNK, count - begin)))


def long_texts(rng: Random, work: Path) -> Attack:
    """A text of many megabytes, or a long one in very many rows: either takes no room in a file."""
    run = columns.lay(rng, work)
    file = columns.a_part(rng, run, *TABLES, "runs", "profiles", "modules", "memory")
    if rng.random() < 0.5:
        inflate(file, 100_000)
    table = stored.read_part(file)
    names = [field.name for field in table.schema if field.type == pa.string()]
    name = rng.choice([one for one in names if one != "run_id"])
    length = 10_000 if len(table) > 1000 else 50_000_000
    hostile = rng.choice("x<\u202e\n") * length
    place = table.schema.get_field_index(name)
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * len(table)), [hostile])
    table = table.set_column(place, name, repeated)
    pq.write_table(table, file, compression="zstd", store_schema=rng.random() < 0.5)
    return any_reader(rng, SLOW)


def names(rng: Random, work: Path) -> Attack:
    """As many names as there are rows: of spans, operators, modules, meters."""
    run = columns.lay(rng, work)
    table, column = rng.choice(
        [
            *(("spans", "name"), ("ops", "name"), ("ops", "module"), ("ops", "span")),
            *(("modules", "module"), ("readings", "scope"), ("readings", "meter")),
            *(("telemetry", "quantity"), ("telemetry", "scope"), ("memory", "span")),
        ]
    )
    file = columns.a_part(rng, run, table)
    inflate(file, rng.choice([2000, 50_000]))
    start = text(rng)[:30]
    columns.change(file, column, lambda values: [f"{start}{n}" for n in range(len(values))])
    if table in ("spans", "memory"):
        columns.change(file, "position", lambda values: list(range(len(values))))
    return any_reader(rng, SLOW)


def entries(rng: Random, work: Path) -> Attack:
    """A column of JSON with very many entries."""
    run = columns.lay(rng, work)
    table, column, grow = rng.choice(GROWN)
    count = rng.choice([500, 20_000])
    for file in stored.parts(run, table):
        columns.change(
            file, column, lambda values: [grow(json.loads(one or "{}"), count) for one in values]
        )
    return any_reader(rng, SLOW)


def _dictionary(content: dict, count: int) -> str:
    return json.dumps(content | {f"k{n}": f"v{n}" for n in range(count)})


def _notes(content: list, count: int) -> str:
    return json.dumps([f"code{n}: what happened" for n in range(count)])


def _words(content: list, count: int) -> str:
    return json.dumps([f"--word{n}" for n in range(count)])


def _cases(content: dict, count: int) -> str:
    first = content["cases"][0]
    more = [first | {"case_id": f"{n:012}", "params": {"n": n}} for n in range(count)]
    return json.dumps(content | {"cases": content["cases"] + more})


def _spans(content: dict, count: int) -> str:
    work = {"tokens": 1, "flops": 1, "bytes": 1}
    return json.dumps(content | {f"span{n}": work for n in range(count)})


def _checks(content: dict, count: int) -> str:
    check = {"check": "x", "severity": "warning", "finding": "found", "cure": "none"}
    return json.dumps(content | {"checks": [check] * count})


Grow = Callable[[object, int], str]
GROWN: list[tuple[str, str, Grow]] = [
    ("runs", "environment", _dictionary),
    ("runs", "environment", _checks),
    ("runs", "argv", _words),
    ("runs", "plan", _cases),
    ("measurements", "choices", _dictionary),
    ("measurements", "params", _dictionary),
    ("measurements", "span_work", _spans),
    ("measurements", "notes", _notes),
    ("profiles", "unknown", _dictionary),
]
