"""The energy readings of a window: joules and watts by scope with their uncertainty, or the reason
why there is no value.

`counters` and `integration` compute answers from counters and power sensors; here they become
records.Reading. The first source of a scope that has an answer is used. If none has one, the
reading has no value, never 0, and states the reason.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwbench.meters import Counter, EnergySource, PowerSensor, Signal
from hwbench.meters.agreement import downgrade
from hwbench.meters.counters import counter_answer
from hwbench.meters.integration import sensor_answer
from hwbench.meters.recorder import Trace
from hwbench.meters.uncertainty import Answer, NoAnswer, readings_around
from hwbench.records import Grade, Method, Reading

GRADE_A_S, GRADE_B_S = 10.0, 5.0

RESOLVED = 5
"""How many times longer than a source's resolution a part of a step must be to be measured apart
from what comes before and after."""

MARGIN_S = 0.5
MARGIN_TICKS = 3
"""How long before a window a reading counts, to show whether the first one inside has changed."""


def readings_of(
    trace: Trace,
    sources: Sequence[EnergySource],
    begin_ns: int,
    end_ns: int,
    failures: Mapping[Signal, str],
    step_s: float | None = None,
) -> list[Reading]:
    """For each scope `energy` (J), `power` and `power_peak` (W) over the window, from the first
    source with an answer.

    `energy_residual` (J), counter minus integral, follows if there are both; without a value if one
    of them is implausible. If they disagree, see `agreement`. `sources` has the best first;
    `failures` has the reason why a signal shows nothing; `step_s` is the period of the load, if it
    has one. A scope without an answer has one reading, `energy`, with the reason of its first
    source. So has a scope without a source, as a GPU that shows neither energy nor power, with the
    reason of its failure.
    """
    found = []
    for scope in _scopes(sources):
        outcomes = _outcomes(trace, _of_scope(sources, scope), begin_ns, end_ns, failures, step_s)
        answers = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
        if not answers:
            found.append(_unknown(outcomes[0], (end_ns - begin_ns) / 1e9))
            continue
        residual = _residual(outcomes)
        figures = [_energy(answers[0]), _power(answers[0]), _peak(answers[0])]
        found += [*downgrade(figures, residual), *residual]
    for signal, why in failures.items():
        if signal.quantity == "energy" and signal.scope not in _scopes(sources):
            found.append(_no_energy(signal, why, (end_ns - begin_ns) / 1e9))
    return found


def idle_power(
    trace: Trace, sources: Sequence[EnergySource], begin_ns: int, end_ns: int
) -> list[Reading]:
    """`idle_power` (W) of each scope over a window in which nothing ran."""
    readings = readings_of(trace, sources, begin_ns, end_ns, {})
    powers = [one for one in readings if one.quantity == "power" or one.value is None]
    return [replace(power, quantity="idle_power", unit="W") for power in powers]


def span_readings(
    trace: Trace, sources: Sequence[EnergySource], spans: Mapping[str, NDArray[np.int64]]
) -> list[Reading]:
    """`energy` (J) of each named part of the steps: the sum over its intervals, begin and end in
    ns, shape (n, 2).

    Only sources that resolve a part are used: its median interval is RESOLVED times as long as the
    longest of the source's tick or update, its averaging time and the gap between its readings.
    Parts that no source resolves are left out.
    """
    found = []
    for name, intervals in spans.items():
        length_s = float(np.diff(intervals).sum()) / 1e9
        for scope in _scopes(sources):
            of_scope = _of_scope(sources, scope)
            resolving = [source for source in of_scope if _resolves(trace, source, intervals)]
            outcomes = [_sum(trace, source, intervals) for source in resolving]
            if not outcomes:
                continue
            answers = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
            reading = _energy(answers[0]) if answers else _unknown(outcomes[0], length_s)
            found.append(replace(reading, span=name))
    return found


@dataclass(frozen=True)
class _Failure:
    """Why a source has no answer."""

    source: EnergySource
    reason: str
    implausible: bool = False


_Outcome = Answer | _Failure


def _scopes(sources: Sequence[EnergySource]) -> list[str]:
    return list(dict.fromkeys(source.signal.scope for source in sources))


def _of_scope(sources: Sequence[EnergySource], scope: str) -> list[EnergySource]:
    return [source for source in sources if source.signal.scope == scope]


def _outcomes(
    trace: Trace,
    sources: Sequence[EnergySource],
    begin_ns: int,
    end_ns: int,
    failures: Mapping[Signal, str],
    step_s: float | None,
) -> list[_Outcome]:
    found: list[_Outcome] = []
    for source in sources:
        try:
            found.append(_answer(trace, source, begin_ns, end_ns, step_s))
        except NoAnswer as why:
            reason = str(why) if why.implausible else failures.get(source.signal) or str(why)
            found.append(_Failure(source, reason, why.implausible))
    return found


def _answer(
    trace: Trace, source: EnergySource, begin_ns: int, end_ns: int, step_s: float | None
) -> Answer:
    if isinstance(source, Counter):
        margin_s = max(MARGIN_S, MARGIN_TICKS * source.tick_s)
        readings = readings_around(trace, source, begin_ns, end_ns, margin_s)
        return counter_answer(source, readings, step_s)
    shown_w = trace.series(source.signal)[1]
    highest_w = float(np.nanmax(shown_w[shown_w <= source.limit_w], initial=0.0))
    readings = readings_around(trace, source, begin_ns, end_ns, 0.0)
    return sensor_answer(source, readings, step_s, highest_w)


def _resolves(trace: Trace, source: EnergySource, intervals: NDArray[np.int64]) -> bool:
    times_ns, _ = trace.series(source.signal)
    if len(times_ns) < 2 or not len(intervals):
        return False
    resolution_s = float(np.median(np.diff(times_ns))) / 1e9
    if isinstance(source, Counter):
        resolution_s = max(resolution_s, source.tick_s)
    else:
        resolution_s = max(resolution_s, source.update_s, source.averaging_s)
    return bool(np.median(np.diff(intervals)) / 1e9 >= RESOLVED * resolution_s)


def _sum(trace: Trace, source: EnergySource, intervals: NDArray[np.int64]) -> _Outcome:
    """The sum of the answers of all intervals. Random errors add as squares, systematic ones
    linearly."""
    try:
        parts = [_answer(trace, source, int(begin), int(end), None) for begin, end in intervals]
    except NoAnswer as why:
        return _Failure(source, f"in one of {len(intervals)} intervals: {why}")
    return Answer(
        source=source,
        window_s=sum(part.window_s for part in parts),
        joules=sum(part.joules for part in parts),
        peak_w=max(part.peak_w for part in parts),
        random_j=math.hypot(*(part.random_j for part in parts)),
        systematic_j=sum(part.systematic_j for part in parts),
        peak_error_w=max(part.peak_error_w for part in parts),
        share=parts[0].share,
    )


def _energy(answer: Answer) -> Reading:
    return _reading(answer, "energy", "J", answer.joules, answer.uncertainty_j)


def _power(answer: Answer) -> Reading:
    window_s = answer.window_s
    power_w, uncertainty_w = answer.joules / window_s, answer.uncertainty_j / window_s
    return _reading(answer, "power", "W", power_w, uncertainty_w)


def _peak(answer: Answer) -> Reading:
    return _reading(answer, "power_peak", "W", answer.peak_w, answer.peak_error_w)


def _residual(outcomes: Sequence[_Outcome]) -> list[Reading]:
    """The first counter minus the first integral; nothing if one is missing, no value if it is
    implausible."""
    answers = [one for one in outcomes if isinstance(one, Answer)]
    counter = next((one for one in answers if isinstance(one.source, Counter)), None)
    sensor = next((one for one in answers if isinstance(one.source, PowerSensor)), None)
    if counter is None or sensor is None:
        return [
            replace(_unknown(one, answers[0].window_s), quantity="energy_residual")
            for one in outcomes
            if isinstance(one, _Failure) and one.implausible
        ]
    uncertainty_j = math.hypot(counter.uncertainty_j, sensor.uncertainty_j)
    return [_reading(sensor, "energy_residual", "J", counter.joules - sensor.joules, uncertainty_j)]


def _reading(answer: Answer, quantity: str, unit: str, value: float, uncertainty: float) -> Reading:
    signal, method = answer.source.signal, _method(answer.source)
    return Reading(
        meter=signal.meter,
        scope=signal.scope,
        quantity=quantity,
        value=value,
        unit=unit,
        method=method,
        window_s=answer.window_s,
        uncertainty=uncertainty,
        grade=_grade(method, answer.window_s),
    )


def _unknown(outcome: _Outcome, window_s: float) -> Reading:
    assert isinstance(outcome, _Failure)
    return _no_energy(outcome.source.signal, outcome.reason, window_s)


def _no_energy(signal: Signal, reason: str, window_s: float) -> Reading:
    return Reading(signal.meter, signal.scope, "energy", None, "J", None, window_s, reason=reason)


def _method(source: EnergySource) -> Method:
    if isinstance(source, Counter):
        return "counter"
    return "estimated" if source.is_estimate else "integrated"


def _grade(method: Method, window_s: float) -> Grade:
    if method == "counter" and window_s >= GRADE_A_S:
        return "A"
    return "B" if method != "estimated" and window_s >= GRADE_B_S else "C"
