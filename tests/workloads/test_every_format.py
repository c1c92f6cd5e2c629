"""Every workload in every format: on any processor a step runs, or the case is Unsupported."""

import pytest

from hwbench.devices import open_device
from hwbench.discovery import discover
from hwbench.records import Unsupported
from hwbench.workload import AUTO, params_of

WORKLOADS = discover()
SMALL = {
    "size": "nano",
    "batch": 1,
    "seq": 16,
    "prompt": 8,
    "new": 2,
    "heads": 2,
    "m": 64,
    "n": 64,
    "k": 64,
    "mb": 1,
}
ELSEWHERE = ("gemm/best", "gpt/serve", "hf/train", "hf/prefill", "hf/decode")
"""They have the formats of gemm and gpt, and tests of their own."""

CASES = [
    (name, dtype)
    for name, workload in WORKLOADS.items()
    for dtype in workload.axes["dtype"].choices
    if name not in ELSEWHERE and dtype != AUTO
]

pytestmark = [pytest.mark.machine, pytest.mark.usefixtures("one_thread")]


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_step_runs_or_is_unsupported(name, dtype):
    workload = WORKLOADS[name]
    axes = {
        axis: SMALL.get(axis, declared.defaults[0])
        for axis, declared in workload.axes.items()
        if axis != "dtype"
    }
    try:
        built = workload.build(params_of(axes, dtype), open_device("cpu"))
    except Unsupported as answer:
        pytest.skip(str(answer))
    built.step(lambda mark: None)
    built.step(lambda mark: None)
