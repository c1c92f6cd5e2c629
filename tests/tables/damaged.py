"""A stored run with a row in every table, and ways to damage its parts."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from runs import make_run, measured

from hwbench.records import Case, Declared, Reading, Requests, Telemetry, Work
from hwbench.records.profile import Gaps, MemoryUse, Modules, Ops, Profile

CASE = Case("gpt/train", {"size": "nano", "batch": 1}, "fp32")

READING = Reading(
    "rapl", "package:0", "energy", 3.0, "J", "counter", 0.03, uncertainty=0.1, grade="C"
)
PROFILE = Profile(
    steps=3,
    clean_step_s=0.003,
    profiled_step_s=0.0033,
    events=12.0,
    threads=2,
    unknown={"bytes": "compiled"},
    ops=Ops(
        *([value] for value in ("operator", "forward", "", False, "aten::mm", "[[2, 2]]", "fp32")),
        *([value] for value in (1.0, 2.0, 0.001, 0.001, 16.0, None)),
    ),
    modules=Modules(["head"], ["Linear"], [1.0], [0.1], [0.2], [0.1], [0.2], [16.0]),
    gaps=Gaps([0], ["forward"], [0.1], [0.2], ["host_late"], ["a"], ["b"]),
    memory=MemoryUse([0], ["forward"], ["aten::mm"], [4], [0], [0], [2], [1], [0]),
)


def store(results: Path, run_id: str = "r1") -> Path:
    """Store the run; returns its folder."""
    writer = make_run(results, run_id, [CASE])
    writer.add(
        CASE,
        0,
        measured(
            declared=Declared({"forward": Work(flops=3)}, {"attention": "flash"}),
            readings=[READING],
            telemetry=Telemetry([5], ["rapl"], ["package:0"], [0], ["energy"], [1.5], ["J"]),
            requests=Requests([0], [0], [10], [11], [None], [30], [8], [4], [1]),
            profile=PROFILE,
        ),
    )
    return writer.folder


def part(folder: Path, table: str) -> Path:
    return next((folder / table).glob("*.parquet"))


def rewrite(folder: Path, table: str, content: pa.Table) -> None:
    pq.write_table(content, part(folder, table))


def fill(folder: Path, table: str, column: str, value) -> None:
    """Write the value into each row of a column."""
    content = pq.ParquetFile(part(folder, table)).read()
    kind = content.schema.field(column).type
    where = content.schema.get_field_index(column)
    values = pa.array([value] * len(content), kind)
    rewrite(folder, table, content.set_column(where, pa.field(column, kind), values))
