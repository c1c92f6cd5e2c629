"""torch.compile as the workloads use it: off, as it comes, in one of its modes; refused where it
means nothing."""

from types import SimpleNamespace

import pytest
import torch

from hwbench.devices import open_device
from hwbench.records import Unsupported, UserError
from workloads.tensors import COMPILE, compiled


def double(x):
    return 2 * x


@pytest.fixture
def options(monkeypatch):
    """What torch.compile would have been called with."""
    seen = {}
    monkeypatch.setattr(
        torch, "compile", lambda function, **options: seen.update(options, function=function)
    )
    return seen


def with_compiler(cuda_graphs=False):
    return SimpleNamespace(cuda_graphs=cuda_graphs, require_compiler=lambda: None)


def test_off_it_is_the_function_itself():
    assert compiled(double, SimpleNamespace(), False) is double  # and asks for no compiler


@pytest.mark.parametrize(("mode", "asked"), [(True, None), ("max-autotune", "max-autotune")])
@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_a_mode_is_torchs_own(mode, asked, cuda_graphs, options):
    compiled(double, with_compiler(cuda_graphs), mode)
    assert options == {"function": double, "dynamic": False, "mode": asked}


def test_cuda_graphs_are_a_cuda_devices(options):
    compiled(double, with_compiler(cuda_graphs=True), "reduce-overhead")
    assert options["mode"] == "reduce-overhead"


def test_where_there_are_no_cuda_graphs_their_mode_is_unsupported():
    with pytest.raises(
        Unsupported, match=r"^compile=reduce-overhead replays CUDA graphs, .* use compile=true$"
    ):
        compiled(double, with_compiler(), "reduce-overhead")


def test_without_a_compiler_every_mode_is_unsupported(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    for mode in (True, "max-autotune"):
        with pytest.raises(Unsupported, match="there is no no-such-compiler here"):
            compiled(double, open_device("cpu"), mode)


def test_the_words_of_the_axis():
    assert [
        COMPILE.parse("compile", word)
        for word in ("false", "true", "max-autotune", "reduce-overhead")
    ] == [
        False,
        True,
        "max-autotune",
        "reduce-overhead",
    ]
    with pytest.raises(UserError, match="expected true, max-autotune, reduce-overhead or false"):
        COMPILE.parse("compile", "fast")
