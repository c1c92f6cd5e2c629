"""What the meters say of a window: joules and watts by scope, with how sure they are, or the reason
why not.

What is read is worked out in two ways, `counters` and `integral`; here the answers become
records.Reading. A scope is answered by the first of its sources that has an answer. None is never
0: where no source has one, the reading has no value and says why.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwbench.meters import Counter, EnergySource, PowerSensor, Signal
from hwbench.meters.counters import counter_answer
from hwbench.meters.integration import sensor_answer
from hwbench.meters.recorder import Trace
from hwbench.meters.uncertainty import Answer, NoAnswer, readings_around
from hwbench.records import Grade, Method, Reading

GRADE_A_S, GRADE_B_S = 10.0, 5.0

RESOLVED = 5
"""A part of a step that lasts so many times what a source resolves can be told from what comes
before and after."""

MARGIN_S = 0.5
MARGIN_TICKS = 3
"""How long before a window a reading may lie to show whether the first one in it has changed."""


def readings_of(
    trace: Trace,
    sources: Sequence[EnergySource],
    begin_ns: int,
    end_ns: int,
    failures: Mapping[Signal, str],
    step_s: float | None = None,
) -> list[Reading]:
    """For each scope `energy` (J), `power` and `power_peak` (W) over the window, of the first
    source with an answer.

    `energy_residual` (J), counter minus integral, follows where both answer. `sources` are the best
    first; `failures` says why a signal shows nothing; `step_s` is the period of the load, where it
    has one. A scope without an answer has one reading, `energy`, with the reason of its first
    source; so has one that lacks even a source, as a GPU that shows neither energy nor power, with
    the reason of its failure.
    """
    found = []
    for scope in _scopes(sources):
        outcomes = _outcomes(trace, _of_scope(sources, scope), begin_ns, end_ns, failures, step_s)
        answers = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
        if not answers:
            found.append(_unknown(outcomes[0], (end_ns - begin_ns) / 1e9))
            continue
        found += [_energy(answers[0]), _power(answers[0]), _peak(answers[0]), *_residual(answers)]
    for signal, why in failures.items():
        if signal.quantity == "energy" and signal.scope not in _scopes(sources):
            found.append(_no_energy(signal, why, (end_ns - begin_ns) / 1e9))
    return found


def idle_power(
    trace: Trace, sources: Sequence[EnergySource], begin_ns: int, end_ns: int
) -> list[Reading]:
    """`idle_power` (W) of each scope over a window in which nothing was run."""
    readings = readings_of(trace, sources, begin_ns, end_ns, {})
    powers = [
        reading for reading in readings if reading.quantity == "power" or reading.value is None
    ]
    return [replace(reading, quantity="idle_power", unit="W") for reading in powers]


def span_readings(
    trace: Trace, sources: Sequence[EnergySource], spans: Mapping[str, NDArray[np.int64]]
) -> list[Reading]:
    """`energy` (J) of each named part of the steps: the sum over its intervals, begin and end in
    ns, shape (n, 2).

    Only from sources that resolve it: the median interval lasts RESOLVED times the longest of the
    source's tick or update, its averaging and the distance of its readings. Parts that no source
    resolves are left out.
    """
    found = []
    for name, intervals in spans.items():
        for scope in _scopes(sources):
            resolving = [
                one for one in _of_scope(sources, scope) if _resolves(trace, one, intervals)
            ]
            outcomes = [_sum(trace, source, intervals) for source in resolving]
            if outcomes:
                best = next((outcome for outcome in outcomes if isinstance(outcome, Answer)), None)
                length_s = float(np.diff(intervals).sum()) / 1e9
                reading = _energy(best) if best else _unknown(outcomes[0], length_s)
                found.append(replace(reading, span=name))
    return found


@dataclass(frozen=True)
class _Failure:
    """Why a source has no answer."""

    source: EnergySource
    reason: str


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
            found.append(_Failure(source, failures.get(source.signal) or str(why)))
    return found


def _answer(
    trace: Trace, source: EnergySource, begin_ns: int, end_ns: int, step_s: float | None
) -> Answer:
    if isinstance(source, Counter):
        margin_s = max(MARGIN_S, MARGIN_TICKS * source.tick_s)
        return counter_answer(
            source, readings_around(trace, source, begin_ns, end_ns, margin_s), step_s
        )
    highest_w = float(np.nanmax(trace.series(source.signal)[1], initial=0.0))
    return sensor_answer(
        source, readings_around(trace, source, begin_ns, end_ns, 0.0), step_s, highest_w
    )


def _resolves(trace: Trace, source: EnergySource, intervals: NDArray[np.int64]) -> bool:
    times_ns, _ = trace.series(source.signal)
    if len(times_ns) < 2 or not len(intervals):
        return False
    own_s = (
        (source.tick_s,) if isinstance(source, Counter) else (source.update_s, source.averaging_s)
    )
    resolution_s = max(*own_s, float(np.median(np.diff(times_ns))) / 1e9)
    return bool(np.median(np.diff(intervals)) / 1e9 >= RESOLVED * resolution_s)


def _sum(trace: Trace, source: EnergySource, intervals: NDArray[np.int64]) -> _Outcome:
    """The answers of all intervals in one: what is random adds as squares, what is systematic as it
    is."""
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
    return _reading(
        answer,
        "power",
        "W",
        answer.joules / answer.window_s,
        answer.uncertainty_j / answer.window_s,
    )


def _peak(answer: Answer) -> Reading:
    return _reading(answer, "power_peak", "W", answer.peak_w, answer.peak_error_w)


def _residual(answers: Sequence[Answer]) -> list[Reading]:
    """Counter minus integral, of the first of either; nothing where one is missing."""
    counter = next((one for one in answers if isinstance(one.source, Counter)), None)
    sensor = next((one for one in answers if isinstance(one.source, PowerSensor)), None)
    if counter is None or sensor is None:
        return []
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
