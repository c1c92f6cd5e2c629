"""Run the stages within a budget, and hand over what each made as soon as it ends."""

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
"""The environment variable that tells a command how long it may take."""

BRIEF = 60
"""Characters of a command in the reason of a stage; the log has all of it."""

LEAST_S = 1.0
"""A command is not even started with less."""

SUMMARY, TABLE = "stages.json", "targets.txt"


class Stopped(BaseException):
    """A signal asked the check to stop."""


@dataclass
class Done:
    """What became of a stage: `passed`, `failed`, `out of time`, `skipped` (it cannot run here), or
    `interrupted`."""

    name: str
    status: str
    reason: str = ""
    seconds: float = 0.0
    limit_s: float | None = None
    commands: list[dict[str, Any]] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.status}{f': {self.reason}' if self.reason else ''}"


class Check:
    """One check. `tell` takes a line for the terminal and the log."""

    def __init__(
        self, place: Place, budget: Budget, handover: Handover, tell: Callable[[str], None]
    ) -> None:
        self._place, self._budget, self._handover, self._tell = place, budget, handover, tell
        self._figures = Figures()
        self._done: list[Done] = []
        self._stopped = ""

    def run(self, stages: Sequence[Stage]) -> int:
        """Run them in order. Exit status 0 if all passed and no target was missed, else 1."""
        try:
            for stage in stages:
                self._done.append(self._run_stage(stage))
                self._hand_over()
        except Stopped as stopped:
            ignore_signals()
            self._tell(f"== stopped by {stopped}")
            ran = {done.name for done in self._done}
            self._done += [
                Done(each.name, "interrupted", str(stopped))
                for each in stages
                if each.name not in ran
            ]
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
        """Run a command of a stage and note what became of it; the first thing that went wrong
        names the stage's."""
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
        return targets.judge(
            self._figures, {done.name: str(done) for done in self._done}, self._place.dry
        )

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
        if late := [
            done.name for done in self._done if done.status in ("out of time", "interrupted")
        ]:
            self._tell(f'== what is left: STAGES="{" ".join(late)}"')
        failed = [done.name for done in self._done if done.status not in ("passed", "skipped")]
        missed = [judgement.name for judgement in judgements if judgement.state == "missed"]
        wrong = [
            *failed,
            *missed,
            *self._handover.missing,
            *([f"stopped by {self._stopped}"] if self._stopped else []),
        ]
        verdict = "passed" if not wrong else f"FAILED: {', '.join(wrong)}"
        self._tell(f"== {verdict} ({self._budget.spent_s():.0f} s of {self._budget.seconds:.0f} s)")
        return 1 if wrong else 0


def open_place(
    place: Place, command: Command, limit_s: float
) -> tuple[Mapping[str, Any] | None, str]:
    """What the device says of itself, or None and the last words of the command that asked it."""
    words: list[str] = []
    output = place.results / command.output
    environment = {**os.environ, **place.environment}
    ended = run_command(command.words, limit_s, words.append, environment, ROOT, output)
    if ended.status == 0 and ended.in_time:
        return json.loads(output.read_text(encoding="utf-8"))["device"], ""
    said = next(
        (word for word in reversed(words) if word.strip() and not word.startswith("==")),
        "no answer",
    )
    return (
        None,
        said if ended.in_time else f"device {place.device} did not answer within {limit_s:.0f} s",
    )


def stop_on_signals() -> None:
    """From now on SIGINT, SIGTERM and SIGHUP raise Stopped, once."""

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
    """A function that writes a line to the terminal and to `file`, at once. A closed terminal stops
    nothing."""
    log = file.open("w", encoding="utf-8", buffering=1)

    def tell(line: str) -> None:
        for write in (lambda: print(line, flush=True), lambda: log.write(f"{line}\n")):
            try:
                write()
            except OSError:
                continue

    return tell
