"""The estimate of power from processor use, and its table of models."""

from collections import namedtuple

import pytest

from hwbench.datasheets import tdp
from hwbench.meters import estimate, read_all
from hwbench.meters.machine import Place, Processors, processors

EPYC = "AMD EPYC 7742 64-Core Processor"


class Clock:
    def __init__(self):
        self.now_s, self.busy_s = 100.0, 40.0

    def run(self, seconds, busy):
        self.now_s += seconds
        self.busy_s += seconds * busy

    def meter(self, watts):
        return estimate.EstimateMeter(watts, lambda: self.busy_s, lambda: self.now_s)


def test_power_is_watts_per_thread_times_busy_threads():
    clock = Clock()
    meter = clock.meter(2.5)
    clock.run(seconds=2, busy=3)
    assert read_all(meter) == {estimate.SIGNAL: 7.5}
    clock.run(seconds=0.5, busy=1)
    assert read_all(meter) == {estimate.SIGNAL: 2.5}


def test_source_is_an_estimate():
    (source,) = Clock().meter(1).energy
    assert source.is_estimate
    assert source.error == 0.5
    assert (source.signal.scope, source.signal.unit) == ("package:0", "W")
    assert source.averaging_s == source.update_s == estimate.UPDATE_S


def test_readings_are_at_least_update_apart():
    clock = Clock()
    meter = clock.meter(1)
    clock.run(seconds=0.25, busy=4)
    assert read_all(meter) == {}
    clock.run(seconds=0.25, busy=2)
    assert read_all(meter) == {estimate.SIGNAL: 3}


@pytest.mark.parametrize("busy", [0, -1])
def test_idle_power_is_unknown_and_not_zero(busy):
    clock = Clock()
    meter = clock.meter(1)
    clock.run(seconds=1, busy=busy)
    assert read_all(meter) == {}
    clock.run(seconds=1, busy=1)
    assert read_all(meter) == {estimate.SIGNAL: 1}


def test_unreadable_use_is_named():
    clock, answers = Clock(), [40.0]

    def busy_s():
        if not answers:
            raise PermissionError(13, "Permission denied")
        return answers.pop()

    meter = estimate.EstimateMeter(1, busy_s, lambda: clock.now_s)
    clock.now_s += 1
    assert read_all(meter) == {}
    assert "Permission denied" in meter.failures[estimate.SIGNAL]
    meter.close()


@pytest.mark.parametrize(
    ("place", "watts"),
    [
        (Place(cpu=EPYC, cpus=128), 225 / 128),
        (Place(cpu=EPYC, cpus=256), 225 / 128),  # two sockets
        (Place(cpu=EPYC, cpus=4, virtual=True), 225 / 128),  # a slice of one
        (Place(cpu=EPYC, cpus=64, smt_off=True), 225 / 64),
        (Place(cpu="AMD EPYC", cpus=2, virtual=True), None),
        (Place(), None),
    ],
)
def test_watts_per_thread_are_those_of_the_model(place, watts):
    assert estimate.watts_per_cpu(None, place) == watts


def test_given_watts_are_those_of_all_visible_processors():
    assert estimate.watts_per_cpu(90, Place(cpu=EPYC, cpus=6)) == 15
    assert estimate.open_meter(90, Place(cpu="unheard of", cpus=6)) is not None


def test_unknown_processor_has_no_default():
    place = Place(cpu="AMD EPYC", cpus=2, virtual=True)
    assert estimate.open_meter(None, place) is None
    (source,) = estimate.sources(None, place)
    assert not source.works
    assert "'AMD EPYC'" in source.reason
    assert "--tdp W" in source.cure
    assert "what processor this is" in estimate.sources(None, Place())[0].reason


def test_known_processor_is_listed_with_its_error():
    (source,) = estimate.sources(None, Place(cpu=EPYC, cpus=128))
    assert source.works
    assert "±50%" in source.signals[0]


def test_container_that_hides_use_is_named(monkeypatch):
    def hidden():
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(estimate, "processors", hidden)
    assert estimate.open_meter(50, Place()) is None
    (source,) = estimate.sources(50, Place())
    assert "/proc/stat" in source.cure


@pytest.mark.parametrize(
    ("name", "model"),
    [
        (EPYC, "EPYC 7742"),
        ("AMD Ryzen 9 7950X 16-Core Processor", "Ryzen 9 7950X"),
        ("AMD Ryzen Threadripper PRO 5995WX 64-Cores", "Ryzen Threadripper PRO 5995WX"),
        ("Intel(R) Xeon(R) Platinum 8480+", "Xeon Platinum 8480+"),
        ("Intel(R) Xeon(R) Gold 6248R CPU @ 3.00GHz", "Xeon Gold 6248R"),
        ("Intel(R) Xeon(R) CPU E5-2690 v4 @ 2.60GHz", "Xeon E5-2690 v4"),
    ],
)
def test_model_is_found_by_its_own_name(name, model):
    assert tdp.model(name) == model
    assert tdp.find(name) == tdp.table()[model]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "AMD EPYC",
        "AMD EPYC 7742X 64-Core Processor",
        "Intel(R) Xeon(R) Platinum 8480C",
        "AMD EPYC-Rome Processor",
    ],
)
def test_similar_name_is_unknown(name):
    assert tdp.find(name) is None


def test_table_is_plausible():
    for model, entry in tdp.table().items():
        assert entry.source in ("AMD product specifications", "Intel ARK")
        assert 50 <= entry.watts <= 500
        assert entry.threads % 2 == 0
        assert 1 < entry.watts / entry.threads < 7
        assert tdp.model(model) == model


def test_use_counts_guest_time_once_and_excludes_stolen_time():
    linux = namedtuple("Linux", "user nice system idle iowait irq softirq steal guest guest_nice")
    assert processors(lambda: linux(10, 1, 5, 100, 7, 0.5, 0.5, 3, 4, 0)) == Processors(127, 17, 3)
    mac = namedtuple("Mac", "user nice system idle")
    assert processors(lambda: mac(10, 1, 5, 100)) == Processors(116, 16, 0)
