"""The measuring loop: warm up, then time steps over one window. No printing, no torch, no files.

What is timed is what a user's own loop does: steps back to back, nothing in between but a
timestamp. The device is drained before the first step and after the last one, never inside;
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
"""How much work the host may have submitted ahead: far more than it takes to wake up, far less than
a window."""

RUN_AHEAD_STEPS = 2
"""The fewest steps it may be ahead, however long they take."""

MOST_GROWTH = 2
"""How many times as many steps it may be ahead after the next one, so that a clock that jumps
cannot fill the queue."""

SHORTEST_STEP_S = 1e-6
"""Steps are taken for no shorter, so that there is an end to how many may be ahead."""


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

    It waits for a step that lies well behind the end of the queue, so the device never idles for
    it. How long steps take is learned from those that have ended: of steps that get slower there
    are fewer in the queue.
    """

    def __init__(self, timer: Timer, steps: int) -> None:
        self._wait_for = timer.wait_for
        self.steps = steps

    def hold_back(self, submitted: int) -> None:
        """Wait, after so many steps of the window were submitted, until the next one may be."""
        while submitted >= self.steps:
            before, step_s = self.steps, self._wait_for(submitted - self.steps, self.steps)
            if step_s <= 0:  # a clock that stands still or goes back tells nothing
                return
            fitting = math.ceil(RUN_AHEAD_S / max(step_s, SHORTEST_STEP_S))
            self.steps = max(RUN_AHEAD_STEPS, min(fitting, MOST_GROWTH * before))
            if self.steps >= before:
                return

    def wait_for_long_steps(self, submitted: int) -> None:
        """Wait for the last one where steps are so long that it matters how: Device.synchronize
        keeps a core busy."""
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
    """One cold step, a warm-up and the window, on `device`; every step is kept, the first two kinds
    as warm-up.

    `left_s` says how many seconds there are left for all of it. The cold step tells how long a step
    takes, unless it does more than a step (`is_longer`: it compiles, say): the warm-up gets half of
    what is left, none if that is less than a step, and the window is cut short before a step that
    would not end in time (`Window.cut_short`). Unsupported if no step would. Returns the window and
    what its last step returned.
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
    gc.collect()  # garbage of building and compiling is not the step's
    on_phase("measure")
    first = sum(len(phase.samples.step) for phase in phases)
    window = Within(stopping, left_s())
    build_peak_bytes = _peak_before_the_window(device)
    timed = run_phase(
        step, device, window, first, is_warmup=False, steps_ahead=phases[-1].steps_ahead
    )
    return _window(
        device, [*phases, timed], window, build_peak_bytes, window.was_cut or not is_warm
    ), timed.result


def _require_step(step_s: float, left_s: float, took_s: float) -> None:
    """Unsupported if a step of `step_s` seconds would not end within `left_s`; the last one took
    `took_s`."""
    if step_s > left_s or left_s <= 0:
        left = f"{max(0.0, left_s):.3g} s of the time limit are left"
        cure = "allow more (--timeout), or make the case smaller"
        raise Unsupported(
            f"the step before took {took_s:.3g} s, and {left} for another one: {cure}"
        )


def measure_once(
    step: Step, device: Device, on_phase: Callable[[str], None] = lambda phase: None
) -> tuple[Window, object]:
    """The one step of a workload whose step is a whole test, which was made warm as it was built: a
    window with nothing before it."""
    gc.collect()
    on_phase("measure")
    rule = FixedWindow(0.0, 0.0, 1)
    build_peak_bytes = _peak_before_the_window(device)
    timed = run_phase(step, device, rule, 0, is_warmup=False)
    return _window(device, [timed], rule, build_peak_bytes), timed.result


def _peak_before_the_window(device: Device) -> int | None:
    """The peak of memory so far, which starts anew: what a compiler tries out while it tunes is not
    the steps'."""
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
    """Steps back to back until the rule says stop. Per step the loop adds one stamp, one clock and
    one question.

    `steps_ahead` is how far the host may be ahead of the device to begin with. A rule that thinks
    for a moment does so while the device works on what is in its queue, and after the last step it
    is on nobody's time.
    """
    timer = device.timer()
    ahead = RunAhead(timer, steps_ahead)
    mark, end_step, hold_back, ended = timer.mark, timer.end_step, ahead.hold_back, timer.ended
    now_ns, is_finished = device.now_ns, rule.is_finished
    can_be_ahead = timer.kind == "device_event"  # steps that the host has timed have ended
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
        now = now_ns()  # the queue has run dry
    # before the stamps are unfolded into what takes more memory
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
    """What the last of the phases measured, under `rule`, with the steps of those before it."""
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
