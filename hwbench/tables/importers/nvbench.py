"""nvbench's JSON with its samples (`--jsonbin FILE`): a file is one process of each state.

The format is that of NVIDIA/nvbench's `nvbench/json_printer.cu`, version 1. The JSON holds means;
single times lie in binary files beside it, in the folder `FILE-bin`, as little-endian float32. They
are seconds of one cold execution by the GPU's clock.
"""

import array
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hwbench.documents import read_json
from hwbench.printable import storable
from hwbench.records import Case, Measurement, Work
from hwbench.tables.columns import LARGEST
from hwbench.tables.importers.fields import (
    NotAResult,
    Unusable,
    distribution,
    near_whole,
    optional,
    part,
    positive,
    whole_number,
)
from hwbench.tables.importers.imported import (
    Imported,
    case_of,
    failure,
    imported,
    measurement,
    processor,
    row_if_unusable,
)

VERSION = 1
"""Of the JSON; a greater one may mean something else by the same words."""

SAMPLES = "nv/json/bin:nv/cold/sample_times"
SAMPLES_ON_CPU = "nv/json/bin:nv/cpu_only/sample_times"
MEAN_S = "nv/cold/time/gpu/mean"
BYTES_PER_S = "nv/cold/bw/global/bytes_per_second"
"""Tags of the summaries of a state."""

CURE = "run nvbench with --jsonbin, and keep the folder that it writes beside the file"
MORE = "run nvbench with --min-samples 10"
BYTES_OF_A_SAMPLE = 4
MOST_SAMPLES = 50_000_000

Summaries = Mapping[str, Mapping[str, Any]]


def read(file: Path) -> Imported:
    """The states of one file, all on one GPU. A state that nvbench skipped is unsupported."""
    content = read_json(file)
    version = part(part(content, "meta", dict, "the file"), "version", dict, "meta")
    major = part(version, "json", dict, "meta.version").get("major")
    if major != VERSION:
        raise NotAResult(f"its format is {major!r:.20}, not {VERSION}")
    measured: dict[str, tuple[Case, Measurement]] = {}
    device_ids = []
    for case, state, where in _states(content):
        if case.case_id in measured:
            raise NotAResult(f"{where} is of the same case as another state: {case}")
        measured[case.case_id] = (case, _process(state, where, file))
        device_ids.append(state.get("device"))
    if not measured:
        return imported([], processor(None, None), processor(None, None), None)
    device = _device(content, device_ids)
    packages = {"nvbench": optional(version, "nvbench", dict, "meta.version").get("string")}
    return imported([*measured.values()], device, processor(None, None), None, packages=packages)


def _states(content: Any) -> list[tuple[Case, Mapping[str, Any], str]]:
    """Each state with its case, and how a message names it."""
    found: list[tuple[Case, Mapping[str, Any], str]] = []
    for place, benchmark in enumerate(part(content, "benchmarks", list, "the file")):
        name = part(benchmark, "name", str, f"benchmarks[{place}]")
        for position, state in enumerate(part(benchmark, "states", list, name)):
            where = f"{name}, states[{position}]"
            if not isinstance(state, dict):
                raise NotAResult(f"{where} is no state")
            found.append((case_of(f"nvbench/{name}", _params(state, where)), state, where))
    return found


def _params(state: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The values of the axes; null stands for none."""
    axes = state.get("axis_values") or []
    if not isinstance(axes, list):
        raise NotAResult(f"{where} has no axis_values")
    return _named_values(axes, f"{where}: axis_values")


def _named_values(values: Sequence[Any], where: str) -> dict[str, Any]:
    """`[{name, type, value}]` as a dictionary. Numbers are spelled as strings there."""
    return {part(value, "name", str, where): _typed(value, where) for value in values}


def _typed(value: Mapping[str, Any], where: str) -> Any:
    text, kind = value.get("value"), value.get("type")
    try:
        if kind == "int64":
            return int(text)  # type: ignore[arg-type]
        if kind == "float64":
            return float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise NotAResult(f"{where} has a {kind} that is no number") from None
    return text


@row_if_unusable
def _process(state: Mapping[str, Any], where: str, file: Path) -> Measurement:
    if state.get("is_skipped") is True:
        return failure("unsupported", optional(state, "skip_reason", str, where) or "skipped")
    summaries = _summaries(state, where)
    samples = summaries.get(SAMPLES)
    if samples is None and SAMPLES_ON_CPU in summaries:
        raise Unusable(f"{where} was timed on the host only; only times of the GPU are imported")
    if samples is None:
        raise Unusable(f"{where} has no single times; {CURE}")
    values = _samples(samples, where, file)
    times = distribution(values, f"{where}: sample", 1.0, MORE)
    return measurement(times, work=Work(bytes=_bytes(summaries)), timer_kind="device_event")


def _summaries(state: Mapping[str, Any], where: str) -> Summaries:
    found = {}
    for summary in part(state, "summaries", list, where):
        tag = part(summary, "tag", str, f"a summary of {where}")
        found[tag] = _named_values(
            optional(summary, "data", list, f"{where}: {tag}"), f"{where}: {tag}"
        )
    return found


def _samples(summary: Mapping[str, Any], where: str, file: Path) -> list[float]:
    """The times in the binary file that the summary names. Only what lies beside `file` is read:
    the name has the path of another machine."""
    name, count = summary.get("filename"), whole_number(summary.get("size"))
    if not isinstance(name, str) or count is None or count > MOST_SAMPLES:
        raise Unusable(f"{where}: {SAMPLES} names no file and no size")
    folder, binary = ["", *name.replace("\\", "/").split("/")][-2:]
    content = b"" if ".." in (folder, binary) else _content(file.parent / folder / binary)
    if len(content) != BYTES_OF_A_SAMPLE * count:
        short = f"{folder}/{binary}, which should have {count} times, is missing beside the file or"
        raise Unusable(f"{where}: {short} of another size; {CURE}")
    values = array.array("f", content)
    if sys.byteorder == "big":
        values.byteswap()
    return list(values)


def _content(file: Path) -> bytes:
    """What is in a binary file; nothing if it cannot be read or is too large to be one of ours."""
    try:
        fits = file.is_file() and file.stat().st_size <= BYTES_OF_A_SAMPLE * MOST_SAMPLES
        return file.read_bytes() if fits else b""
    except (OSError, ValueError):
        return b""


def _bytes(summaries: Summaries) -> int | None:
    """The bytes that an execution reads and writes, as the benchmark declares them: nvbench stores
    them over the mean time."""
    rate = positive(summaries.get(BYTES_PER_S, {}).get("value"))
    mean_s = positive(summaries.get(MEAN_S, {}).get("value"))
    return near_whole(rate * mean_s) if rate and mean_s else None


def _device(content: Any, ids: Sequence[Any]) -> dict[str, Any]:
    """The one GPU of all states."""
    known = {
        device.get("id"): device
        for device in part(content, "devices", list, "the file")
        if isinstance(device, dict) and type(device.get("id")) is int
    }
    for number in ids:
        if type(number) is not int or number not in known:
            raise NotAResult(
                f"a state is of the device {number!r:.20}, which devices does not have"
            )
    if len(set(ids)) > 1:
        names = " and ".join(f"{n} ({known[n].get('name')})" for n in sorted(set(ids)))
        raise NotAResult(f"its states are of the devices {names}; run one at a time (--devices 0)")
    device = known[ids[0]]
    return {
        "kind": "cuda",
        "name": storable(part(device, "name", str, "a device")),
        "index": ids[0] if 0 <= ids[0] <= LARGEST else None,
        "multiprocessors": whole_number(device.get("number_of_sms")),
        "memory_bytes": whole_number(device.get("global_memory_size")),
    }
