"""The measuring loop: warm up, then time steps over one window. No printing, no torch, no files.

What is timed is what a user's own loop does: steps back to back, nothing in between but a timestamp. The device is
drained before the first step and after the last one, never inside; throughput is work over that window. A host that
submits faster than the device works is held back only when it is far ahead, by waiting for a step that lies well
behind the end of the queue: the device never idles for it, and the window ends when it should.
"""

import gc
import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Protocol, TypeVar

from hwbench.devices import Device
from hwbench.records import Policy, Samples, Spans, Window
from hwbench.workload import Step

Columns = TypeVar("Columns", Samples, Spans)

WARMUP_S = 0.5
"""Long enough for clocks to rise: a 25 ms warm-up measured 30 % off elsewhere."""

COLD = 1
"""The first step allocates, compiles and fills caches, however long that takes; warming up starts after it."""

MOST_STEPS = 1_000_000
"""The most steps of a window: their records must fit the memory of a process that is measuring something else."""


RUN_AHEAD_S = 0.05
"""How much work the host may have submitted ahead: far more than it takes to wake up, far less than a window."""

RUN_AHEAD_STEPS = 2
"""The fewest steps it may be ahead, however long they take."""


class StoppingRule(Protocol):
    """Says when a window is long enough. Asked before each step, so the answer must be cheap."""

    def is_finished(self, steps: int, elapsed_s: float) -> bool:
        """Whether to stop after `steps` steps submitted in `elapsed_s` seconds of the host's clock."""

    def is_satisfied(self, steps: int, elapsed_s: float) -> bool:
        """Whether the rule has what it asked for, as opposed to having run out of time."""


@dataclass(frozen=True)
class FixedWindow:
    """At least `min_time_s` and `min_samples`; at most `max_time_s` or MOST_STEPS, but never fewer than one step."""

    min_time_s: float
    max_time_s: float
    min_samples: int

    def is_finished(self, steps: int, elapsed_s: float) -> bool:
        if elapsed_s < self.min_time_s:
            return steps >= MOST_STEPS
        return steps >= self.min_samples or (elapsed_s >= self.max_time_s and steps > 0)

    def is_satisfied(self, steps: int, elapsed_s: float) -> bool:
        return steps >= self.min_samples and (elapsed_s >= self.min_time_s or steps >= MOST_STEPS)


def warmup_rule(policy: Policy) -> StoppingRule:
    """Warm up for some time, but not longer than the window itself may take."""
    return FixedWindow(min(WARMUP_S, policy.max_time_s), policy.max_time_s, 1)


def window_rule(policy: Policy) -> StoppingRule:
    return FixedWindow(policy.min_time_s, policy.max_time_s, policy.min_samples)


@dataclass
class Phase:
    """One uninterrupted row of steps: its samples and spans, its time on the host's clock, the memory peak so far, and
    what the last step returned."""

    samples: Samples
    spans: Spans
    elapsed_s: float
    memory_peak_bytes: int | None
    result: object


def measure(
    step: Step,
    device: Device,
    warmup: StoppingRule,
    stopping: StoppingRule,
    on_phase: Callable[[str], None] = lambda phase: None,
) -> tuple[Window, object]:
    """One cold step, a warm-up and the window, on `device`; every step is kept, the first two kinds as warm-up.

    Returns the window and what its last step returned.
    """
    on_phase("warmup")
    cold = run_phase(step, device, FixedWindow(0.0, 0.0, COLD), 0, is_warmup=True, run_ahead=COLD)
    warm = run_phase(step, device, warmup, COLD, is_warmup=True, run_ahead=RUN_AHEAD_STEPS)
    gc.collect()  # garbage of building and compiling is not the step's
    on_phase("measure")
    run_ahead = max(RUN_AHEAD_STEPS, math.ceil(RUN_AHEAD_S / max(median(warm.samples.step_s), 1e-6)))
    first = COLD + len(warm.samples.step)
    timed = run_phase(step, device, stopping, first, is_warmup=False, run_ahead=run_ahead)
    window = Window(
        timer_kind=device.timer().kind,
        samples=_joined(cold.samples, warm.samples, timed.samples),
        spans=_joined(cold.spans, warm.spans, timed.spans),
        window_s=timed.elapsed_s,
        converged=stopping.is_satisfied(len(timed.samples.step), timed.elapsed_s),
        memory_peak_bytes=timed.memory_peak_bytes,
    )
    return window, timed.result


def run_phase(
    step: Step, device: Device, rule: StoppingRule, first_step: int, is_warmup: bool, run_ahead: int
) -> Phase:
    """Steps back to back until the rule says stop. Per step the loop adds one stamp, one clock and one question.

    Before step n is submitted, step n − `run_ahead` has ended on the device.
    """
    timer = device.timer()
    mark, end_step, wait_for = timer.mark, timer.end_step, timer.wait_for
    now_ns, is_finished = device.now_ns, rule.is_finished
    steps, result = 0, None
    device.synchronize()
    begin = now_ns()
    timer.start()
    while not is_finished(steps, (now_ns() - begin) / 1e9):
        result = step(mark)
        end_step()
        steps += 1
        if steps >= run_ahead:
            wait_for(steps - run_ahead)
    device.synchronize()
    elapsed_s = (now_ns() - begin) / 1e9
    memory_peak_bytes = device.memory_peak_bytes()  # before the stamps are unfolded into what takes more memory
    samples, spans = timer.read(first_step, is_warmup)
    return Phase(samples, spans, elapsed_s, memory_peak_bytes, result)


def _joined(*parts: Columns) -> Columns:
    columns = {name: [value for part in parts for value in getattr(part, name)] for name in vars(parts[0])}
    return type(parts[0])(**columns)
