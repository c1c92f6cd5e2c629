"""Two environments measured in turns, as pairs: the fair way to judge a change on a noisy machine.

The processes of the two sides run in the order A B B A A B B A …, so that a drift of the machine
falls on both sides alike, and what both processes of a pair share cancels in their ratio.
Sequential runs of the same thing would differ by that drift.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from hwbench.formats import Rates
from hwbench.recording.matrix import Plan, settle
from hwbench.recording.runner import CaseRunner, Progress
from hwbench.recording.session import (
    Listener,
    RunRequest,
    close_run,
    describe_run,
    new_run_id,
    require_output,
)
from hwbench.recording.sides import Side
from hwbench.records import UserError
from hwbench.tables.run import RunTables
from hwbench.tables.writer import Writer


@dataclass(frozen=True)
class PairSession:
    """Two runs whose folders are open, one a side. `environment` is that of the second side;
    `formats` are the rates that each side has found its device to have."""

    plan: Plan
    sides: Sequence[Side]
    writers: Sequence[Writer]
    formats: Sequence[Rates | None]
    environment: Mapping[str, Any]
    warn: Listener

    @property
    def folders(self) -> list[Path]:
        return [writer.folder for writer in self.writers]

    @property
    def plan_of_both(self) -> Plan:
        """The plan as `measure` reports its progress: with the processes of both sides."""
        twice = 2 * self.plan.policy.processes
        policy = replace(self.plan.policy, processes=twice, max_processes=twice)
        return replace(self.plan, policy=policy)

    def measure(self, on_progress: Callable[[Progress], None]) -> None:
        """Measure all pairs (see measure_pairs)."""
        measure_pairs(self.plan, self.sides, self.writers, on_progress, self.formats)

    def close(self) -> list[RunTables]:
        """The two runs as they are stored, with their derived tables beside them."""
        return [close_run(folder, self.warn) for folder in self.folders]


def open_pairs(
    plan: Plan,
    sides: Sequence[Side],
    output: Path,
    argv: Sequence[str],
    tell: Listener,
    warn: Listener,
) -> PairSession:
    """Settle the plan for the device of the sides and open a folder for each side's run in
    `output`: the same new id with the side's name behind it. `argv` is stored as the command line.

    `tell` is called with what the plan takes instead of a default, `warn` with what the user should
    mend. UserError if the sides would run on different devices.
    """
    require_output(output)
    first, second = sides
    if first.device != second.device:
        raise UserError(
            f"side {first.name} would run on {first.device}, side {second.name} on "
            f"{second.device}; name one device with --device"
        )
    run_id = new_run_id(first.device)
    infos = [side.describe_device(warn) for side in sides]
    for remark in plan.remarks:
        tell(remark)
    plan = settle(plan, infos[0])
    writers = []
    for side, info in zip(sides, infos, strict=True):
        environment = side.environment(info)
        request = RunRequest(plan, run_id=f"{run_id}-{side.name}", argv=argv)
        writers.append(Writer(output, describe_run(request, side.device, info, environment)))
    formats = [info.get("formats") for info in infos]
    return PairSession(plan, sides, writers, formats, environment, warn)


def measure_pairs(
    plan: Plan,
    sides: Sequence[Side],
    writers: Sequence[Writer],
    on_progress: Callable[[Progress], None],
    formats: Sequence[Rates | None] = (None, None),
) -> None:
    """Measure every case `plan.policy.processes` times on both sides, in turns, and store each
    outcome as it comes.

    A case that does not come out ok on a side is a row there and is not tried again on either.
    `formats` are the rates that each side has found its device to have.
    """
    runners = [
        side.runner(plan, writer, on_progress, rates)
        for side, writer, rates in zip(sides, writers, formats, strict=True)
    ]
    given_up = set(plan.left_out)
    for case in plan.cases:
        if reason := plan.left_out.get(case.case_id):
            for runner in runners:
                runner.leave_out(case, reason)
    for pair in range(plan.policy.processes):
        for case in plan.cases:
            if case.case_id in given_up:
                continue
            for turn, runner in enumerate(_in_turn(pair, runners)):
                number = partial(_with_number, on_progress, 2 * pair + turn)
                measurement = replace(runner, on_progress=number).measure(case, pair)
                if measurement.outcome != "ok":
                    given_up.add(case.case_id)


def _in_turn(pair: int, runners: Sequence[CaseRunner]) -> Sequence[CaseRunner]:
    """a b, b a, a b, …"""
    return runners[:: -1 if pair % 2 else 1]


def _with_number(on_progress: Callable[[Progress], None], number: int, progress: Progress) -> None:
    """Report what happens under a number that counts the processes of both sides as one row."""
    on_progress(replace(progress, process=number))
