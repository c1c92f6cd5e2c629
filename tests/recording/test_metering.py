"""The meters beside a measured process, on a device whose time and power are numbers."""

import pytest
from runs import fake_step

from hwbench.devices.fake import ENERGY, FakeDevice
from hwbench.meters import Counter, PowerSensor, Signal
from hwbench.meters.fake import FakeMeter
from hwbench.meters.recorder import Trace
from hwbench.meters.throttling import conditions
from hwbench.recording.harness import measure
from hwbench.recording.metering import GRADE_B_S, Metering
from hwbench.recording.stopping import FixedWindow

BEGIN, END = 0, 10_000_000_000


def metered(device, steps=100, forward_s=0.1, backward_s=0.2, rest=False):
    """The window of so many steps, and the metering after it. The fake clock stands still while the
    thread waits, so the meters are read by hand after every step."""
    with Metering(device, None) as metering:
        step = fake_step(device, forward_s, backward_s)

        def read_after(mark):
            found = step(mark)
            device.synchronize()
            metering._recorder.read_once()
            return found

        window, _ = measure(read_after, device, FixedWindow(0, 1e9, 2), FixedWindow(0, 1e9, steps))
        if rest:
            device.rest = lambda seconds: [
                (device.compute(0.1), metering._recorder.read_once())
                for _ in range(round(10 * seconds))
            ]
            metering.rest()
    return window, metering


class TestMetering:
    def test_the_energy_of_the_window_is_exact(self):
        window, metering = metered(FakeDevice("host", power_w=100))
        found = {
            reading.quantity: reading for reading in metering.readings(window) if not reading.span
        }
        assert window.window_s == pytest.approx(30)
        assert found["energy"].value == pytest.approx(3000)
        assert found["power"].value == pytest.approx(100)
        assert (found["energy"].method, found["energy"].grade, found["energy"].scope) == (
            "counter",
            "A",
            "package:0",
        )

    def test_idle_power_covers_the_rest_only(self):
        window, metering = metered(FakeDevice("host", power_w=100), rest=True)
        (idle,) = [
            reading for reading in metering.readings(window) if reading.quantity == "idle_power"
        ]
        assert idle.value == pytest.approx(100)
        assert idle.window_s == pytest.approx(5)

    def test_a_device_without_meters_has_no_readings_and_no_rest(self):
        device = FakeDevice("host")
        window, metering = metered(device, rest=True)
        assert metering.readings(window) == []
        assert metering.trace.as_telemetry().time_ns == []
        assert metering.window_s == 0
        assert device.host_ns == pytest.approx(1e9 * 103 * 0.3)

    def test_estimate_does_not_prolong_the_window(self, monkeypatch):
        device = FakeDevice(power_w=100)
        assert Metering(device, None).window_s == GRADE_B_S
        power = Signal("fake", "package:0", "power", "W")
        guess = FakeMeter(
            device.now_ns, {power: lambda s: 50.0}, [PowerSensor(power, 0.5, 0.5, error=0.5)]
        )
        monkeypatch.setattr(device, "meters", lambda tdp_w: [guess])
        assert Metering(device, None).window_s == 0

    def test_long_spans_have_their_own_energy(self):
        window, metering = metered(
            FakeDevice("host", power_w=100), steps=20, forward_s=2.0, backward_s=4.0
        )
        spans = {
            reading.span: reading.value for reading in metering.readings(window) if reading.span
        }
        assert spans == {} or spans["backward"] == pytest.approx(2 * spans["forward"], rel=0.1)

    def test_a_meter_that_fails_says_why(self, monkeypatch):
        device = FakeDevice("host")
        silent = FakeMeter(device.now_ns, {ENERGY: lambda s: None}, [Counter(ENERGY)])
        monkeypatch.setattr(device, "meters", lambda tdp_w: [silent])
        window, metering = metered(device)
        (reading,) = metering.readings(window)
        assert (reading.value, reading.grade) == (None, None)
        assert reading.reason == "the fake meter shows nothing"


def trace_of(quantity, values, scope="gpu:0"):
    trace = Trace()
    for number, value in enumerate(values):
        trace.add(
            BEGIN + number * (END - BEGIN) // (len(values) - 1),
            Signal("nvml", scope, quantity, "1"),
            value,
        )
    return trace


class TestConditions:
    @pytest.mark.parametrize(
        ("quantity", "values", "note"),
        [
            (
                "throttled",
                [0, 0, 0, 1],
                "throttled: gpu:0 slowed for heat or by an alarm in 25% of the window",
            ),
            (
                "power_capped",
                [1, 1],
                "power_capped: gpu:0 at its power limit in 100% of the window",
            ),
            (
                "other_processes",
                [0, 2, 0],
                "gpu_shared: 2 other processes on gpu:0 during the window",
            ),
            (
                "sm_clock",
                [2e9] * 4 + [1.8e9] * 4,
                "clock_drift: gpu:0's clock changed by -10% from the first",
            ),
        ],
    )
    def test_condition_becomes_a_note(self, quantity, values, note):
        (found,) = conditions(trace_of(quantity, values), BEGIN, END)
        assert found.startswith(note)

    @pytest.mark.parametrize(
        ("quantity", "values"),
        [
            ("throttled", [0] * 99 + [1]),
            ("sm_clock", [2e9, 1e9]),
            ("sm_clock", [2e9] * 8),
            ("other_processes", [0, 0]),
        ],
    )
    def test_normal_conditions_give_no_note(self, quantity, values):
        assert conditions(trace_of(quantity, values), BEGIN, END) == []

    def test_gpu_sharing_between_two_readings_is_noted(self):
        trace = trace_of("other_processes", [0, 2, 0])
        (found,) = conditions(trace, END // 2 + 1, END // 2 + 2)
        assert found.startswith("gpu_shared: 2 other processes")
        assert conditions(trace, BEGIN + 1, BEGIN + 2) == []
        assert conditions(trace, BEGIN - 2, BEGIN - 1) == []

    def test_only_the_window_counts(self):
        trace = trace_of("throttled", [1, 0, 0, 0, 1])
        assert conditions(trace, BEGIN + 1, END - 1) == []
        assert conditions(trace, END + 1, END + 2) == []
