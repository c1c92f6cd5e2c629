"""The driver's answers, from a module that stands in for pynvml."""

import sys
from types import ModuleType

import pytest

from hwbench.devices.nvml import DriverView


class NVMLError(Exception):
    pass


@pytest.fixture
def driver(monkeypatch):
    """A driver of one GPU: a dictionary of its answers; what is not in it, it does not know."""
    answers = {
        "nvmlDeviceGetIndex": 3,
        "nvmlDeviceGetCurrentClocksEventReasons": 0,
        "nvmlDeviceGetComputeRunningProcesses": ["this one"],
    }
    nvml = ModuleType("pynvml")
    nvml.NVMLError, nvml.nvmlInit = NVMLError, lambda: None

    def handle(uuid):
        if uuid != "GPU-1234":
            raise NVMLError("not found")
        return "handle"

    nvml.nvmlDeviceGetHandleByUUID = handle

    def answer(name):
        def ask(given):
            assert given == "handle"
            if name not in answers:
                raise NVMLError("not supported")
            return answers[name]

        return ask

    for name in (*answers, "nvmlDeviceGetCurrentClocksThrottleReasons"):
        setattr(nvml, name, answer(name))
    answers["module"] = nvml
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    return answers


def test_a_gpu_that_is_well_says_nothing(driver):
    assert DriverView("1234").conditions() == []
    assert DriverView("1234").index == 3


@pytest.mark.parametrize(
    ("mask", "notes"),
    [
        (0x01 | 0x02 | 0x10 | 0x100, []),  # idle, a set clock, sync boost, display: nothing is held back
        (0x04, ["power_capped: at its power limit at the end of a window"]),
        (0x20, ["throttled: too hot, slowed by the driver at the end of a window"]),
        (
            0x04 | 0x08 | 0x40,
            [
                "power_capped: at its power limit at the end of a window",
                "throttled: slowed by the hardware, too hot, slowed by the hardware at the end of a window",
            ],
        ),
    ],
)
def test_slowed_clocks_are_told(driver, mask, notes):
    driver["nvmlDeviceGetCurrentClocksEventReasons"] = mask
    assert DriverView("1234").conditions() == notes


def test_an_older_driver_has_an_older_name(driver):
    del driver["nvmlDeviceGetCurrentClocksEventReasons"]
    driver["nvmlDeviceGetCurrentClocksThrottleReasons"] = 0x04
    assert DriverView("1234").conditions() == ["power_capped: at its power limit at the end of a window"]


def test_other_processes_are_told(driver):
    driver["nvmlDeviceGetComputeRunningProcesses"] = ["this one", "another"]
    assert DriverView("1234").conditions() == ["gpu_shared: 1 other process on it at the end of a window"]
    driver["nvmlDeviceGetComputeRunningProcesses"] = ["this one", "another", "a third"]
    assert DriverView("1234").conditions() == ["gpu_shared: 2 other processes on it at the end of a window"]
    driver["nvmlDeviceGetComputeRunningProcesses"] = []  # a container may hide even this one
    assert DriverView("1234").conditions() == []


def test_a_driver_without_answers_says_nothing(driver):
    module = driver.pop("module")
    driver.clear()
    del module.nvmlDeviceGetComputeRunningProcesses
    assert DriverView("1234").conditions() == []
    assert DriverView("1234").index is None


def test_a_gpu_that_it_does_not_know_says_nothing(driver):
    assert DriverView("5678").conditions() == []


def test_without_a_driver_nothing_is_said(driver, monkeypatch):
    def fails():
        raise NVMLError("no driver")

    driver["module"].nvmlInit = fails
    assert DriverView("1234").conditions() == []
    monkeypatch.setitem(sys.modules, "pynvml", None)  # not installed
    assert DriverView("1234").conditions() == []
