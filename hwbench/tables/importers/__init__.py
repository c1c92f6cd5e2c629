"""Other people's results as measurements: pytest-benchmark's and pyperf's JSON.

A pytest-benchmark file is one process of each of its benchmarks; a pyperf file has its processes in
it, as runs. All times are taken as they were measured, in seconds for one execution. What a file
does not say stays unknown, and host names, users and paths stay out.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hwbench.records import Case, Measurement, Param, Samples, Spans, UserError, Window

DTYPE = "-"
"""These tools know nothing of number formats."""

PYPERF_VERSION = "1.0"
"""Of pyperf's JSON. Its times are for one execution: what the clock said over loops ×
inner_loops."""


@dataclass(frozen=True)
class Imported:
    """When and on what it was measured, and what came out: one measurement for each process of a
    case, in order."""

    started_at: str  # ISO 8601
    device_name: str
    environment: Mapping[str, Any]
    measured: list[tuple[Case, Measurement]] = field(repr=False)


class _Foreign(Exception):
    """The file is not what it should be; the text says where."""


def read(tool: str, files: Sequence[Path]) -> Imported:
    """The results in `files`, of one of TOOLS and of one machine; later files add processes to the
    cases.

    UserError, one line, for a file that cannot be read, is broken, another tool's, empty, of
    another machine, or without the single times.
    """
    parts = [_read(tool, file) for file in files]
    first = parts[0]
    for file, part in zip(files, parts, strict=True):
        if part.device_name != first.device_name:
            raise UserError(
                f"{file}: measured on {part.device_name}, and {files[0]} on {first.device_name}"
            )
    for number, part in enumerate(parts):
        if any(part.measured == earlier.measured for earlier in parts[:number]):
            raise UserError(
                f"{files[number]}: the same results a second time; they would count twice"
            )
    return Imported(
        first.started_at,
        first.device_name,
        first.environment,
        [pair for part in parts for pair in part.measured],
    )


def _read(tool: str, file: Path) -> Imported:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # what is not UTF-8 is a ValueError too
        raise UserError(f"{file}: not JSON, or cut short") from error
    try:
        found = TOOLS[tool](content)
    except _Foreign as error:
        raise UserError(
            f"{file}: not a result of {tool}: {' '.join(str(error).split())}"
        ) from error
    if not found.measured:
        raise UserError(f"{file}: no benchmark in it")
    return found


def _pytest_benchmark(content: Any) -> Imported:
    """One file of pytest-benchmark: each round of a benchmark is a sample, the mean of its
    iterations."""
    machine = _part(content, "machine_info", dict, "the file")
    cpu = machine["cpu"] if isinstance(machine.get("cpu"), dict) else {}
    measured: dict[str, tuple[Case, Measurement]] = {}
    for entry in _part(content, "benchmarks", list, "the file"):
        name = _part(entry, "fullname", str, "a benchmark")
        stats = _part(entry, "stats", dict, name)
        if "data" not in stats:
            raise _Foreign(
                f"{name} has no single times; save it with --benchmark-json FILE or --benchmark-save-data"
            )
        case = _case(f"pytest-benchmark/{name}", entry.get("params"))
        if case.case_id in measured:
            raise _Foreign(f"two benchmarks are called {name}")
        measured[case.case_id] = (case, _measurement([], _times(stats["data"], name)))
    environment = {
        "os": " ".join(str(machine.get(key)) for key in ("system", "release", "machine")),
        "python": machine.get("python_version"),
        "packages": {"pytest-benchmark": content.get("version")},
        "git": _commit(content.get("commit_info")),
    }
    device = _device(
        cpu.get("brand_raw") or machine.get("processor") or machine.get("machine"), cpu.get("count")
    )
    return Imported(
        _moment(content.get("datetime")),
        device["name"],
        _environment(device, environment),
        [*measured.values()],
    )


def _pyperf(content: Any) -> Imported:
    """One file of pyperf: each of its runs with values is a process; runs that only calibrate are
    left out."""
    benchmarks = _part(content, "benchmarks", list, "the file")
    if (version := content.get("version")) != PYPERF_VERSION:
        raise _Foreign(f"its format is {version!r:.20}, not {PYPERF_VERSION!r}")
    common = _optional(content, "metadata")
    known: dict[str, Any] = {}
    measured: list[tuple[Case, Measurement]] = []
    for entry in benchmarks:
        runs = _part(entry, "runs", list, "a benchmark")
        about = common | _optional(entry, "metadata")
        name = _part(about, "name", str, "the metadata of a benchmark")
        if about.get("unit", "second") != "second":
            raise _Foreign(f"{name} is in {about['unit']}; only times can be imported")
        case = _case(f"pyperf/{name}", None)
        if case.case_id in {other.case_id for other, _ in measured}:
            raise _Foreign(f"two benchmarks are called {name}")
        for run in (run for run in runs if _optional(run, "values", list)):
            known = known or about | _optional(run, "metadata")
            measured.append((case, _pyperf_run(run, about, name)))
    environment = {
        "os": known.get("platform"),
        "python": known.get("python_version"),
        "packages": {"pyperf": known.get("perf_version")},
    }
    device = _device(known.get("cpu_model_name"), known.get("cpu_count"))
    return Imported(
        _moment(known.get("date")), device["name"], _environment(device, environment), measured
    )


def _pyperf_run(run: Mapping[str, Any], about: dict[str, Any], name: str) -> Measurement:
    """One process of pyperf, its warm-ups (pairs of loops and time) first."""
    warmups = [
        pair[1] if isinstance(pair, list) and len(pair) == 2 else None
        for pair in _optional(run, "warmups", list)
    ]
    peak = (about | _optional(run, "metadata")).get("mem_max_rss")
    return _measurement(
        _times(warmups, name) if warmups else [],
        _times(run["values"], name),
        peak if isinstance(peak, int) and 0 < peak < 2**63 else None,
    )


TOOLS = {"pytest-benchmark": _pytest_benchmark, "pyperf": _pyperf}


def _part(content: Any, key: str, kind: type, where: str) -> Any:
    found = content.get(key) if isinstance(content, dict) else None
    if not isinstance(found, kind):
        raise _Foreign(f"{where} has no {key}")
    return found


def _optional(content: Any, key: str, kind: type = dict) -> Any:
    return (
        _part(content, key, kind, "a part of it")
        if isinstance(content, dict) and key in content
        else kind()
    )


def _times(values: Any, name: str) -> list[float]:
    """Numbers of seconds. An empty list, or one with anything else in it, is no result."""
    if not isinstance(values, list) or not values:
        raise _Foreign(f"{name} has no times")
    for value in values:
        if type(value) not in (int, float) or not 0 <= value < 1e9:  # no comparison holds for NaN
            raise _Foreign(f"{name} has a time that is negative, infinite or no number")
    return [float(value) for value in values]


def _case(name: str, params: Any) -> Case:
    named = params if isinstance(params, dict) else {"params": params} if params is not None else {}
    return Case(
        _storable(name), {_storable(key): _param(value) for key, value in named.items()}, DTYPE
    )


def _param(value: Any) -> Param:
    """A parameter as it is, or as JSON where it is more than a word or a number."""
    if (
        value is None
        or isinstance(value, bool | int)
        or (isinstance(value, float) and math.isfinite(value))
    ):
        return value
    return _storable(value if isinstance(value, str) else json.dumps(value))


def _storable(text: str) -> str:
    """Half a surrogate pair, which JSON can spell, cannot be stored."""
    return text.encode(errors="backslashreplace").decode()


def _measurement(
    warmups: list[float], times: list[float], memory_peak_bytes: int | None = None
) -> Measurement:
    """One process; when each step began is not known. Its stopping rule was the other tool's
    own."""
    count = len(warmups) + len(times)
    samples = Samples(
        step=list(range(count)),
        warmup=[True] * len(warmups) + [False] * len(times),
        start_ns=[None] * count,
        step_s=warmups + times,
        flags=[""] * count,
    )
    window = Window(
        "host",
        samples,
        Spans(),
        math.fsum(times),
        converged=True,
        memory_peak_bytes=memory_peak_bytes,
    )
    return Measurement("ok", window=window)


def _device(name: Any, logical_cores: Any) -> dict[str, Any]:
    """The processor. Both tools time on the host, whatever else the code may use."""
    return {
        "kind": "cpu",
        "name": _storable(name) if isinstance(name, str) and name else "unknown CPU",
        "logical_cores": logical_cores if isinstance(logical_cores, int) else None,
    }


def _environment(device: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    cpu = {name: device[name] for name in ("name", "logical_cores")}
    return {"device": dict(device), "cpu": cpu, **more}


def _commit(info: Any) -> dict[str, Any] | None:
    if not isinstance(info, dict) or info.get("id") in (None, "unversioned", "unknown"):
        return None
    return {"commit": info["id"], "dirty": info.get("dirty")}


def _moment(text: Any) -> str:
    """ISO 8601 in UTC; a time without a zone is taken as local. Now, if there is none."""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        moment = datetime.now(UTC)
    return moment.isoformat(timespec="seconds")
