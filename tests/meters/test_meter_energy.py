"""Energy of a window: exact for simple loads, within its uncertainty for others."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_models import BEGIN_NS, MODELS, NVML, RAPL, SHAPES, make_trace, sensor

from hwbench.meters import Counter, Signal
from hwbench.meters.energy import idle_power, readings_of, span_readings
from hwbench.meters.integration import visits
from hwbench.meters.recorder import Trace

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import energy_sensors

TURING = sensor("nvml", 0.1, 0.1)
A100 = sensor("nvml", 0.1, 0.025)
ADA = sensor("nvml", 0.1, 1.0)
MODEL = sensor("estimate", 0.05, 0.05, error=0.3)
TIMES = np.arange(-20, 250) / 20
"""A reading every 50 ms, from 1 s before a window of 10 s until 2.5 s after it."""


def end(window_s: float) -> int:
    return BEGIN_NS + round(window_s * 1e9)


def measure(source, values, window_s=10.0, times=TIMES, failures=None, **more):
    """The readings of one source by quantity."""
    trace = make_trace({source: (times, np.broadcast_to(values, times.shape).astype(float))})
    found = readings_of(trace, [source], BEGIN_NS, end(window_s), failures or {}, **more)
    return {reading.quantity: reading for reading in found}


def reason(source, values, **more) -> str:
    """Why there is no answer; the one reading has no value, no uncertainty and no grade."""
    found = measure(source, values, **more)
    assert set(found) == {"energy"}
    energy = found["energy"]
    unknown = (energy.value, energy.uncertainty, energy.grade, energy.method)
    assert unknown == (None, None, None, None)
    assert energy.unit == "J"
    return energy.reason


def count_joules(watts: float, times=TIMES, tick_s=0.1) -> np.ndarray:
    """What a counter with this tick shows at a constant power."""
    return watts * tick_s * np.floor(times / tick_s + 1e-6)


# Counters


def test_steady_counter_gives_energy_power_and_peak():
    found = measure(RAPL, 1000 + 100 * TIMES)
    assert list(found) == ["energy", "power", "power_peak"]
    energy, power, peak = found.values()
    assert (energy.value, power.value, peak.value) == pytest.approx((1000, 100, 100))
    assert (energy.meter, energy.scope) == ("rapl", "package:0")
    assert (energy.unit, energy.window_s) == ("J", 10)
    assert (power.unit, peak.unit, energy.method, energy.grade) == ("W", "W", "counter", "A")
    assert energy.uncertainty == pytest.approx(10 * power.uncertainty)
    assert 0 < energy.uncertainty < 10


@pytest.mark.parametrize(("window_s", "grade"), [(10, "A"), (9.9, "B"), (5, "B"), (4.9, "C")])
def test_grade_of_counter_depends_on_window(window_s, grade):
    assert measure(RAPL, 100 * TIMES, window_s)["energy"].grade == grade


@pytest.mark.parametrize("wraps_at", [600.0, 151.5, 37.0])
def test_wraps_are_counted_one_by_one(wraps_at):
    """1250 J in total: the counter wraps twice, eight times, and every 370 ms."""
    counter = replace(RAPL, wraps_at=wraps_at, quantum=0.0)
    energy = measure(counter, (100 + 100 * TIMES) % wraps_at)["energy"]
    assert energy.value == pytest.approx(1000)


@given(st.floats(50, 1e6), st.floats(0, 1), st.floats(1, 200))
@settings(max_examples=50, deadline=None)
def test_wrap_does_not_change_energy(wraps_at, start, watts):
    """The gap between two readings is much shorter than a wrap."""
    counter = replace(RAPL, wraps_at=wraps_at, quantum=0.0)
    shown = (start * wraps_at + watts * (TIMES + 1)) % wraps_at
    assert measure(counter, shown)["energy"].value == pytest.approx(10 * watts)


def test_counter_of_unknown_range_must_not_go_back():
    counter = replace(RAPL, wraps_at=None)
    assert measure(counter, 100 * TIMES)["energy"].value == pytest.approx(1000)
    assert reason(counter, (100 * TIMES) % 600) == "the counter went back"


def test_restarted_counter_is_not_taken_for_a_wrap():
    shown = np.where(TIMES < 5, 5000 + 100 * TIMES, 100 * (TIMES - 5))
    assert reason(RAPL, shown) == "the counter went back: as a wrap it would mean more than 5000 W"


def test_jump_beyond_limit_is_refused():
    shown = 100 * TIMES + 300 * (TIMES > 5)
    assert reason(RAPL, shown) == "the counter jumped: it would mean more than 5000 W"
    assert measure(replace(RAPL, limit_w=7000), shown)["energy"].value == pytest.approx(
        1300, rel=2e-3
    )


def test_value_beyond_range_is_refused():
    assert "went back" in reason(replace(RAPL, wraps_at=50.0), 1000 - 2000 * TIMES)


def test_counter_that_stands_still_is_refused():
    assert reason(NVML, 777.0) == "the counter did not move in this window: measure longer"
    moves_once = 777.0 + 10 * (TIMES > 5)
    assert reason(NVML, moves_once) == "the counter moved once in this window: measure longer"
    assert (
        reason(NVML, np.minimum(count_joules(100.0), 200))
        == "seen for 1.9 s of 10 s: measure longer"
    )


def test_gap_that_could_hide_a_wrap_is_refused():
    """1000 W for 70 s at HEADROOM are 280 kJ, and the counter wraps at 262 kJ; 100 W cannot reach
    that."""
    times = np.concatenate([np.arange(0, 40), np.arange(1440, 1500)]) / 20
    assert reason(RAPL, (1000 * times) % RAPL.wraps_at, times=times, window_s=75) == (
        "readings are missing for 70 s: a wrap could have been missed"
    )
    energy = measure(RAPL, 100 * times, times=times, window_s=74.95)["energy"]
    assert energy.value == pytest.approx(7495)


def test_gap_of_two_readings_is_checked_against_limit():
    values, times = np.array([1.0, 2.0]), np.array([1.0, 54.0])
    assert "a wrap could have been missed" in reason(RAPL, values, times=times, window_s=60)


def test_ticking_counter_is_read_at_its_ticks():
    """The device idles at 50 W before and after the window, so only ticks inside count."""
    busy = np.clip(np.floor(TIMES / 0.1 + 1e-6) * 0.1, 0, 10)
    outside = np.floor(TIMES / 0.1 + 1e-6) * 0.1 - busy
    found = measure(NVML, 300 * busy + 50 * outside)
    assert found["energy"].value == pytest.approx(3000)
    assert found["power_peak"].value == pytest.approx(300)
    assert found["energy"].uncertainty < 0.02 * 3000


def test_late_tick_loses_no_energy_and_adds_no_peak():
    """The next tick has the energy of both: nothing is lost, and no tick has twice the power."""
    shown = count_joules(200.0)
    late = (TIMES > 4.99) & (TIMES < 5.09)
    shown[late] = shown[np.flatnonzero(late)[0] - 1]
    found = measure(NVML, shown)
    assert found["energy"].value == pytest.approx(2000)
    assert found["power_peak"].value == pytest.approx(200)


def test_suspended_process_keeps_counter_but_widens_sensor():
    """The counter advanced at 300 W instead of 100; what a power sensor showed is not known."""
    seen = (TIMES < 3) | (TIMES > 5)
    joules = 100 * TIMES + 200 * np.clip(TIMES - 3, 0, 2)
    energy = measure(RAPL, joules[seen], times=TIMES[seen])["energy"]
    assert energy.value == pytest.approx(1400, rel=2e-3)
    energy = measure(TURING, 100.0, times=TIMES[seen])["energy"]
    assert energy.value == pytest.approx(1000)
    assert 200 < energy.uncertainty < 230


def test_unseen_end_of_window_widens_uncertainty():
    """The device may have taken nothing or twice the mean; the last tick seen is up to 100 ms
    before the last reading."""
    seen = TIMES < 7
    energy = measure(NVML, count_joules(100.0)[seen], times=TIMES[seen])["energy"]
    assert energy.value == pytest.approx(1000)
    assert 300 < energy.uncertainty < 320


def test_jitter_of_readings_does_not_raise_peak():
    """The times of ticks are known to 50 ms, so two may seem to be 60 ms apart."""
    times = TIMES + 0.02 * np.sin(np.arange(len(TIMES)))
    found = measure(NVML, count_joules(200.0, times), times=times)
    assert found["power_peak"].value == pytest.approx(200, rel=0.05)


def test_gain_adds_linearly_to_uncertainty():
    plain = measure(RAPL, 100 * TIMES)["energy"]
    vague = measure(replace(RAPL, gain=0.05), 100 * TIMES)["energy"]
    assert vague.uncertainty == pytest.approx(plain.uncertainty + 50)


# Power sensors


@pytest.mark.parametrize("source", [TURING, A100, ADA, sensor("nvml", 0.02, 0.01)])
def test_steady_sensor_gives_energy_power_and_peak(source):
    energy, power, peak = measure(source, 250.0).values()
    assert (energy.value, power.value, peak.value) == pytest.approx((2500, 250, 250))
    assert (energy.method, energy.grade, peak.unit) == ("integrated", "B", "W")
    assert energy.uncertainty <= 0.02 * energy.value


def test_lag_does_not_shift_a_ramp():
    """The mean of the second before t is the power at t − 0.5 s."""
    steps = np.floor(TIMES / 0.1 + 1e-6) * 0.1
    assert measure(ADA, 100 + 10 * (steps - 0.5))["energy"].value == pytest.approx(1500, rel=0.003)


def test_sensor_excludes_time_outside_the_window():
    """Idle at 50 W, then 300 W, on a sensor with a long averaging time."""
    joules = 300 * np.clip(TIMES, 0, 10) + 50 * (TIMES - np.clip(TIMES, 0, 10))
    shown = joules[20:] - joules[:-20]
    assert measure(ADA, shown, times=TIMES[20:])["energy"].value == pytest.approx(3000)


def test_window_shorter_than_averaging_time_is_refused():
    assert reason(ADA, 100.0, window_s=1.1) == "each reading is the mean of 1 s: measure longer"
    assert measure(ADA, 100.0, window_s=2)["energy"].grade == "C"


def test_sensor_that_shows_zero_is_refused():
    assert reason(TURING, 0.0) == "the sensor shows 0 W"
    assert measure(TURING, 100.0 * (TIMES > 5))["energy"].value == pytest.approx(500, rel=0.05)


def test_model_is_graded_as_estimate():
    energy = measure(MODEL, 100.0)["energy"]
    assert (energy.method, energy.grade) == ("estimated", "C")
    assert 300 < energy.uncertainty < 310


def test_sensor_in_phase_with_load_has_wide_uncertainty():
    """It always sees the same quarter of a step of 100 ms, but all of a step of 37 ms."""
    blind, sighted = (measure(A100, 100.0, step_s=step_s)["energy"] for step_s in (0.1, 0.037))
    assert blind.uncertainty == pytest.approx(0.75 * 4 * 1000, rel=0.02)
    assert sighted.uncertainty < 0.02 * 1000
    assert measure(TURING, 100.0, step_s=0.1)["energy"].uncertainty < 0.02 * 1000


def test_one_and_a_half_beats_are_biased():
    """Each phase of the step is seen, but half of them twice: that is a bias. With 2.5 beats it is
    no more than a sampling error."""
    assert 40 < measure(A100, 100.0, step_s=0.0985)["energy"].uncertainty < 50
    assert measure(A100, 100.0, step_s=0.0975)["energy"].uncertainty < 7


def test_step_nearly_in_phase_counts_as_in_phase():
    assert measure(A100, 100.0, step_s=0.1003)["energy"].uncertainty == pytest.approx(
        3000, rel=0.06
    )


@given(st.integers(1, 50), st.floats(0.05, 0.95), st.floats(0, 5))
@settings(max_examples=50, deadline=None)
def test_visits_have_a_mean_of_one(n, length, every):
    assert visits(np.arange(n) * every, length).mean() == pytest.approx(1, abs=1 / (100 * length))


# Sources and scopes


def test_each_scope_uses_its_first_source_with_an_answer():
    values = {NVML: np.full(len(TIMES), 5.0), TURING: np.full(len(TIMES), 70.0), RAPL: 40 * TIMES}
    trace = make_trace({source: (TIMES, series) for source, series in values.items()})
    found = readings_of(trace, [NVML, TURING, RAPL], BEGIN_NS, end(10), {})
    assert [reading.scope for reading in found] == ["gpu:0"] * 3 + ["package:0"] * 3
    assert [reading.quantity for reading in found] == ["energy", "power", "power_peak"] * 2
    assert [found[0].value, found[3].value] == pytest.approx([700, 400])
    assert [found[0].method, found[3].method] == ["integrated", "counter"]


def test_residual_of_counter_and_sensor():
    trace = make_trace(
        {NVML: (TIMES, count_joules(100.0)), TURING: (TIMES, np.full(len(TIMES), 90.0))}
    )
    energy, _, _, residual = readings_of(trace, [NVML, TURING], BEGIN_NS, end(10), {})
    assert energy.value == pytest.approx(1000)
    assert (residual.quantity, residual.unit) == ("energy_residual", "J")
    assert residual.method == "integrated"
    assert residual.value == pytest.approx(100)
    assert residual.uncertainty > energy.uncertainty


def test_scope_without_answer_has_reason_of_first_source():
    trace = make_trace({TURING: (TIMES[:21], np.full(21, 70.0))})
    failures = {NVML.signal: "no permission: run as root"}
    (unknown,) = readings_of(trace, [NVML, TURING], BEGIN_NS, end(10), failures)
    assert (unknown.quantity, unknown.value, unknown.meter) == ("energy", None, "nvml")
    assert unknown.reason == "no permission: run as root"
    found = readings_of(trace, [TURING, NVML], BEGIN_NS, end(10), failures)
    assert found[0].reason == "fewer than two readings in this window: measure longer"


def test_scope_without_source_has_reason_of_its_failure():
    power = replace(NVML.signal, quantity="power", unit="W")
    failures = {
        NVML.signal: "busy",
        replace(NVML.signal, scope="gpu:1"): "energy is lost",
        replace(power, scope="gpu:1"): "power is lost",
    }
    trace = make_trace({NVML: (TIMES, count_joules(100.0))})
    found = readings_of(trace, [NVML], BEGIN_NS, end(10), failures)
    known = [reading.quantity for reading in found if reading.scope == NVML.signal.scope]
    assert known == ["energy", "power", "power_peak"]
    (unknown,) = [reading for reading in found if reading.scope == "gpu:1"]
    assert (unknown.quantity, unknown.value, unknown.reason) == ("energy", None, "energy is lost")


def test_past_failure_does_not_spoil_an_answer():
    energy = measure(NVML, count_joules(100.0), failures={NVML.signal: "busy"})["energy"]
    assert energy.value == pytest.approx(1000)


@pytest.mark.parametrize("source", [NVML, RAPL, TURING])
def test_missing_readings_give_none_and_not_zero(source):
    """No readings, one, only NaN, many at the same time; a window of length 0."""
    assert "fewer than two" in reason(source, np.zeros(0), times=np.zeros(0))
    assert "fewer than two" in reason(source, np.zeros(1), times=np.ones(1))
    assert "fewer than two" in reason(source, np.full(len(TIMES), np.nan))
    assert "fewer than two" in reason(source, 5.0, times=np.ones(7))
    assert "fewer than two" in reason(source, 5.0, window_s=0)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(-1e3, 1e3, allow_subnormal=False)), max_size=40),
    st.sampled_from([*(model.source for model in MODELS.values()), MODEL]),
    st.sampled_from([None, 0.01, 0.1, 0.3]),
)
@settings(max_examples=300, deadline=None)
def test_any_readings_give_an_answer_or_a_reason(readings, source, step_s):
    # to a millionth of a second, joule or watt
    gaps, values = np.array(readings).reshape(-1, 2).T.round(6)
    for energy in measure(source, values, times=gaps.cumsum(), window_s=3, step_s=step_s).values():
        assert (energy.value is None) == bool(energy.reason)
        assert energy.value is None or np.isfinite([energy.value, energy.uncertainty]).all()


def test_no_sources_give_no_readings():
    assert readings_of(Trace(), [], BEGIN_NS, end(1), {}) == []


def test_idle_power_of_each_scope():
    trace = make_trace({RAPL: (TIMES, 12 * TIMES)})
    dram = Counter(Signal("rapl", "dram:0", "energy", "J"))
    idle, unknown = idle_power(trace, [RAPL, dram], BEGIN_NS, end(5))
    assert (idle.quantity, idle.unit, idle.grade) == ("idle_power", "W", "B")
    assert idle.value == pytest.approx(12)
    assert (unknown.scope, unknown.quantity, unknown.unit) == ("dram:0", "idle_power", "W")
    assert unknown.value is None
    assert unknown.reason


# Parts of a step


def intervals(first: float, length: float, every: float, n: int) -> np.ndarray:
    begins = first + every * np.arange(n)
    return BEGIN_NS + np.round(np.stack([begins, begins + length], axis=1) * 1e9).astype(np.int64)


def test_resolved_parts_of_a_step_have_energy():
    """Half a second at 300 W and half a second at 100 W, ten times."""
    in_second = TIMES % 1
    joules = 200 * np.floor(TIMES)
    joules += 300 * np.minimum(in_second, 0.5) + 100 * np.maximum(in_second - 0.5, 0)
    trace = make_trace({RAPL: (TIMES, joules)})
    spans = {"forward": intervals(0, 0.5, 1, 10), "backward": intervals(0.5, 0.5, 1, 10)}
    forward, backward = span_readings(trace, [RAPL], spans)
    assert (forward.span, backward.span, forward.method) == ("forward", "backward", "counter")
    assert (forward.value, backward.value) == pytest.approx((1500, 500))
    assert (forward.window_s, forward.grade, forward.quantity) == (5, "B", "energy")


def test_random_error_averages_out_over_parts():
    """The time of a tick is known to 25 ms, independently in each interval: 4 J at 100 W."""
    trace = make_trace({NVML: (TIMES, count_joules(100.0))})
    one, ten = (span_readings(trace, [NVML], {"a": intervals(0, 0.8, 1, n)})[0] for n in (1, 10))
    assert ten.value == pytest.approx(10 * one.value)
    assert 3 * one.uncertainty < ten.uncertainty < 9.5 * one.uncertainty


def test_unresolved_parts_of_a_step_are_left_out():
    trace = make_trace(
        {NVML: (TIMES, count_joules(100.0)), ADA: (TIMES, np.full(len(TIMES), 100.0))}
    )
    spans = {"short": intervals(0, 0.3, 1, 10), "none": intervals(0, 1, 1, 0)}
    assert span_readings(trace, [NVML, ADA], spans) == []
    (long,) = span_readings(trace, [ADA, NVML], {"long": intervals(0, 0.8, 1, 10)})
    assert (long.method, long.value) == ("counter", pytest.approx(800))


def test_part_with_missing_interval_has_reason():
    trace = make_trace({TURING: (TIMES, np.full(len(TIMES), 1.0))})
    (part,) = span_readings(trace, [TURING], {"a": intervals(8, 1, 1, 9)})
    assert (part.value, part.span, part.window_s) == (None, "a", 9)
    assert part.reason.startswith("in one of 9 intervals: ")


# Simulated sensors: see tests/bench/energy_sensors.py for the full study

LOADS = 150


@pytest.fixture(scope="module")
def study():
    rows = energy_sensors.study(LOADS, seed=7)
    return {key: energy_sensors.summary(value) for key, value in rows.items()}


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("label", list(SHAPES))
def test_truth_lies_within_uncertainty(study, label, name):
    """Coverage of at least 95 %, less three standard deviations of so many trials; a median error
    of 2 % from 5 s on."""
    found = study[label, name]
    assert found["coverage"] >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / LOADS)
    assert found["error"] <= (0.02 if MODELS[name].gain == 1 else 0.05)
    assert found["blank"] <= (0.15 if "1000" in name else 0)


@pytest.mark.parametrize("name", list(MODELS))
def test_steady_load_has_small_uncertainty(study, name):
    share = MODELS[name].source.gain or 0
    assert study["constant", name]["uncertainty"] <= 0.02 + 1.05 * share
