"""Run any command under the meters: its energy, time and memory."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from hwbench.meters import host
from hwbench.meters.block import MeteredBlock
from hwbench.meters.child import Child
from hwbench.meters.memory import Peak, peak_of
from hwbench.meters.selection import open_meters
from hwbench.records import Measurement, Reading, Samples, Spans, Telemetry, Window

NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""The exit statuses of a shell for a command that it cannot execute or find."""

SIGNALLED = 128
"""A shell's exit status of a command ended by a signal is this plus the signal's number."""


Handler = Callable[[int, FrameType | None], None]


@dataclass(frozen=True)
class Metered:
    """A command that has ended: its exit status, its time on the monotonic clock, and the meters'
    readings over that time. `problem`: why it could not be started."""

    exit_status: int
    begin_ns: int
    elapsed_s: float
    readings: Sequence[Reading]
    telemetry: Telemetry
    notes: Sequence[str]
    memory_peak: Peak | None = None
    problem: str = ""


def run_metered(words: Sequence[str], tdp_w: float | None = None) -> Metered:
    """Run the command with this process's own input and output, and meter it until it has ended.

    The terminal sends Ctrl-C to the command, too; other signals that would end this process are
    passed on to it.
    """
    problem, memory_peak = "", None
    child = Child(words)
    with MeteredBlock(open_meters(None, tdp_w), time.monotonic_ns) as block:
        try:
            with _pass_signals_to(child):
                child.start()
                processes = host.open_meter(child.pid)
                block.meters.append(processes)
                status = child.wait()
        except OSError as error:
            status = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
            problem = f"{words[0]}: cannot be started: {error.strerror}"
    if not problem:
        memory_peak = peak_of(child, len(processes.family.seen), block.trace)
    return Metered(
        exit_status=status if status >= 0 else SIGNALLED - status,
        begin_ns=block.begin_ns,
        elapsed_s=block.elapsed_s,
        readings=block.readings(),
        telemetry=block.trace.as_telemetry(),
        notes=block.notes(),
        memory_peak=memory_peak,
        problem=problem,
    )


def as_measurement(metered: Metered) -> Measurement:
    """The command as the only step of a case; an error if it failed. The tables have no place for a
    bound, so a peak of memory that is not exact is left out."""
    peak = metered.memory_peak
    window = Window(
        timer_kind="host",
        samples=Samples([0], [False], [metered.begin_ns], [metered.elapsed_s], [""]),
        spans=Spans(),
        window_s=metered.elapsed_s,
        converged=True,
        memory_peak_bytes=peak.value if peak and peak.bound == "exact" else None,
        begin_ns=metered.begin_ns,
    )
    ended_well = metered.exit_status == 0
    return Measurement(
        outcome="ok" if ended_well else "error",
        reason="" if ended_well else metered.problem or f"exit status {metered.exit_status}",
        window=window,
        notes=list(metered.notes),
        readings=list(metered.readings),
        telemetry=metered.telemetry,
    )


@contextmanager
def _pass_signals_to(child: Child) -> Iterator[None]:
    """A context in which an interrupt does not end this process (a terminal sends it to the child,
    too), and a SIGTERM is passed on to the child. It sets handlers because a child would inherit an
    ignored signal; one that is ignored already, as by `nohup`, stays so."""

    def ignore(number: int, frame: FrameType | None) -> None:
        pass

    handlers: dict[signal.Signals, Handler] = dict.fromkeys((signal.SIGINT, signal.SIGQUIT), ignore)
    handlers |= dict.fromkeys((signal.SIGTERM, signal.SIGHUP), child.pass_on)
    heeded = [number for number in handlers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handlers[number]) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
