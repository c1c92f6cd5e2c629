"""What a worker says of what went wrong in it."""

from dataclasses import replace

import pytest
from runs import measured

from hwbench.worker import _clock_notes, _in_a_line

CUDA = """CUDA error: an illegal memory access was encountered
CUDA kernel errors might be asynchronously reported at some other API call.
Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.
"""
DYNAMO = """backend='inductor' raised:
CppCompileError: C++ compile error

Set TORCHDYNAMO_VERBOSE=1 for the internal stack trace
"""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError(CUDA), "RuntimeError: CUDA error: an illegal memory access was encountered"),
        (RuntimeError(DYNAMO), "RuntimeError: CppCompileError: C++ compile error"),
        (ValueError(), "ValueError"),
        (
            RuntimeError("Error(s) in loading:\n  Unexpected key: x.\nmore"),
            "RuntimeError: Error(s) in loading: Unexpected key: x.",
        ),
        (KeyError("size"), "KeyError: 'size'"),
        (ValueError("half of a pair: \ud800"), "ValueError: half of a pair: \\ud800"),
    ],
)
def test_an_error_is_the_line_that_says_what_is_wrong(error, line):
    assert _in_a_line(error) == line


class TestClock:
    """A window of 300 ms, of 100 steps of 3 ms."""

    window = measured(0.003, steps=100).window

    def test_steps_that_add_up_to_the_window_need_no_note(self):
        assert _clock_notes(self.window) == []

    @pytest.mark.parametrize("window_s", [0.2, 0.4, 1.3])
    def test_steps_that_do_not_are_told(self, window_s):
        (note,) = _clock_notes(replace(self.window, window_s=window_s))
        assert (
            note
            == f"clock_jump: the steps add up to 0.3 s by the device's events, to {window_s:g} s by the host"
        )

    def test_a_host_that_wakes_up_late_is_no_jump(self):
        assert _clock_notes(replace(self.window, window_s=0.34)) == []

    def test_what_the_host_has_timed_is_its_own(self):
        assert _clock_notes(replace(self.window, window_s=1.3, timer_kind="host")) == []
