"""The rules that end a warm-up and a window.

A rule is asked before each step and usually compares two numbers. It looks at the durations of the
steps only at growing distances. It stops because an interval is narrow, never because a difference
is significant: stopping on significance makes significance.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from hwbench import stats
from hwbench.records import Policy

WARMUP_S = 0.5
"""Long enough for clocks to rise: elsewhere a warm-up of 25 ms was 30 % off."""

MOST_STEPS = 1_000_000
"""The most steps of a phase: their records must not take memory that the measured steps need."""

GROWTH = 1.5
"""The factor by which a phase must have grown before the rule looks at it again."""

BETWEEN_LOOKS_S = 0.05
"""The least seconds from one look to the next."""

LOOK_BACK = 10_000
"""The most steps that a look takes in, the last ones: it takes some milliseconds, and so many steps
are enough."""

FEWEST_TO_SETTLE = 12
"""With fewer steps nobody can tell a trend from noise: a quarter of them is three."""

SURE_STEPS = 80
"""With this many steps a change as large as their own spread is noise one time in a hundred, at an
autocorrelation of 0.5. With half as many, twice that change is needed, and so on."""

Ended = Callable[[int], Sequence[float]]
"""`ended(n)` returns the durations in seconds of the last steps, at most n, that have ended on the
device."""


class StoppingRule(Protocol):
    """Decides when a phase is long enough. It is asked before each step, so it must be cheap."""

    def is_finished(self, steps: int, elapsed_s: float, ended: Ended) -> bool:
        """Whether to stop after `steps` steps submitted in `elapsed_s` seconds of the host's
        clock."""

    def is_satisfied(self, step_s: Sequence[float], elapsed_s: float) -> bool:
        """Whether the finished phase, with steps of these durations, has reached the rule's
        target."""


@dataclass(frozen=True)
class FixedWindow:
    """Lasts at least `min_time_s` and `min_samples`, and at most `max_time_s` or MOST_STEPS, but
    never fewer than one step."""

    min_time_s: float
    max_time_s: float
    min_samples: int

    def is_finished(self, steps: int, elapsed_s: float, ended: Ended) -> bool:
        if elapsed_s < self.min_time_s:
            return steps >= MOST_STEPS
        return steps >= self.min_samples or (elapsed_s >= self.max_time_s and steps > 0)

    def is_satisfied(self, step_s: Sequence[float], elapsed_s: float) -> bool:
        steps = len(step_s)
        return steps >= self.min_samples and (elapsed_s >= self.min_time_s or steps >= MOST_STEPS)


@dataclass
class _Looking:
    """A rule that looks at the steps, from `min_time_s` and `min_samples` on, at growing distances.

    The phase ends when `_is_enough` says so, at `max_time_s` or at MOST_STEPS, but never before the
    first step.
    """

    min_time_s: float
    max_time_s: float
    min_samples: int
    precision: float
    _next_steps: int = field(init=False)
    _next_s: float = field(init=False)
    _was_enough: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._next_steps, self._next_s = self.min_samples, self.min_time_s

    def is_finished(self, steps: int, elapsed_s: float, ended: Ended) -> bool:
        if (elapsed_s >= self.max_time_s and steps) or steps >= MOST_STEPS:
            return True
        if steps < self._next_steps or elapsed_s < self._next_s:
            return False
        self._next_steps, self._next_s = math.ceil(GROWTH * steps), elapsed_s + BETWEEN_LOOKS_S
        self._was_enough = self._is_enough(ended(LOOK_BACK))
        return self._was_enough

    def is_satisfied(self, step_s: Sequence[float], elapsed_s: float) -> bool:
        return self._was_enough or (len(step_s) >= self.min_samples and self._is_enough(step_s))

    def _is_enough(self, step_s: Sequence[float]) -> bool:
        raise NotImplementedError


class Within:
    """Follows `rule`, but ends the phase before a step that would not end within `left_s` seconds
    from the phase's beginning."""

    def __init__(self, rule: StoppingRule, left_s: float) -> None:
        self._rule, self._left_s = rule, left_s
        self.was_cut = False

    def is_finished(self, steps: int, elapsed_s: float, ended: Ended) -> bool:
        if self._rule.is_finished(steps, elapsed_s, ended):
            return True
        self.was_cut = bool(steps) and elapsed_s + elapsed_s / steps > self._left_s
        return self.was_cut

    def is_satisfied(self, step_s: Sequence[float], elapsed_s: float) -> bool:
        return self._rule.is_satisfied(step_s, elapsed_s)


class InHostTime:
    """Follows `rule`, but ends the phase after `max_time_s` seconds of the host's clock, for a
    device whose own clock may stand still."""

    def __init__(self, rule: StoppingRule, max_time_s: float) -> None:
        self._rule, self._max_time_s = rule, max_time_s
        self._end: float | None = None

    def is_finished(self, steps: int, elapsed_s: float, ended: Ended) -> bool:
        if self._end is None:
            self._end = time.monotonic() + self._max_time_s
        is_over = steps > 0 and time.monotonic() >= self._end
        return is_over or self._rule.is_finished(steps, elapsed_s, ended)

    def is_satisfied(self, step_s: Sequence[float], elapsed_s: float) -> bool:
        return self._rule.is_satisfied(step_s, elapsed_s)


class PreciseWindow(_Looking):
    """Ends when half of the 95 % interval of the median step is within `precision` of the median.
    The interval allows for autocorrelation (stats.quantile_interval)."""

    def _is_enough(self, step_s: Sequence[float]) -> bool:
        return stats.quantile_interval(step_s, 0.5).relative_half_width <= self.precision


class SteadyWarmup(_Looking):
    """Ends when the steps have settled within `precision`, or are too few to tell (see
    `is_steady`)."""

    def _is_enough(self, step_s: Sequence[float]) -> bool:
        # sure_steps=1: a warm-up that goes on needlessly costs little
        return is_steady(step_s, self.precision, sure_steps=1) is not False


def warmup_rule(policy: Policy) -> StoppingRule:
    """The rule for a warm-up: until the steps are steady, but no longer than a window may take."""
    return SteadyWarmup(min(WARMUP_S, policy.max_time_s), policy.max_time_s, 1, policy.precision)


def window_rule(policy: Policy, least_s: float = 0.0) -> StoppingRule:
    """The rule for a window: at least `least_s` long, as the meters need it, unless `max_time_s` is
    shorter."""
    min_time_s = min(max(policy.min_time_s, least_s), policy.max_time_s)
    return PreciseWindow(min_time_s, policy.max_time_s, policy.min_samples, policy.precision)


def is_steady(
    step_s: Sequence[float], precision: float, sure_steps: int = SURE_STEPS
) -> bool | None:
    """Whether the steps have settled; None if they are fewer than FEWEST_TO_SETTLE.

    MSER (White 1997) cuts off an initial transient, at most half of the steps. The rest must show
    no `late_change` that exceeds both `precision` and the spread of either part. MSER alone misses
    what comes later, such as clocks that sink with heat.
    """
    steps = len(step_s)
    if steps < FEWEST_TO_SETTLE:
        return None
    change, spread = late_change(step_s[stats.steady_from(step_s) or 0 :])
    return abs(change) <= max(precision, spread * max(1.0, sure_steps / steps))


def late_change(step_s: Sequence[float]) -> tuple[float, float]:
    """How far the median step of the last quarter lies above that of the first half, and the larger
    interquartile range of the two parts, both as shares of the first half's median; 0 if that
    is 0."""
    x = np.asarray(step_s, np.float64)
    early, late = (
        np.quantile(part, [0.25, 0.5, 0.75]) for part in (x[: len(x) // 2], x[-(len(x) // 4) :])
    )
    if not early[1] > 0:
        return 0.0, 0.0
    spread = max(early[2] - early[0], late[2] - late[0])
    return float(late[1] / early[1] - 1), float(spread / early[1])
