"""Store measurements that no plan asked for: a step of a script, a test, another tool's results."""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwbench.recording.session import derive, new_run_id
from hwbench.records import Case, Measurement, Run, UserError
from hwbench.tables.columns import MOST_CASES
from hwbench.tables.reader import read_run
from hwbench.tables.run import RunTables
from hwbench.tables.writer import Writer


@dataclass(frozen=True)
class Collected:
    """Measurements of one device, in order: those of one case are its processes, counted from 0.

    `source` says in a word who measured (it stands in the run's id), `started_at` is ISO 8601.
    """

    source: str
    started_at: str
    device_kind: str
    device_name: str
    environment: Mapping[str, Any]
    measured: Sequence[tuple[Case, Measurement]]


def store(
    collected: Collected, output: Path, label: str = "", argv: Sequence[str] = ()
) -> RunTables:
    """Write a run of these measurements into `output`, derive its tables and read it back.

    UserError if the folder cannot be written.
    """
    writer = Writer(output, _describe(collected, label, argv))
    _add(writer, collected)
    return _read(writer)


def store_whole(
    collected: Collected, output: Path, label: str = "", argv: Sequence[str] = ()
) -> RunTables:
    """Write a run as `store` does; nothing is left of one that cannot be stored and read back
    whole, as what it comes from is still there."""
    n_cases = len({case.case_id for case, _ in collected.measured})
    if n_cases > MOST_CASES:
        raise UserError(
            f"{n_cases:,} cases; a run holds up to {MOST_CASES:,}: import them in parts"
        )
    writer = Writer(output, _describe(collected, label, argv))
    try:
        with writer.together():
            _add(writer, collected)
        return _read(writer)
    except BaseException:
        shutil.rmtree(writer.folder, ignore_errors=True)
        raise


def _add(writer: Writer, collected: Collected) -> None:
    processes: Counter[str] = Counter()
    for case, measurement in collected.measured:
        case_id = case.case_id
        writer.add(case, processes[case_id], measurement)
        processes[case_id] += 1


def _read(writer: Writer) -> RunTables:
    run = read_run(writer.folder)
    derive(run)
    return run


def _describe(collected: Collected, label: str, argv: Sequence[str]) -> Run:
    cases = {case.case_id: case for case, _ in collected.measured}
    processes = Counter(case.case_id for case, _ in collected.measured)
    return Run(
        run_id=new_run_id(collected.source),
        started_at=collected.started_at,
        label=label,
        device_kind=collected.device_kind,
        device_name=collected.device_name,
        environment=collected.environment,
        argv=list(argv),
        plan={
            "policy": {"processes": max(processes.values())},
            "cases": [{**vars(case), "case_id": case_id} for case_id, case in cases.items()],
        },
    )
