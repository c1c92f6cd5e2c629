"""Energy of a block of Python code."""

import time

import pytest

import hwbench
from hwbench.devices import fake
from hwbench.meters import Counter, Signal


class SteadyMeter:
    """Counts `watts` by the clock, as a GPU's counter does, for a scope."""

    name = "steady"

    def __init__(self, scope: str, watts: float, failure: str = "") -> None:
        signal = Signal(self.name, scope, "energy", "J")
        self.energy = [Counter(signal, tick_s=0.0, quantum=1e-6, gain=0.0)]
        self.failures = {signal: failure} if failure else {}
        self._watts = watts

    def read(self):
        if not self.failures:
            yield {self.energy[0].signal: self._watts * time.monotonic()}

    def close(self) -> None:
        pass


def with_meters(monkeypatch, *meters):
    """The fake device on the real clock, with these meters."""
    monkeypatch.setattr(fake.FakeDevice, "now_ns", lambda self: time.monotonic_ns())
    monkeypatch.setattr(fake.FakeDevice, "meters", lambda self, tdp_w: list(meters))


def test_energy_and_power_of_the_device_alone(monkeypatch):
    with_meters(monkeypatch, SteadyMeter("package:0", 50.0), SteadyMeter("package:1", 30.0),
                SteadyMeter("dram:0", 5.0))  # fmt: skip
    with hwbench.meter("fake") as meter:
        time.sleep(0.3)
    assert meter.energy_j == pytest.approx(80 * meter.duration_s, rel=0.01)
    assert meter.power_w == pytest.approx(80, rel=0.01)
    assert 0 <= meter.uncertainty < 0.3 * meter.energy_j  # a window this short
    assert meter.grade == "C"  # a window this short
    assert meter.reason == ""
    assert set(meter.readings.scope) == {"package:0", "package:1", "dram:0"}


def test_energy_is_unknown_with_the_reason_and_never_zero(monkeypatch):
    with_meters(monkeypatch, SteadyMeter("package:0", 50.0),
                SteadyMeter("package:1", 0.0, "only root may read it"))  # fmt: skip
    with hwbench.meter("fake") as meter:
        time.sleep(0.1)
    assert meter.energy_j is None
    assert meter.power_w is None
    assert meter.grade is None
    assert meter.reason == "only root may read it"
    assert "only root" in repr(meter)


def test_no_meter_at_all_is_said(monkeypatch):
    with_meters(monkeypatch)
    with hwbench.meter("fake") as meter:
        pass
    assert meter.energy_j is None
    assert "no meter of a package" in meter.reason


def test_an_error_in_the_block_passes_through_with_the_figures(monkeypatch):
    with_meters(monkeypatch, SteadyMeter("package:0", 50.0))
    meter = hwbench.meter("fake")

    def block():
        with meter:
            time.sleep(0.2)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        block()
    assert meter.energy_j == pytest.approx(50 * meter.duration_s, rel=0.01)


def test_an_unknown_device_is_refused():
    with pytest.raises(hwbench.UserError, match="unknown device 'gpu'"):
        hwbench.meter("gpu")


@pytest.mark.parametrize("tdp_w", [0, -5, "65", True])
def test_watts_that_make_no_sense_are_refused(tdp_w):
    with pytest.raises(hwbench.UserError, match="expected watts above 0"):
        hwbench.meter("fake", tdp_w=tdp_w)


def test_a_second_block_forgets_the_first(monkeypatch):
    with_meters(monkeypatch, SteadyMeter("package:0", 50.0))
    meter = hwbench.meter("fake")
    with meter:
        time.sleep(0.2)
    assert meter.energy_j is not None
    with meter:
        assert meter.energy_j is None
        assert "not ended" in meter.reason
