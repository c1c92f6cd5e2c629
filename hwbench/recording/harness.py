"""The measuring loop: warm up, then time steps over one window. No printing, no torch, no files.

The loop does what a user's own loop does: steps back to back, with nothing but a timestamp in
between. The device is drained before the first step and after the last one, never inside;
throughput is work over that window. A host that submits faster than the device works is held back
only when it is far ahead (see `RunAhead`).
"""

import gc
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from hwbench.devices.protocol import Device
from hwbench.devices.timers import Timer
from hwbench.recording.stopping import FixedWindow, StoppingRule, Within
from hwbench.records import Samples, Spans, Unsupported, Window
from hwbench.workload import Step

Columns = TypeVar("Columns", Samples, Spans)

COLD = 1
"""The first step allocates, compiles and fills caches, however long that takes; warming up starts
after it."""

RUN_AHEAD_S = 0.05
"""How much work the host may submit ahead: far more than the host takes to wake up, far less than a
window."""

RUN_AHEAD_STEPS = 2
"""The fewest steps it may be ahead, however long they take."""

MOST_GROWTH = 2
"""The factor by which the number of steps ahead may grow at a time, so that a clock that jumps
cannot fill the queue."""

SHORTEST_STEP_S = 1e-6
"""Steps count as no shorter than this, which bounds how many may be ahead."""


@dataclass
class Phase:
    """One uninterrupted row of steps: its samples and spans, when it began and how long it took on
    the host's clock, the memory peak so far, how far the host was ahead at the end, and what the
    last step returned."""

    samples: Samples
    spans: Spans
    begin_ns: int
    elapsed_s: float
    memory_peak_bytes: int | None
    steps_ahead: int
    result: object


class RunAhead:
    """Holds the host back so that RUN_AHEAD_S of work lie in the device's queue, and
    RUN_AHEAD_STEPS steps at least.

    It waits for a step that lies well behind the end of the queue, so the device never idles
    meanwhile. How long steps take is learned from those that have ended: as steps get slower, fewer
    of them are in the queue.
    """

    def __init__(self, timer: Timer, steps: int) -> None:
        self._wait_for = timer.wait_for
        self.steps = steps

    def hold_back(self, submitted: int) -> None:
        """Wait until the next step may be submitted, after `submitted` steps of the phase."""
        while submitted >= self.steps:
            before, step_s = self.steps, self._wait_for(submitted - self.steps, self.steps)
            if step_s <= 0:  # the clock stands still or goes back: nothing to learn
                return
            fitting = math.ceil(RUN_AHEAD_S / max(step_s, SHORTEST_STEP_S))
            self.steps = max(RUN_AHEAD_STEPS, min(fitting, MOST_GROWTH * before))
            if self.steps >= before:
                return

    def wait_for_long_steps(self, submitted: int) -> None:
        """Wait for the last step without keeping a core busy, as Device.synchronize would, if steps
        are so long that it matters."""
        if submitted and self.steps == RUN_AHEAD_STEPS:
            self._wait_for(submitted - 1, 1)


def measure(
    step: Step,
    device: Device,
    warmup: StoppingRule,
    stopping: StoppingRule,
    on_phase: Callable[[str], None] = lambda phase: None,
    left_s: Callable[[], float] = lambda: math.inf,
    is_longer: bool = False,
) -> tuple[Window, object]:
    """Run one cold step, a warm-up and the window on `device`. Returns the window, which holds all
    steps (those before it as warm-up), and what its last step returned.

    `left_s` returns how many seconds are left for all of it. The cold step shows how long a step
    takes, unless it does more than a step (`is_longer`: it compiles, say). The warm-up gets half of
    the time left, or none if that is less than a step. The window is cut short before a step that
    would not end in time (`Window.cut_short`). Unsupported if not even one step would.
    """
    on_phase("warmup")
    cold = run_phase(step, device, FixedWindow(0.0, 0.0, COLD), 0, is_warmup=True)
    step_s = 0.0 if is_longer else cold.elapsed_s
    _require_step(step_s, left_s(), cold.elapsed_s)
    phases, is_warm = [cold], False
    if step_s <= left_s() / 2:
        rule = Within(warmup, left_s() / 2)
        phases.append(run_phase(step, device, rule, COLD, is_warmup=True))
        step_s, is_warm = median(phases[-1].samples.step_s), not rule.was_cut
        _require_step(step_s, left_s(), step_s)
    gc.collect()  # so that no step pays for the garbage of building and compiling
    on_phase("measure")
    first = sum(len(phase.samples.step) for phase in phases)
    window = Within(stopping, left_s())
    build_peak_bytes = _peak_before_the_window(device)
    ahead = phases[-1].steps_ahead
    timed = run_phase(step, device, window, first, is_warmup=False, steps_ahead=ahead)
    cut_short = window.was_cut or not is_warm
    measured = _window(device, [*phases, timed], window, build_peak_bytes, cut_short)
    return measured, timed.result


def _require_step(step_s: float, left_s: float, took_s: float) -> None:
    """Raise Unsupported if a step of `step_s` seconds would not end within `left_s`; the last one
    took `took_s`."""
    if step_s > left_s or left_s <= 0:
        took = f"the step before took {took_s:.3g} s"
        left = f"{max(0.0, left_s):.3g} s of the time limit are left for another one"
        cure = "allow more (--timeout), or make the case smaller"
        raise Unsupported(f"{took}, and {left}: {cure}")


def measure_once(
    step: Step, device: Device, on_phase: Callable[[str], None] = lambda phase: None
) -> tuple[Window, object]:
    """Run the one step of a workload whose step is a whole test. It was warmed up as it was built,
    so the window has nothing before it. Returns what `measure` returns."""
    gc.collect()
    on_phase("measure")
    rule = FixedWindow(0.0, 0.0, 1)
    build_peak_bytes = _peak_before_the_window(device)
    timed = run_phase(step, device, rule, 0, is_warmup=False)
    return _window(device, [timed], rule, build_peak_bytes), timed.result


def _peak_before_the_window(device: Device) -> int | None:
    """The memory peak so far. The peak then starts again, since memory that a compiler uses while
    it tunes is not the steps'."""
    peak_bytes = device.memory_peak_bytes()
    device.reset_memory_peak()
    return peak_bytes


def run_phase(
    step: Step,
    device: Device,
    rule: StoppingRule,
    first_step: int,
    is_warmup: bool,
    steps_ahead: int = RUN_AHEAD_STEPS,
) -> Phase:
    """Run steps back to back until the rule ends the phase. To each step the loop adds one
    timestamp, one reading of the clock and one call of the rule.

    `steps_ahead` is how far the host may be ahead of the device at first. A rule that computes for
    a moment does so while the device works on its queue; after the last step its time counts for
    nothing.
    """
    timer = device.timer()
    ahead = RunAhead(timer, steps_ahead)
    mark, end_step, hold_back, ended = timer.mark, timer.end_step, ahead.hold_back, timer.ended
    now_ns, is_finished = device.now_ns, rule.is_finished
    can_be_ahead = timer.kind == "device_event"  # a step that the host times has ended
    steps, result = 0, None
    device.synchronize()
    begin = now = now_ns()
    timer.start()
    while not is_finished(steps, (now - begin) / 1e9, ended):
        result = step(mark)
        end_step()
        steps += 1
        if can_be_ahead:
            hold_back(steps)
        now = now_ns()
    if can_be_ahead:
        ahead.wait_for_long_steps(steps)
    device.synchronize()
    if can_be_ahead:
        now = now_ns()  # now the queue is empty
    # read before the timestamps are expanded into columns, which takes memory
    memory_peak_bytes = device.memory_peak_bytes()
    samples, spans = timer.read(first_step, is_warmup)
    return Phase(samples, spans, begin, (now - begin) / 1e9, memory_peak_bytes, ahead.steps, result)


def _window(
    device: Device,
    phases: Sequence[Phase],
    rule: StoppingRule,
    build_peak_bytes: int | None,
    cut_short: bool = False,
) -> Window:
    """The window that the last phase measured under `rule`, with the steps of all phases."""
    timed = phases[-1]
    return Window(
        timer_kind=device.timer().kind,
        samples=_joined(*(phase.samples for phase in phases)),
        spans=_joined(*(phase.spans for phase in phases)),
        begin_ns=timed.begin_ns,
        window_s=timed.elapsed_s,
        converged=rule.is_satisfied(timed.samples.step_s, timed.elapsed_s),
        memory_peak_bytes=timed.memory_peak_bytes,
        memory_build_peak_bytes=build_peak_bytes,
        cut_short=cut_short,
    )


def _joined(*parts: Columns) -> Columns:
    columns = {
        name: [value for part in parts for value in getattr(part, name)] for name in vars(parts[0])
    }
    return type(parts[0])(**columns)
