"""hyperfine's JSON (`hyperfine --export-json FILE`): a file is one process of each command.

The format is that of hyperfine's `src/benchmark/benchmark_result.rs`. Times are wall-clock seconds
of one run of a command. A file does not say on which machine it was measured.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwbench.documents import read_json
from hwbench.records import Case, Measurement
from hwbench.tables.importers.fields import (
    NotAResult,
    Unusable,
    distribution,
    optional,
    part,
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

CURE = "run hyperfine with --min-runs 10"


def read(file: Path) -> Imported:
    """The commands of one file. Each run is a sample; a command that failed in any is an error."""
    measured: dict[str, tuple[Case, Measurement]] = {}
    for number, entry in enumerate(part(read_json(file), "results", list, "the file")):
        where = f"results[{number}]"
        command = part(entry, "command", str, where)
        case = case_of(f"hyperfine/{command}", optional(entry, "parameters", dict, where))
        if case.case_id in measured:
            raise NotAResult(f"{where} is of the same command as another: {command}")
        measured[case.case_id] = (case, _process(entry, where))
    device = processor(None, None)
    return imported([*measured.values()], device, device, None)


@row_if_unusable
def _process(entry: Mapping[str, Any], where: str) -> Measurement:
    if failures := _failures(optional(entry, "exit_codes", list, where), where):
        return failure("error", failures)
    if "times" not in entry:
        raise Unusable(f"{where} has no times; {CURE}")
    times = distribution(part(entry, "times", list, where), f"{where}.times", 1.0, CURE)
    peaks = [whole_number(peak) for peak in optional(entry, "memory_usage_byte", list, where)]
    known = [peak for peak in peaks if peak is not None]
    return measurement(times, memory_peak_bytes=max(known, default=None))


def _failures(codes: list[Any], where: str) -> str:
    """How many runs of the command failed, and how; "" if none did. hyperfine stores them where it
    was told to ignore failures."""
    if any(code is not None and type(code) is not int for code in codes):
        raise NotAResult(f"{where}.exit_codes has something else than exit statuses")
    failed = Counter(code for code in codes if code != 0)
    ways = [
        f"{count} with {'a signal' if code is None else f'exit status {code}'}"
        for code, count in failed.most_common(3)
    ]
    return f"{failed.total()} of {len(codes)} runs failed: {', '.join(ways)}" if ways else ""
