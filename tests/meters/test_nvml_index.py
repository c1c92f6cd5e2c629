"""The index of a GPU in the driver's list, with a module that replaces pynvml."""

import sys
from types import ModuleType

import pytest

from hwbench.meters.nvml.library import NOT_FOUND, NOT_LOADED, NOT_SUPPORTED, find_index


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


def test_index_is_place_in_drivers_list(driver):
    assert find_index("1234") == 3


def test_index_of_slice_is_that_of_its_card(driver):
    assert find_index("9999") == 3


def test_unknown_gpu_has_no_index(driver):
    assert find_index("5678") is None


def test_failing_call_gives_no_index(driver):
    def fails(handle):
        raise NVMLError(NOT_SUPPORTED)

    driver.nvmlDeviceGetIndex = fails
    assert find_index("1234") is None
    del driver.nvmlDeviceGetIndex
    assert find_index("1234") is None


def test_missing_driver_gives_no_index(driver, monkeypatch):
    def fails():
        raise NVMLError(NOT_LOADED)

    driver.nvmlInit = fails
    assert find_index("1234") is None
    monkeypatch.setitem(sys.modules, "pynvml", None)  # not installed
    assert find_index("1234") is None
