import pytest

from hwbench.devices.fake import FakeDevice
from hwbench.devices.footprint import (
    HEAP_BLOCK_BYTES,
    LIBRARY_BYTES,
    require_predicted,
    resident_bytes,
)
from hwbench.records import Unsupported


def test_most_of_smaller_group_adds_to_the_peak():
    kept, gradients = {1000: 3, HEAP_BLOCK_BYTES: 5}, {2000: 1, HEAP_BLOCK_BYTES - 1: 2}
    assert resident_bytes(10**6, kept, gradients) == 10**6 + LIBRARY_BYTES + 2550
    assert resident_bytes(10**6, gradients, {1: 20}) == 10**6 + LIBRARY_BYTES + 17
    assert resident_bytes(10**6, {}, {}) == 10**6 + LIBRARY_BYTES


def test_only_certain_misfit_is_refused():
    require_predicted(1100, 1000, "it")
    require_predicted(10**15, None, "it")
    with pytest.raises(
        Unsupported,
        match=r"^needs about 20.0 GiB \(predicted 21,474,836,480 bytes\), it has 2.0 GiB$",
    ):
        require_predicted(20 << 30, 2 << 30, "it")


def test_accelerator_counts_only_tensors():
    assert FakeDevice().footprint_bytes(123, {1: 1}, {1: 1}) == 123
