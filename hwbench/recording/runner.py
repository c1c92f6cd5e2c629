"""Carry out a plan: one fresh process for each case and round, every outcome stored at once,
failures as rows."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwbench.formats import Rates
from hwbench.recording.launch.exchange import case_request, run_process
from hwbench.recording.launch.protocol import Launcher
from hwbench.recording.matrix import Plan
from hwbench.recording.rounds import Rounds
from hwbench.records import Case, Measurement
from hwbench.tables.writer import Writer


@dataclass(frozen=True)
class Progress:
    """Something that happened in a run: a case's process `started`, reached a `phase`, `told` a
    text, or is `done`. `log` is the file that a failed one has left."""

    kind: str
    case: Case
    process: int
    phase: str = ""
    text: str = ""
    measurement: Measurement | None = None
    log: Path | None = None


@dataclass(frozen=True)
class CaseRunner:
    """Measures cases of one run, each in a fresh process on `device`, and stores each outcome.

    `policy` is that of the run, as its workers know it; `files` declare workloads; `formats` are
    the rates that the device was found to have; `launcher` starts the workers, None: on this
    machine. `on_progress` is called with each thing that happens.
    """

    device: str
    files: Sequence[str]
    policy: Mapping[str, Any]
    writer: Writer
    on_progress: Callable[[Progress], None]
    formats: Rates | None = None
    launcher: Launcher | None = None

    def measure(
        self,
        case: Case,
        process: int,
        idle: bool = False,
        profiled: Mapping[str, Any] | None = None,
    ) -> Measurement:
        """Measure a case in its process number `process` and store the outcome; with `idle` the
        device at rest too, with `profiled` also where the time goes (see measure_case). The
        process's log stays where it failed."""
        self.on_progress(Progress("started", case, process))
        log = self.writer.log(case, process)
        request = case_request(
            case,
            self.policy,
            self.device,
            self.files,
            idle=idle,
            profiled=profiled,
            formats=self.formats,
        )
        measurement = run_process(
            request,
            self.policy["timeout_s"],
            log,
            lambda phase: self.on_progress(Progress("phase", case, process, phase)),
            self.launcher,
            lambda text: self.on_progress(Progress("told", case, process, text=text)),
        )
        self.writer.add(case, process, measurement)
        has_failed = measurement.outcome != "ok"
        if not has_failed:
            log.unlink(missing_ok=True)
            with suppress(OSError):  # an earlier case left its log there
                log.parent.rmdir()
        kept_log = log if has_failed else None
        self.on_progress(Progress("done", case, process, measurement=measurement, log=kept_log))
        return measurement

    def leave_out(self, case: Case, reason: str) -> Measurement:
        """Store that a case is not measured on this device, and why."""
        self.on_progress(Progress("started", case, 0))
        measurement = Measurement("unsupported", reason)
        self.writer.add(case, 0, measurement)
        self.on_progress(Progress("done", case, 0, measurement=measurement))
        return measurement


def run_plan(plan: Plan, runner: CaseRunner, spent_s: float = 0.0) -> Rounds:
    """Measure every case of `plan` in as many rounds as it needs (see `Rounds`), and store each
    outcome as it comes.

    A case that fails, or that the machine does not support, is a row and is not tried again; the
    others go on. `spent_s` is what the run has taken of its budget so far. OSError from the store
    and KeyboardInterrupt pass through, with the child ended and all earlier rows kept.
    """
    begin, idle = time.monotonic() - spent_s, True
    rounds = Rounds(plan, lambda: time.monotonic() - begin)
    for process, case in rounds:
        if reason := plan.left_out.get(case.case_id):
            measurement = runner.leave_out(case, reason)
        else:
            measurement = runner.measure(case, process, idle=idle)
        idle = idle and measurement.outcome != "ok"  # at rest it is measured once
        rounds.add(case, measurement)
    return rounds
