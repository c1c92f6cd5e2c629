"""How the driver numbers a GPU, from a module that stands in for pynvml."""

import sys
from types import ModuleType

import pytest

from hwbench.devices.nvml import DriverView


class NVMLError(Exception):
    pass


@pytest.fixture
def driver(monkeypatch):
    """A driver of one GPU, the fourth of its list."""
    nvml = ModuleType("pynvml")
    nvml.NVMLError, nvml.nvmlInit = NVMLError, lambda: None

    def handle(uuid):
        if uuid != "GPU-1234":
            raise NVMLError("not found")
        return "handle"

    nvml.nvmlDeviceGetHandleByUUID, nvml.nvmlDeviceGetIndex = handle, {"handle": 3}.get
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    return nvml


def test_the_drivers_number(driver):
    assert DriverView("1234").index == 3


def test_a_gpu_that_it_does_not_know_has_none(driver):
    assert DriverView("5678").index is None


def test_without_an_answer_there_is_none(driver):
    def fails(handle):
        raise NVMLError("not supported")

    driver.nvmlDeviceGetIndex = fails
    assert DriverView("1234").index is None
    del driver.nvmlDeviceGetIndex
    assert DriverView("1234").index is None


def test_without_a_driver_there_is_none(driver, monkeypatch):
    def fails():
        raise NVMLError("no driver")

    driver.nvmlInit = fails
    assert DriverView("1234").index is None
    monkeypatch.setitem(sys.modules, "pynvml", None)  # not installed
    assert DriverView("1234").index is None
