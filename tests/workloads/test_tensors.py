"""torch.compile as the workloads use it: off, on, in one of its modes; refused where it has no
effect."""

from types import SimpleNamespace

import pytest
import torch

from hwbench.devices import open_device
from hwbench.records import Unsupported, UserError
from workloads.tensors import COMPILE, compile_function


def double(x):
    return 2 * x


@pytest.fixture
def options(monkeypatch):
    """The arguments with which torch.compile is called."""
    seen = {}

    def note(function, **options):
        seen.update(options, function=function)

    monkeypatch.setattr(torch, "compile", note)
    return seen


def with_compiler(cuda_graphs=False):
    return SimpleNamespace(cuda_graphs=cuda_graphs, require_compiler=lambda: None)


def test_compile_off_returns_the_function_itself():
    assert compile_function(double, SimpleNamespace(), False) is double  # without a compiler


@pytest.mark.parametrize(("mode", "asked"), [(True, None), ("max-autotune", "max-autotune")])
@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_mode_is_passed_to_torch(mode, asked, cuda_graphs, options):
    compile_function(double, with_compiler(cuda_graphs), mode)
    assert options == {"function": double, "dynamic": False, "mode": asked}


def test_reduce_overhead_compiles_on_a_device_with_cuda_graphs(options):
    compile_function(double, with_compiler(cuda_graphs=True), "reduce-overhead")
    assert options["mode"] == "reduce-overhead"


def test_reduce_overhead_without_cuda_graphs_is_unsupported():
    with pytest.raises(
        Unsupported, match=r"^compile=reduce-overhead replays CUDA graphs, .* use compile=true$"
    ):
        compile_function(double, with_compiler(), "reduce-overhead")


def test_every_mode_without_a_compiler_is_unsupported(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    for mode in (True, "max-autotune"):
        with pytest.raises(Unsupported, match="there is no no-such-compiler here"):
            compile_function(double, open_device("cpu"), mode)


def test_axis_takes_false_true_and_two_modes():
    modes = {mode: mode for mode in ("max-autotune", "reduce-overhead")}
    words = {"false": False, "true": True, **modes}
    assert {word: COMPILE.parse("compile", word) for word in words} == words
    with pytest.raises(UserError, match="expected true, max-autotune, reduce-overhead or false"):
        COMPILE.parse("compile", "fast")
