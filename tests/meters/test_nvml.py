"""How the driver numbers a GPU, from a module that stands in for pynvml."""

import sys
from types import ModuleType

import pytest

from hwbench.devices.nvml import DriverView
from hwbench.meters.nvml.library import NOT_FOUND, NOT_LOADED, NOT_SUPPORTED


class NVMLError(Exception):
    def __init__(self, value):
        super().__init__(value)
        self.value = value


@pytest.fixture
def driver(monkeypatch):
    """A driver of one GPU, the fourth of its list, with one MIG slice."""
    nvml = ModuleType("pynvml")
    nvml.NVMLError, nvml.nvmlInit, nvml.nvmlShutdown = NVMLError, lambda: None, lambda: None

    def handle(uuid):
        if uuid not in ("GPU-1234", "MIG-9999"):
            raise NVMLError(NOT_FOUND)
        return uuid

    nvml.nvmlDeviceGetHandleByUUID, nvml.nvmlDeviceGetIndex = handle, {"GPU-1234": 3}.get
    nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle = {"MIG-9999": "GPU-1234"}.get
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    return nvml


def test_the_drivers_number(driver):
    assert DriverView("1234").index == 3


def test_a_slice_has_the_number_of_its_card(driver):
    assert DriverView("9999").index == 3


def test_a_gpu_that_it_does_not_know_has_none(driver):
    assert DriverView("5678").index is None


def test_without_an_answer_there_is_none(driver):
    def fails(handle):
        raise NVMLError(NOT_SUPPORTED)

    driver.nvmlDeviceGetIndex = fails
    assert DriverView("1234").index is None
    del driver.nvmlDeviceGetIndex
    assert DriverView("1234").index is None


def test_without_a_driver_there_is_none(driver, monkeypatch):
    def fails():
        raise NVMLError(NOT_LOADED)

    driver.nvmlInit = fails
    assert DriverView("1234").index is None
    monkeypatch.setitem(sys.modules, "pynvml", None)  # not installed
    assert DriverView("1234").index is None
