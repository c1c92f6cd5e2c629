"""Carry out a plan: one fresh process for each case and round, every outcome stored at once,
failures as rows."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hwbench.formats import Rates
from hwbench.recording.launch.local import Launch, run_process
from hwbench.recording.matrix import Plan
from hwbench.recording.rounds import Rounds
from hwbench.records import Case, Measurement
from hwbench.tables.writer import Writer


@dataclass(frozen=True)
class Progress:
    """Something that happened in a run: a case's process `started`, reached a `phase`, `told` a
    text, or is `done`."""

    kind: str
    case: Case
    process: int
    phase: str = ""
    text: str = ""
    measurement: Measurement | None = None


def run_plan(
    plan: Plan,
    device: str,
    files: Sequence[str],
    writer: Writer,
    on_progress: Callable[[Progress], None],
    formats: Rates | None = None,
    spent_s: float = 0.0,
) -> Rounds:
    """Measure every case in as many rounds as it needs (see `Rounds`) and store each outcome as it
    comes.

    A case that fails, or that the machine does not support, is a row and is not tried again; the
    others go on. `formats` are the rates that the device was found to have, `spent_s` what the run
    has taken of its budget so far. OSError from the store and KeyboardInterrupt pass through, with
    the child ended and all earlier rows kept.
    """
    begin, idle = time.monotonic() - spent_s, True
    rounds = Rounds(plan, lambda: time.monotonic() - begin)
    for process, case in rounds:
        if reason := plan.left_out.get(case.case_id):
            done = leave_out(case, reason, writer, on_progress)
        else:
            done = run_case(
                case,
                process,
                vars(plan.policy),
                device,
                files,
                writer,
                on_progress,
                idle=idle,
                formats=formats,
            )
        idle = idle and done.outcome != "ok"  # at rest it is measured once
        rounds.add(case, done)
    return rounds


def leave_out(
    case: Case, reason: str, writer: Writer, on_progress: Callable[[Progress], None]
) -> Measurement:
    """Store that a case is not measured on this device, and why."""
    on_progress(Progress("started", case, 0))
    measurement = Measurement("unsupported", reason)
    writer.add(case, 0, measurement)
    on_progress(Progress("done", case, 0, measurement=measurement))
    return measurement


def run_case(
    case: Case,
    process: int,
    policy: Mapping[str, Any],
    device: str,
    files: Sequence[str],
    writer: Writer,
    on_progress: Callable[[Progress], None],
    launch: Launch | None = None,
    idle: bool = False,
    profile: Mapping[str, Any] | None = None,
    formats: Rates | None = None,
) -> Measurement:
    """Measure a case in one process, with `idle` the device at rest too, with `profile` also where
    its time goes, and store the outcome. The process's log stays where it failed."""
    on_progress(Progress("started", case, process))
    log = writer.log(case, process)
    measurement = run_process(
        {
            "case": {**vars(case), "params": dict(case.params)},
            "policy": dict(policy),
            "device": device,
        }
        | {"files": list(files), "idle": idle, "profiled": profile, "formats": formats},
        policy["timeout_s"],
        log,
        lambda phase: on_progress(Progress("phase", case, process, phase)),
        launch,
        lambda text: on_progress(Progress("told", case, process, text=text)),
    )
    writer.add(case, process, measurement)
    if measurement.outcome == "ok":
        log.unlink(missing_ok=True)
        with suppress(OSError):  # an earlier case left its log there
            log.parent.rmdir()
    on_progress(Progress("done", case, process, measurement=measurement))
    return measurement
