"""Google Benchmark's JSON (`--benchmark_out_format=json`): a file is one process of each benchmark.

The format is that of google/benchmark's `src/json_reporter.cc`. A repetition is a sample: its
`real_time` is the mean of one iteration. A file does not name the processor.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hwbench.documents import read_json
from hwbench.records import Measurement, Work
from hwbench.tables.importers.fields import (
    NotAResult,
    Unusable,
    distribution,
    near_whole,
    optional,
    part,
    positive,
)
from hwbench.tables.importers.imported import (
    Imported,
    case_of,
    failure,
    imported,
    measurement,
    moment,
    processor,
    row_if_unusable,
)

UNITS_S = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
CURE = "run it with --benchmark_repetitions=10"
WITH_REPETITIONS = f"{CURE} --benchmark_report_aggregates_only=false"

OLDER_DATES = ("%Y/%m/%d-%H:%M:%S", "%m/%d/%y %H:%M:%S")
"""Local times as Google Benchmark wrote them before 1.5.3, the second on Windows."""

Row = Mapping[str, Any]


def read(file: Path) -> Imported:
    """The benchmarks of one file. One that failed in any repetition is an error."""
    content = read_json(file)
    context = part(content, "context", dict, "the file")
    groups = _groups(part(content, "benchmarks", list, "the file"))
    measured = [
        (case_of(f"google-benchmark/{name}", {}), _process(name, repetitions))
        for name, repetitions in groups.items()
    ]
    device = processor(None, context.get("num_cpus"))
    version = context.get("library_version") or context.get("libbenchmark_version")
    packages = {"google-benchmark": version}
    started_at = moment(context.get("date"), None, OLDER_DATES)
    return imported(measured, device, device, started_at, packages=packages)


def _groups(rows: Sequence[Any]) -> dict[str, list[Row]]:
    """The repetitions of each benchmark, by its name; none of one that has aggregates only."""
    groups: dict[str, list[Row]] = {}
    repeated = set()
    aggregated: dict[str, None] = {}
    for number, row in enumerate(rows):
        where = f"benchmarks[{number}]"
        kind, name = part(row, "run_type", str, where), part(row, "name", str, where)
        if kind != "iteration":
            aggregated[optional(row, "run_name", str, where) or name] = None
            continue
        repetition = row.get("repetition_index")
        if type(repetition) is int:
            if (name, repetition) in repeated:
                raise NotAResult(f"{where} is of the same name as another benchmark: {name}")
            repeated.add((name, repetition))
        groups.setdefault(name, []).append(row)
    return groups | {name: [] for name in aggregated if name not in groups}


@row_if_unusable
def _process(name: str, repetitions: Sequence[Row]) -> Measurement:
    for row in repetitions:
        if row.get("error_occurred") is True:
            return failure("error", optional(row, "error_message", str, name) or "unknown error")
        if row.get("skipped") is True:
            return failure("unsupported", optional(row, "skip_message", str, name) or "skipped")
    if not repetitions:
        raise Unusable(f"{name} has aggregates only; {WITH_REPETITIONS}")
    units = {part(row, "time_unit", str, name) for row in repetitions}
    known = ", ".join(UNITS_S)
    if len(units) > 1 or not units <= set(UNITS_S):
        raise Unusable(f"{name}: time_unit is {' and '.join(sorted(units))}, not one of {known}")
    unit_s = UNITS_S[units.pop()]
    values = [row.get("real_time") for row in repetitions]
    times = distribution(values, f"{name}: real_time", unit_s, CURE)
    return measurement(times, work=Work(bytes=_bytes(name, repetitions, unit_s)))


def _bytes(name: str, repetitions: Sequence[Row], unit_s: float) -> int | None:
    """The bytes that an iteration processes by `bytes_per_second`, if it says so and all
    repetitions agree.

    The rate is over the processor's time, unless the benchmark asks for another in its name.
    """
    clock = "real_time" if {"real_time", "manual_time"} & set(name.split("/")) else "cpu_time"
    found = set()
    for row in repetitions:
        rate, time = positive(row.get("bytes_per_second")), positive(row.get(clock))
        found.add(near_whole(rate * time * unit_s) if rate and time else None)
    return found.pop() if len(found) == 1 else None
