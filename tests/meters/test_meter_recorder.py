"""The thread that reads the meters: the stamps of readings, and meters that fail or hang."""

import sys
import threading
import time
from functools import partial

import pytest
from nvml_driver import Driver

from hwbench.meters import Counter, Signal, block, command
from hwbench.meters.energy import readings_of
from hwbench.meters.fake import FakeMeter
from hwbench.meters.nvml.library import NoAnswer
from hwbench.meters.nvml.meter import NvmlMeter
from hwbench.meters.nvml.queries import _number
from hwbench.meters.recorder import Recorder

MS = 1_000_000
ENERGY, POWER = Signal("fake", "gpu:0", "energy", "J"), Signal("fake", "gpu:0", "power", "W")


class Clock:
    """A clock that advances only while a question is answered."""

    def __init__(self):
        self.ns = 0

    def now_ns(self):
        return self.ns

    def after(self, milliseconds, value):
        """A question that takes so many milliseconds, as on a busy interpreter."""

        def show(now_s):
            self.ns += milliseconds * MS
            return value

        return show


def stamps(recorder):
    trace = recorder.trace
    return {signal.quantity: list(trace.series(signal)[0]) for signal in trace.signals}


class TestStamps:
    def test_each_question_has_its_own_stamp(self):
        clock = Clock()
        signals = {ENERGY: clock.after(2, 5.0), POWER: clock.after(40, 100.0)}
        recorder = Recorder([FakeMeter(clock.now_ns, signals, [Counter(ENERGY)])], clock.now_ns)
        recorder.read_once()
        recorder.read_once()
        assert stamps(recorder) == {"energy": [1 * MS, 43 * MS], "power": [22 * MS, 64 * MS]}

    def test_failing_question_does_not_shift_next_stamp(self):
        clock = Clock()
        signals = {ENERGY: clock.after(10, None), POWER: clock.after(4, 100.0)}
        recorder = Recorder([FakeMeter(clock.now_ns, signals)], clock.now_ns)
        recorder.read_once()
        assert stamps(recorder) == {"power": [12 * MS]}

    def test_nvidia_gpu_is_asked_for_energy_first(self):
        clock, driver = Clock(), Driver()
        meter = NvmlMeter(driver, None, clock=lambda: 0.0)
        driver.on_call = lambda: setattr(clock, "ns", clock.ns + 20 * MS)
        driver.asked.clear()
        recorder = Recorder([meter], clock.now_ns)
        recorder.read_once()
        assert driver.asked == ["energy", "temperature"]
        assert stamps(recorder) == {"energy": [10 * MS], "temperature": [30 * MS]}


def record(recorder, meters, seconds):
    """The readings of a window of so many seconds."""
    began = time.monotonic_ns()
    with recorder:
        time.sleep(seconds)
    failures = {signal: why for meter in meters for signal, why in meter.failures.items()}
    sources = [source for meter in meters for source in meter.energy]
    return readings_of(recorder.trace, sources, began, time.monotonic_ns(), failures)


def steady(scope="package:0", watts=100.0, on_read=lambda: None):
    """A working meter: a counter of so many watts."""
    signal = Signal("fake", scope, "energy", "J")

    def show(now_s):
        on_read()
        return watts * now_s

    return FakeMeter(time.monotonic_ns, {signal: show}, [Counter(signal, limit_w=1e6)])


class TestTrouble:
    def test_raising_meter_is_named_and_leaves_the_others(self):
        calls = []

        def fails():
            calls.append(1)
            if len(calls) > 1:
                raise IndexError("tuple index out of range")

        meters = [steady("gpu:0", on_read=fails), steady()]
        readings = record(Recorder(meters, time.monotonic_ns, 0.01), meters, 0.3)
        found = {reading.scope: reading for reading in readings if reading.quantity == "energy"}
        failed = found["gpu:0"]
        assert failed.value is None
        assert failed.reason == "the meter fake failed: IndexError: tuple index out of range"
        assert found["package:0"].value == pytest.approx(30, rel=0.3)
        assert len(calls) == 2

    def test_hanging_meter_keeps_work_and_earlier_readings(self):
        """A driver's call may hang when its GPU is lost."""
        release, now = threading.Event(), []
        hanging, well = steady("gpu:0", on_read=lambda: now and release.wait(30)), steady()
        recorder = Recorder([well, hanging], time.monotonic_ns, 0.01, patience_s=0.1)
        began = time.monotonic()
        with recorder:
            time.sleep(0.2)
            now.append(True)
        assert time.monotonic() - began < 5
        assert recorder.answering == [well]
        why = "the meter fake did not answer for 0.1 s, and no other was read meanwhile"
        assert list(hanging.failures.values()) == list(well.failures.values()) == [why]
        size = len(recorder.trace.as_telemetry().time_ns)
        assert size > 4
        release.set()
        recorder._thread.join(10)
        assert len(recorder.trace.as_telemetry().time_ns) == size

    def test_meter_that_hangs_from_start_lets_work_begin(self):
        release = threading.Event()
        hanging = steady(on_read=lambda: release.wait(30))
        recorder = Recorder([hanging], time.monotonic_ns, 0.01, patience_s=0.1)
        (found,) = record(recorder, [hanging], 0.1)
        assert found.value is None
        assert "did not answer" in found.reason
        release.set()

    def test_meters_are_read_at_begin_and_end(self):
        meter = steady()
        with Recorder([meter], time.monotonic_ns, interval_s=60) as recorder:
            assert len(recorder.trace.as_telemetry().time_ns) == 1
        assert len(recorder.trace.as_telemetry().time_ns) == 2

    def test_unknown_kind_of_number_is_no_reading(self):
        with pytest.raises(NoAnswer, match="unknown kind of number"):
            _number(7, object())


def test_wait_for_hanging_meter_is_not_in_command_time(monkeypatch):
    release, calls = threading.Event(), []
    hanging = steady(on_read=lambda: calls.append(1) or (len(calls) > 1 and release.wait(30)))
    monkeypatch.setattr(command, "open_meters", lambda gpus, tdp_w: [hanging])
    patient = partial(Recorder, interval_s=0.01, patience_s=2.0)
    monkeypatch.setattr(block, "Recorder", patient)
    metered = command.run_metered([sys.executable, "-c", "pass"])
    release.set()
    assert metered.exit_status == 0
    assert metered.elapsed_s < 1.8
