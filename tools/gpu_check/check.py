"""Run the stages within a budget, and hand over the results of each as soon as it ends."""

import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import targets
from budget import Budget
from figures import Figures, describe_row
from handover import Handover
from process import run_command
from stages import PAGE, ROOT, TRACE, Command, Place, Stage

LIMIT = "GPU_CHECK_LIMIT_S"
"""The environment variable with the time limit of a command."""

BRIEF = 60
"""Characters of a command in the reason of a stage; the log has all of it."""

LEAST_S = 1.0
"""The least time with which a command is started."""

SUMMARY, TABLE = "stages.json", "targets.txt"


class Stopped(BaseException):
    """A signal asked the check to stop."""


@dataclass
class Done:
    """The result of a stage. `status`: passed, failed, out of time, skipped (it cannot run here),
    or interrupted."""

    name: str
    status: str
    reason: str = ""
    seconds: float = 0.0
    limit_s: float | None = None
    commands: list[dict[str, Any]] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.status}: {self.reason}" if self.reason else self.status


class Check:
    """One check. `tell` prints a line to the terminal and the log."""

    def __init__(
        self, place: Place, budget: Budget, handover: Handover, tell: Callable[[str], None]
    ) -> None:
        self._place, self._budget, self._handover, self._tell = place, budget, handover, tell
        self._figures = Figures()
        self._done: list[Done] = []
        self._stopped = ""

    def run(self, stages: Sequence[Stage]) -> int:
        """Run the stages in order. Returns 0 if all passed and no target was missed, else 1."""
        try:
            for stage in stages:
                self._done.append(self._run_stage(stage))
                self._hand_over()
        except Stopped as stopped:
            ignore_signals()
            self._tell(f"== stopped by {stopped}")
            left = stages[len(self._done) :]
            self._done += [Done(stage.name, "interrupted", str(stopped)) for stage in left]
            self._stopped = str(stopped)
            self._hand_over()
        return self._conclude()

    def _run_stage(self, stage: Stage) -> Done:
        if stage.lacks:
            self._tell(f"== {stage.name}: skipped: {stage.lacks}")
            return Done(stage.name, "skipped", stage.lacks)
        limit_s, left_s = self._budget.limit_s(stage.seconds, stage.least_s), self._budget.left_s()
        if limit_s is None:
            reason = f"not run: {left_s:.0f} s left, it needs {stage.least_s:.0f} s"
            self._tell(f"== {stage.name}: {reason}")
            return Done(stage.name, "out of time", reason)
        self._tell(f"== {stage.name} (at most {limit_s:.0f} s, {left_s:.0f} s left)")
        done, began = Done(stage.name, "passed", limit_s=limit_s), time.monotonic()
        for command in stage.commands:
            self._run(command, limit_s - (time.monotonic() - began), done)
        done.seconds = time.monotonic() - began
        self._tell(f"== {stage.name}: {done} ({done.seconds:.0f} s)")
        return done

    def _run(self, command: Command, limit_s: float, done: Done) -> None:
        """Run a command of a stage and record its result; the first problem becomes the stage's
        reason."""
        shown = str(command)
        brief = f"{shown[:BRIEF]}…" if len(shown) > BRIEF else shown
        if limit_s < LEAST_S:
            self._note(done, "out of time", f"no time for: {brief}")
            return
        output = self._place.results / command.output if command.output else None
        environment = {**os.environ, **self._place.environment, LIMIT: f"{limit_s:.1f}"}
        self._tell(f"$ {shown}")
        ended = run_command(command.words, limit_s, self._take, environment, ROOT, output)
        done.commands.append({"command": shown, **asdict(ended)})
        rows = self._figures.read_run(output) if output and output.suffix == ".json" else []
        for row in rows:
            self._tell(f"   {describe_row(row)}")
        wrong = [row for row in rows if row["outcome"] not in command.outcomes]
        if not ended.in_time:
            self._note(done, "out of time", f"stopped after {ended.seconds:.0f} s: {brief}")
        elif ended.status not in command.statuses:
            self._note(done, "failed", f"exit status {ended.status}: {brief}")
        elif wrong:
            expected = " or ".join(command.outcomes)
            self._note(done, "failed", f"expected {expected}, got {describe_row(wrong[0])}")

    def _note(self, done: Done, status: str, reason: str) -> None:
        if done.status == "passed":
            done.status, done.reason = status, reason

    def _take(self, line: str) -> None:
        self._figures.read_line(line)
        self._tell(line)

    def _judge(self) -> list[targets.Judgement]:
        results = {done.name: str(done) for done in self._done}
        return targets.judge(self._figures, results, self._place.dry)

    def _hand_over(self) -> None:
        judgements = self._judge()
        summary = {
            "device": self._place.device,
            "dry": self._place.dry,
            "budget_s": self._budget.seconds,
            "seconds": round(self._budget.spent_s(), 1),
            "stages": [asdict(done) for done in self._done],
            "figures": self._figures.numbers,
            "targets": [judgement.as_json() for judgement in judgements],
        }
        self._handover.archive("results")
        for name in (PAGE, TRACE):
            self._handover.copy(name)
        self._handover.write(TABLE, targets.as_text(judgements))
        self._handover.write(SUMMARY, json.dumps(summary, indent=1, ensure_ascii=False) + "\n")

    def _conclude(self) -> int:
        judgements = self._judge()
        for line in targets.as_text(judgements).splitlines():
            self._tell(line)
        for done in self._done:
            self._tell(f"{done.name:<9} {done.seconds:5.0f} s  {done}")
        late = [one.name for one in self._done if one.status in ("out of time", "interrupted")]
        if late:
            self._tell(f'== what is left: STAGES="{" ".join(late)}"')
        failed = [done.name for done in self._done if done.status not in ("passed", "skipped")]
        missed = [judgement.name for judgement in judgements if judgement.state == "missed"]
        wrong = [*failed, *missed, *self._handover.missing]
        if self._stopped:
            wrong.append(f"stopped by {self._stopped}")
        verdict = "passed" if not wrong else f"FAILED: {', '.join(wrong)}"
        self._tell(f"== {verdict} ({self._budget.spent_s():.0f} s of {self._budget.seconds:.0f} s)")
        return 1 if wrong else 0


def open_place(
    place: Place, command: Command, limit_s: float
) -> tuple[Mapping[str, Any] | None, str]:
    """The facts of the device, or None and the last line of the command that asked for them."""
    lines: list[str] = []
    output = place.results / command.output
    environment = {**os.environ, **place.environment}
    ended = run_command(command.words, limit_s, lines.append, environment, ROOT, output)
    if ended.status == 0 and ended.in_time:
        return json.loads(output.read_text(encoding="utf-8"))["device"], ""
    if not ended.in_time:
        return None, f"device {place.device} did not answer within {limit_s:.0f} s"
    printed = [line for line in lines if line.strip() and not line.startswith("==")]
    return None, printed[-1] if printed else "no answer"


def stop_on_signals() -> None:
    """Let the first SIGINT, SIGTERM or SIGHUP raise Stopped; later ones are ignored."""

    def stop(number: int, frame: object) -> None:
        ignore_signals()
        raise Stopped(signal.Signals(number).name)

    for number in STOPPING:
        signal.signal(number, stop)


def ignore_signals() -> None:
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def log_to(file: Path) -> Callable[[str], None]:
    """A function that writes a line to the terminal and to `file` at once. It goes on if the
    terminal is closed."""
    log = file.open("w", encoding="utf-8", buffering=1)

    def tell(line: str) -> None:
        for write in (lambda: print(line, flush=True), lambda: log.write(f"{line}\n")):
            try:
                write()
            except OSError:
                continue

    return tell
