"""Traces made by hand: nested, crossing and missing events."""

import pytest

from hwbench.profiling.events import STEP, Event, Overlap, fault, shapes_of, trees


def step(start, end, **columns):
    return Event(STEP, start, end, activity="user_annotation", **columns)


def names(node):
    return [event.name for event in node.walk()]


def test_events_nest_by_time_within_a_thread():
    events = [
        Event("aten::b", 12_000, 15_000),
        Event("aten::a", 10_000, 20_000),
        Event("aten::c", 16_000, 20_000),
    ]
    roots = trees([*events, Event("aten::d", 11_000, 30_000, thread=2)])
    assert [names(root) for root in roots] == [["aten::a", "aten::b", "aten::c"], ["aten::d"]]


def test_consecutive_events_do_not_nest():
    roots = trees([Event("a", 0, 10), Event("b", 10, 20), Event("c", 20, 20)])
    assert [root.event.name for root in roots] == ["a", "b", "c"]


def test_crossing_events_are_an_overlap():
    with pytest.raises(Overlap, match="b began within a and ended after it"):
        trees([Event("a", 0, 10_000), Event("b", 5_000, 15_000)])


def test_events_may_cross_by_a_microsecond():
    roots = trees([Event("a", 0, 10_000), Event("b", 9_500, 11_000)])
    assert [root.event.name for root in roots] == ["a", "b"]


def operators(*starts):
    return [Event("aten::mm", start, start + 10) for start in starts]


def test_complete_trace_has_no_fault():
    assert fault([step(0, 100), step(100, 200), *operators(10, 50, 110, 150)], steps=2) == ""


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ([step(0, 100)], "1 of 2 steps are in the trace; events were lost"),
        (
            [step(0, 100), step(100, 200), *operators(10, 50, 110)],
            "aten::mm was recorded 2 and 1 times",
        ),
        (
            [step(0, 100_000), step(50_000, 200_000)],
            "events overlap: hwbench step began within hwbench step",
        ),
        (
            [step(0, 100), step(100, 200), Event("aten::mm", 50, 40)],
            "aten::mm ended before it began",
        ),
    ],
)
def test_lost_or_overlapping_events_are_a_fault(events, says):
    assert says in fault(events, steps=2)


def kernel(start, end, correlation, stream=7):
    return Event(
        "gemm_kernel", start, end, activity="kernel", correlation=correlation, stream=stream
    )


LAUNCH = Event("cudaLaunchKernel", 20, 30, activity="cuda_runtime", correlation=5)


def test_kernel_without_launch_is_a_fault():
    assert fault([step(0, 100), LAUNCH, kernel(40, 90, 5)], steps=1) == ""
    assert "the launch of gemm_kernel is not in the trace" in fault(
        [step(0, 100), LAUNCH, kernel(40, 90, 6)], steps=1
    )


def test_operator_is_not_a_launch():
    operator = Event("aten::mm", 15, 35, correlation=6)
    assert "the launch of" in fault([step(0, 100), operator, LAUNCH, kernel(40, 90, 6)], steps=1)


def test_kernels_of_one_stream_may_overlap():
    """CUDA's programmatic dependent launch begins the next one before the last has ended."""
    second = Event("cudaLaunchKernelExC", 31, 32, activity="cuda_runtime", correlation=6)
    events = [step(0, 100), LAUNCH, second, kernel(40, 9_000, 5), kernel(4_000, 9_500, 6)]
    assert fault(events, steps=1) == ""


def test_copy_without_launch_is_no_fault():
    copy = Event("Memset (Device)", 40, 50, activity="gpu_memset", correlation=9)
    assert fault([step(0, 100), LAUNCH, kernel(50, 90, 5), copy], steps=1) == ""


def test_driver_calls_may_differ_between_steps():
    query = Event("cudaEventQuery", 20, 21, activity="cuda_runtime")
    assert fault([step(0, 100), step(100, 200), query, *operators(10, 110)], steps=2) == ""


def test_shapes_flatten_lists_and_omit_numbers():
    assert shapes_of([[8, 64], [], [[3, 4], [5]], [[], []]]) == ((8, 64), (3, 4), (5,))


@pytest.mark.parametrize(
    ("event", "is_one"),
    [
        (Event("aten::mm", 0, 1), True),
        (Event("aten::linear", 0, 1, composite=True), False),
        (Event("autograd::engine::evaluate_function: MmBackward0", 0, 1), False),
        (Event("torch::autograd::AccumulateGrad", 0, 1), False),
        (Event("MmBackward0", 0, 1), False),
        (Event("aten::mm", 0, 1, activity="user_annotation"), False),
    ],
)
def test_is_operator(event, is_one):
    assert event.is_operator is is_one
