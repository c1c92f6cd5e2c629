"""An error that a case raised, in the one line that its row says."""

import pytest

from hwbench.recording.failures import in_a_line

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
def test_error_becomes_type_and_first_telling_line(error, line):
    assert in_a_line(error) == line
