"""Any command under the meters: started, waited for, and what it took."""

import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from hwbench.meters import host
from hwbench.meters.energy import readings_of
from hwbench.meters.recorder import Recorder, Trace
from hwbench.meters.selection import open_meters
from hwbench.meters.throttling import conditions
from hwbench.records import Measurement, Reading, Samples, Spans, Telemetry, Window

NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""What a shell answers for such a command."""

SIGNALLED = 128
"""Is added by a shell to the number of the signal that ended a command."""


@dataclass(frozen=True)
class Metered:
    """How a command ended, how long it took on the monotonic clock, and what the meters said of
    that time. `problem`: why it could not be started at all."""

    exit_status: int
    begin_ns: int
    elapsed_s: float
    readings: Sequence[Reading]
    telemetry: Telemetry
    notes: Sequence[str]
    # of the command and its descendants; None if it was too short to be seen
    memory_peak_bytes: int | None = None
    problem: str = ""


def run_metered(words: Sequence[str], tdp_w: float | None = None) -> Metered:
    """Run the command with this process's own input and output, and meter it until it has ended.

    Ctrl-C reaches it by way of the terminal, and what else would end this process is handed on to
    it.
    """
    meters = open_meters(None, tdp_w)
    recorder = Recorder(meters, time.monotonic_ns)
    problem = ""
    begin = time.monotonic_ns()  # so that the meters' first and last readings are in the window
    with recorder:
        try:
            with _signals_are_for_the_child() as children:
                child = subprocess.Popen(words)
                children.append(child)
                meters.append(host.open_meter(child.pid))
                status = child.wait()
        except OSError as error:
            status = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
            problem = f"{words[0]}: cannot be started: {error.strerror}"
        ended = time.monotonic_ns()
    end = ended if recorder.hangs else time.monotonic_ns()
    sources = [source for meter in meters for source in meter.energy]
    failures = {signal: why for meter in meters for signal, why in meter.failures.items()}
    for meter in recorder.answering:
        meter.close()
    return Metered(
        exit_status=status if status >= 0 else SIGNALLED - status,
        begin_ns=begin,
        elapsed_s=(end - begin) / 1e9,
        readings=readings_of(recorder.trace, sources, begin, end, failures),
        telemetry=recorder.trace.as_telemetry(),
        notes=conditions(recorder.trace, begin, end),
        memory_peak_bytes=_memory_peak(recorder.trace),
        problem=problem,
    )


def _memory_peak(trace: Trace) -> int | None:
    peaks = [
        trace.series(signal)[1].max() for signal in trace.signals if signal.quantity == "rss_peak"
    ]
    return round(float(max(peaks))) if peaks else None


def as_measurement(metered: Metered) -> Measurement:
    """What it came to as the one step of a case: an error where the command failed."""
    samples = Samples([0], [False], [metered.begin_ns], [metered.elapsed_s], [""])
    window = Window(
        "host", samples, Spans(), metered.elapsed_s, converged=True, memory_peak_bytes=metered.memory_peak_bytes,
        begin_ns=metered.begin_ns,
    )  # fmt: skip
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
def _signals_are_for_the_child() -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Meanwhile an interrupt, which a terminal sends to both, does not end this process, and a
    SIGTERM is handed on to what is put into the list. A handler, unlike an ignored signal, is not
    inherited by a child."""
    children: list[subprocess.Popen[bytes]] = []

    def hand_on(number: int, frame: FrameType | None) -> None:
        for child in children:
            child.send_signal(number)

    def leave_alone(number: int, frame: FrameType | None) -> None:
        pass

    handlers = dict.fromkeys((signal.SIGINT, signal.SIGQUIT), leave_alone)
    handlers |= dict.fromkeys((signal.SIGTERM, signal.SIGHUP), hand_on)
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield children
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
