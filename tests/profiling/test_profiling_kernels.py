"""A GPU's part of a trace, made by hand: two operators, three kernels, a copy."""

import pytest

from hwbench.profiling.attribution import Steps, find_calls
from hwbench.profiling.events import STEP, Event
from hwbench.profiling.kernels import Kernels
from hwbench.profiling.tables import tabulate_operators

US = 1_000


def host(start, end, name, correlation, activity="cpu_op"):
    return Event(name, start * US, end * US, activity=activity, correlation=correlation)


def device(start, end, name, correlation, linked, activity="kernel"):
    numbers = {"correlation": correlation, "linked": linked, "stream": 7}
    return Event(name, start * US, end * US, activity=activity, **numbers)


EVENTS = [
    Event(STEP, 0, 200 * US, activity="user_annotation"),
    host(5, 20, "aten::mm", 1),
    host(8, 18, "cudaLaunchKernel", 101, "cuda_runtime"),
    host(25, 60, "aten::sum", 2),
    host(26, 30, "cudaLaunchKernel", 102, "cuda_runtime"),
    host(31, 35, "aten::fill_", 3),
    host(32, 34, "cudaLaunchKernel", 103, "cuda_runtime"),
    host(100, 120, "aten::_local_scalar_dense", 4),
    host(101, 110, "cudaMemcpyAsync", 104, "cuda_runtime"),
    device(20, 50, "sgemm", 101, 1),
    device(53, 60, "reduce", 102, 2),
    device(60, 70, "fill", 103, 3),
    device(112, 115, "Memcpy DtoH (Device -> Pageable)", 104, 4, "gpu_memcpy"),
]


@pytest.fixture
def steps():
    return Steps(EVENTS)


@pytest.fixture
def kernels(steps):
    return Kernels(EVENTS, steps)


@pytest.fixture
def called(steps):
    return find_calls([event for event in EVENTS if not event.on_device], steps)


def test_operator_has_kernels_of_what_it_called(kernels, called):
    assert [(c.node.event.name, round(kernels.seconds_of(c) * 1e6, 6)) for c in called] == [
        ("aten::mm", 30), ("aten::sum", 17), ("aten::_local_scalar_dense", 3),
    ]  # fmt: skip


def test_kernel_rows_sum_to_operator_rows(kernels, called):
    found = tabulate_operators(called, 1, lambda event: (None, None), kernels.seconds_of)
    whole = sum(found.seconds)
    kernels.add_rows(called, found, 1)
    names = [name for name, level in zip(found.name, found.level, strict=True) if level == "kernel"]
    assert sorted(names) == ["Memcpy DtoH (Device -> Pageable)", "fill", "reduce", "sgemm"]
    assert sum(found.seconds) == pytest.approx(2 * whole)


def test_busy_launch_and_copy_times(kernels):
    assert kernels.busy_s() == pytest.approx(50e-6)
    assert kernels.launch_s() == pytest.approx((10 + 4 + 2 + 9) * 1e-6)
    assert kernels.copy_s() == pytest.approx(3e-6)


def test_graph_of_kernels_is_launched_once(steps):
    graph = [device(20 + i, 21 + i, f"k{i}", 101, 1) for i in range(20)]
    events = [event for event in EVENTS if not event.on_device]
    assert Kernels([*events, *graph], steps).launch_s() == pytest.approx(10e-6)


def test_cause_of_gap_depends_on_next_launch(kernels):
    gaps = kernels.gaps()
    assert list(zip(gaps.cause, gaps.after, gaps.before, strict=True)) == [
        ("kernel_wait", "sgemm", "reduce"),
        ("host_late", "fill", "Memcpy DtoH (Device -> Pageable)"),
    ]
    assert gaps.gap_s == pytest.approx([3e-6, 42e-6])
    assert gaps.start_s == pytest.approx([50e-6, 70e-6])


def test_gap_without_launch_has_unknown_cause(steps):
    events = [event for event in EVENTS if event.name != "cudaMemcpyAsync"]
    assert Kernels(events, Steps(events)).gaps().cause == ["kernel_wait", "other"]


def test_concurrent_kernels_count_once_as_busy(steps):
    beside = Event(
        "other", 25 * US, 55 * US, activity="kernel", correlation=101, linked=1, stream=8
    )
    assert Kernels([*EVENTS, beside], steps).busy_s() == pytest.approx(53e-6)
