"""pytest-benchmark's JSON: a file is one process of each of its benchmarks."""

from datetime import UTC
from pathlib import Path
from typing import Any

from hwbench.documents import read_json
from hwbench.records import Case, Measurement
from hwbench.tables.importers.fields import NotAResult, Unusable, part, times
from hwbench.tables.importers.imported import (
    Imported,
    case_of,
    imported,
    measurement,
    moment,
    processor,
    row_if_unusable,
)


def read(file: Path) -> Imported:
    """The benchmarks of one file. Each round is a sample, the mean of its iterations."""
    content = read_json(file)
    machine = part(content, "machine_info", dict, "the file")
    cpu = machine["cpu"] if isinstance(machine.get("cpu"), dict) else {}
    measured: dict[str, tuple[Case, Measurement]] = {}
    for entry in part(content, "benchmarks", list, "the file"):
        name = part(entry, "fullname", str, "a benchmark")
        stats = part(entry, "stats", dict, name)
        case = case_of(f"pytest-benchmark/{name}", _params(entry.get("params")))
        if case.case_id in measured:
            raise NotAResult(f"two benchmarks are called {name}")
        measured[case.case_id] = (case, _process(stats, name))
    device = processor(
        _either(cpu, "brand_raw", "brand"),
        cpu.get("count"),
        vendor=_either(cpu, "vendor_id_raw", "vendor_id"),
        family=cpu.get("family"),
        model=cpu.get("model"),
    )
    return imported(
        [*measured.values()],
        device,
        device,
        moment(content.get("datetime"), zone=UTC),  # up to 4.0.0 it is UTC without a zone
        os=_system(machine),
        python=machine.get("python_version"),
        packages={"pytest-benchmark": content.get("version")},
        git=_commit(content.get("commit_info")),
    )


@row_if_unusable
def _process(stats: dict[str, Any], name: str) -> Measurement:
    if "data" not in stats:
        cure = "save it with --benchmark-json FILE or --benchmark-save-data"
        raise Unusable(f"{name} has no single times; {cure}")
    return measurement(times(stats["data"], name))


def _system(machine: dict[str, Any]) -> str:
    """What of the operating system's name, its release and the architecture is known."""
    parts = (machine.get(key) for key in ("system", "release", "machine"))
    return " ".join(part for part in parts if isinstance(part, str) and part)


def _either(cpu: dict[str, Any], now: str, before: str) -> Any:
    """What py-cpuinfo says under the name that a key has now, or had before its version 6. Beside
    `machine_info.cpu` there are only architectures."""
    return cpu.get(now) or cpu.get(before)


def _params(params: Any) -> dict[str, Any]:
    if isinstance(params, dict):
        return params
    return {} if params is None else {"params": params}


def _commit(info: Any) -> dict[str, Any] | None:
    if not isinstance(info, dict) or info.get("id") in (None, "unversioned", "unknown"):
        return None
    return {"commit": info["id"], "dirty": info.get("dirty")}
