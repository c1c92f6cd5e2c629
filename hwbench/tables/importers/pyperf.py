"""pyperf's JSON: a file has its processes in it, as runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwbench.documents import read_json
from hwbench.records import Case, Measurement
from hwbench.tables.importers.fields import (
    NotAResult,
    Unusable,
    optional,
    part,
    seconds,
    times,
    whole_number,
)
from hwbench.tables.importers.imported import (
    Imported,
    case_of,
    imported,
    measurement,
    moment,
    processor,
    row_if_unusable,
)

VERSION = "1.0"
"""Of the JSON. Its times are for one execution: what the clock said over loops × inner_loops."""


def read(file: Path) -> Imported:
    """The benchmarks of one file. Each run with values is a process; runs that only calibrate are
    left out."""
    content = read_json(file)
    benchmarks = part(content, "benchmarks", list, "the file")
    if (version := content.get("version")) != VERSION:
        raise NotAResult(f"its format is {version!r:.20}, not {VERSION!r}")
    common = optional(content, "metadata")
    known: dict[str, Any] = {}
    measured: list[tuple[Case, Measurement]] = []
    names = set()
    for entry in benchmarks:
        runs = part(entry, "runs", list, "a benchmark")
        about = common | optional(entry, "metadata")
        name = part(about, "name", str, "the metadata of a benchmark")
        case = case_of(f"pyperf/{name}", {})
        if name in names:
            raise NotAResult(f"two benchmarks are called {name}")
        names.add(name)
        for run in (run for run in runs if optional(run, "values", list)):
            known = known or about | optional(run, "metadata")
            measured.append((case, _process(run, about, name)))
    device = processor(known.get("cpu_model_name"), known.get("cpu_count"))
    return imported(
        measured,
        device,
        device,
        moment(known.get("date"), zone=None),
        os=known.get("platform"),
        python=known.get("python_version"),
        packages={"pyperf": known.get("perf_version")},
    )


@row_if_unusable
def _process(run: Mapping[str, Any], about: dict[str, Any], name: str) -> Measurement:
    """One process, its warm-ups (pairs of loops and time) first."""
    if (unit := about.get("unit", "second")) != "second":
        raise Unusable(f"{name} is in {unit!s:.20}; only times can be imported")
    warmups = [
        pair[1] if isinstance(pair, list) and len(pair) == 2 else None
        for pair in optional(run, "warmups", list)
    ]
    peak = (about | optional(run, "metadata")).get("mem_max_rss")
    return measurement(
        times(run["values"], name),
        seconds(warmups, f"the warm-up of {name}") if warmups else [],
        memory_peak_bytes=whole_number(peak),
    )
