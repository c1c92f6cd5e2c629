"""Stored runs to harm: sound ones as hwbench writes them, laid into a folder, and their parts as
tables."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from profiles import COPY, GEMM, gap, training
from runs import frame, measured, run_of

from hwbench.recording.session import derive
from hwbench.records import (
    Case,
    Declared,
    Measurement,
    Policy,
    Reading,
    Requests,
    Telemetry,
    Whole,
    Work,
)
from hwbench.tables.schema import VERSION_KEY
from hwbench.tables.writer import write_derived

TRAIN = Case("gpt/train", {"size": "nano", "batch": 1, "seq": 64, "layers": 2}, "fp32")
SERVE = Case("serve/gpt", {"scenario": "server"}, "fp32")
BROKEN = Case("lstm/train", {"batch": 4}, "fp32")
CASES = [TRAIN, GEMM, COPY, SERVE, BROKEN]

GOOD, SLOW, OLDER = "good", "slow", "older"
RUNS = {OLDER: 0.0031, "old": 0.003, GOOD: 0.003, SLOW: 0.006}
"""Their ids, each with the seconds of its training step. All have the label `main`, one device, and
times that follow one another."""

CALM, CALMER = "calm", "calmer"
"""Two more, of one case alone, which pass the gate."""

Files = Mapping[str, bytes]


def lay(results: Path, *names: str, only: str = "") -> None:
    """Lay sound runs into a folder of results; of each the parts that lie in the table `only`, if
    it is given."""
    for name in names:
        for place, content in bundle()[name].items():
            if place.startswith(only):
                file = results / name / place
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)


def parts(run: Path, table: str = "*") -> list[Path]:
    """The files of a run's table, or of all of them, in order."""
    return sorted(run.glob(f"{table}/*.parquet"))


def read_part(file: Path) -> pa.Table:
    """A part, in whose columns anything may be null."""
    table = pq.ParquetFile(file).read()
    fields = [field.with_nullable(True) for field in table.schema]
    return table.from_arrays(table.columns, schema=pa.schema(fields, table.schema.metadata))


def write_part(file: Path, table: pa.Table, version: bytes | None = None) -> None:
    """Store a part as hwbench would; `version` replaces the schema version that it has."""
    metadata = dict(table.schema.metadata or {})
    if version is not None:
        metadata[VERSION_KEY] = version
    pq.write_table(table.replace_schema_metadata(metadata), file, compression="zstd")


@cache
def bundle() -> Mapping[str, Files]:
    """The sound runs: by id the content of every file by its place in the run's folder."""
    with TemporaryDirectory() as scratch:
        for day, (name, step_s) in enumerate(RUNS.items(), start=1):
            _make(Path(scratch), name, step_s, day)
        for name in (CALM, CALMER):
            steps = [_trained(0.003 * (1 + n / 1000), False) for n in range(3)]
            run_of((TRAIN, steps), run_id=name, folder=Path(scratch), policy=Policy(processes=3))
        return {name: _content(Path(scratch, name)) for name in (*RUNS, CALM, CALMER)}


def _content(folder: Path) -> Files:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def _make(results: Path, name: str, step_s: float, day: int) -> None:
    run = run_of(
        (TRAIN, [_trained(step_s * (1 + n / 1000), not n) for n in range(3)]),
        (GEMM, [measured(0.002, work=Work(flops=2_000_000))]),
        (COPY, [measured(0.002, work=Work(bytes=2_000_000))]),
        (SERVE, [measured(0.004, requests=_requests())]),
        (BROKEN, [Measurement("oom", "no memory left: 3 GiB asked for")]),
        run_id=name,
        policy=Policy(processes=3),
        folder=results,
        label="main",
        started_at=f"2026-11-{day:02}T08:00:00+00:00",
    )
    derive(run)
    write_derived(run.folder, "noise", _floors(name))


def _floors(name: str) -> pd.DataFrame:
    """The noise of the machine, as `hwbench noise` finds it."""
    row = {"run_id": name, "started_at": "2026-11-01T08:00:00+00:00", "case_id": TRAIN.case_id}
    row |= {"floor": 0.01, "n": 3, "device_kind": "fake", "device_name": "Fake device"}
    return frame("noise", [row | {"metric": one} for one in ("tokens_per_s", "step_s_p50")])


def _trained(step_s: float, is_profiled: bool) -> Measurement:
    declared = Declared(
        spans={"forward": Work(flops=2000, tokens=30), "backward": Work(flops=4000, tokens=30)},
        choices={"attention": "flash"},
        memory_bytes=1 << 28,
        slice_of=Whole("layers", 12, Work(tokens=30, flops=60_000)),
    )
    return measured(
        step_s,
        memory_peak_bytes=1 << 28,
        memory_base_bytes=1 << 26,
        declared=declared,
        loss=1.5,
        compile_s=0.5,
        notes=["clock_jump: the clock jumped once"],
        readings=_readings(),
        telemetry=_telemetry(),
        profile=training(step_s, gaps=[gap(1e-5, "host_late")]) if is_profiled else None,
    )


def _readings() -> list[Reading]:
    known = ("J", "counter", 10.0, 0.5, "A")
    return [
        Reading("rapl", "package:0", "energy", 50.0, *known),
        Reading("rapl", "package:0", "energy", 20.0, *known, span="forward"),
        Reading("nvml", "gpu:0", "energy", None, "J", None, 10.0, reason="no permission to read"),
    ]


def _telemetry() -> Telemetry:
    count = 40
    return Telemetry(
        time_ns=[10**7 * number for number in range(count)],
        meter=["rapl"] * count,
        scope=["package:0"] * count,
        device_index=[0] * count,
        quantity=["energy"] * count,
        value=[0.1 * number for number in range(count)],
        unit=["J"] * count,
    )


def _requests() -> Requests:
    count = 20
    at = [10**6 * number for number in range(count)]
    return Requests(
        request=list(range(count)),
        query=list(range(count)),
        scheduled_ns=at,
        issued_ns=[time + 1000 for time in at],
        first_token_ns=[time + 200_000 for time in at],
        done_ns=[time + 500_000 for time in at],
        prompt_tokens=[8] * count,
        new_tokens=[4] * count,
        batch=[1] * count,
    )
