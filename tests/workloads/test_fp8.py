"""FP8 linear layers: their arithmetic on the CPU's torch._scaled_mm, and where they are refused."""

from types import SimpleNamespace

import pytest
import torch
from conftest import TORCH_WARNS_OF_ITSELF
from torch import nn

from hwbench.accounts import mlp
from hwbench.accounts.updates import DATASET_BATCHES
from hwbench.devices import open_device
from hwbench.devices.accelerator import AcceleratorDevice
from hwbench.records import Unsupported
from workloads import fp8
from workloads.fp8 import Fp8Linear, multiply, round_to, store_by_columns, use_fp8_linears
from workloads.models.mlp import MLP
from workloads.training import training_step

E4M3, E5M2 = torch.float8_e4m3fn, torch.float8_e5m2

pytestmark = pytest.mark.usefixtures("one_thread")


class HasFp8:
    """A CPU that allows FP8: torch emulates it there, right in its numbers but not in its speed."""

    torch = torch.device("cpu")
    fused_optimizers = True
    cuda_graphs = False

    def require_fp8(self):
        """Allow it."""

    def autocast(self, dtype):
        return open_device("cpu").autocast(dtype)


def exact(x, dtype):
    """Round `x` to FP8 and return it in float64."""
    x8, scale = round_to(dtype, x)
    return x8.double() * scale.double()


def relative_error(result, expected):
    return ((result.double() - expected.double()).norm() / expected.double().norm()).item()


# Numbers


@pytest.mark.parametrize(("dtype", "largest", "step"), [(E4M3, 448, 2**-4), (E5M2, 57344, 2**-3)])
def test_scaling_maps_the_largest_value_to_the_formats_largest(dtype, largest, step):
    x = torch.randn(64, 64) * 1e-5
    x8, scale = round_to(dtype, x)
    assert (x8.dtype, x8.float().abs().max()) == (dtype, largest)
    assert scale.item() == pytest.approx(x.abs().max().item() / largest)
    normal = x.abs() > x.abs().max() / 1000  # below that E4M3 has fewer bits
    assert ((exact(x, dtype) / x - 1).abs()[normal] < step * 1.01).all()


def test_zeros_stay_zero_and_non_finite_values_become_nan():
    assert exact(torch.zeros(3), E4M3).tolist() == [0, 0, 0]
    assert exact(torch.tensor([1.0, torch.inf]), E4M3).isnan().any()
    assert exact(torch.tensor([1.0, torch.nan]), E5M2).isnan().all()


def test_product_equals_that_of_the_rounded_matrices():
    a, b = torch.randn(32, 64), torch.randn(64, 48)
    a8, b8 = round_to(E5M2, a), round_to(E4M3, b)
    y = multiply(*a8, store_by_columns(b8[0]), b8[1])
    assert y.dtype == torch.bfloat16
    assert relative_error(y, exact(a, E5M2) @ exact(b, E4M3)) < 2**-8
    assert 0.01 < relative_error(y, a @ b) < 0.1  # rounded, but not too much


def test_layer_and_gradients_are_three_fp8_products():
    layer = nn.Linear(48, 32)
    use_fp8_linears(layer, HasFp8())
    x, grad = torch.randn(2, 8, 48, requires_grad=True), torch.randn(2, 8, 32).bfloat16()
    y = layer(x)
    y.backward(grad)
    rows, grads = x.detach().view(16, 48), grad.view(16, 32)
    x8, w8, g8 = exact(rows, E4M3), exact(layer.weight.detach(), E4M3), exact(grads, E5M2)
    assert (y.dtype, x.grad.dtype, layer.weight.grad.dtype) == (
        torch.bfloat16,
        torch.float32,
        torch.float32,
    )
    assert relative_error(y.detach().view(16, 32), x8 @ w8.T + layer.bias.detach().double()) < 2**-7
    assert relative_error(x.grad.view(16, 48), g8 @ w8) < 2**-8
    assert relative_error(layer.weight.grad, g8.T @ x8) < 2**-8
    assert relative_error(layer.bias.grad, grads.double().sum(0)) < 2**-7


def test_input_without_gradient_is_supported():
    layer = nn.Linear(16, 16)
    use_fp8_linears(layer, HasFp8())
    layer(torch.randn(16, 16)).sum().backward()
    assert layer.weight.grad.abs().sum() > 0


@TORCH_WARNS_OF_ITSELF
def test_layer_is_traced_in_one_graph():
    layer = nn.Linear(32, 16)
    use_fp8_linears(layer, HasFp8())
    x = torch.randn(16, 32)
    compiled = torch.compile(layer, fullgraph=True, dynamic=False, backend="aot_eager")
    torch.testing.assert_close(compiled(x), layer(x), rtol=0, atol=0)


def test_network_learns_in_fp8():
    model = MLP(mlp.SIZES["nano"], torch.device("cpu"))
    use_fp8_linears(model, HasFp8())
    data = torch.randn(16 * DATASET_BATCHES, 64), torch.randn(16 * DATASET_BATCHES, 64)
    p = SimpleNamespace(optimizer="adamw", batch=16, accumulate=None, compile=False, dtype="fp8")
    step = training_step(p, HasFp8(), model.loss, model.parameters(), data, lr=3e-3)
    first = model.loss(*data).item()
    for _ in range(300):
        step(lambda mark: None)
    assert model.loss(*data).item() < first / 10


# Refusals


def test_only_layers_whose_dimensions_fit_are_changed():
    model = nn.Sequential(
        nn.Linear(16, 32), nn.Linear(32, 24), nn.Linear(24, 16), nn.Embedding(16, 16)
    )
    before = [parameter.data_ptr() for parameter in model.parameters()]
    use_fp8_linears(model, HasFp8())
    assert [type(module) for module in model] == [Fp8Linear, nn.Linear, nn.Linear, nn.Embedding]
    assert [parameter.data_ptr() for parameter in model.parameters()] == before


@TORCH_WARNS_OF_ITSELF
@pytest.mark.parametrize("compiled", [False, True])
def test_positions_that_do_not_fit_are_unsupported(compiled):
    layer = nn.Linear(16, 32)
    use_fp8_linears(layer, HasFp8())
    forward = torch.compile(layer, dynamic=False, backend="aot_eager") if compiled else layer
    with pytest.raises(
        Unsupported,
        match=r"^fp8 needs a multiple of 16 positions at a time, not 15; change batch$",
    ):
        forward(torch.randn(3, 5, 16))


def test_cpu_has_no_fp8():
    with pytest.raises(Unsupported, match=r"has no fp8 arithmetic; use bf16$"):
        use_fp8_linears(nn.Linear(16, 16), open_device("cpu"))


@pytest.mark.parametrize(
    ("hip", "capability", "refusal"),
    [
        (None, (8, 9), None),
        (None, (9, 0), None),
        (None, (12, 0), None),
        (None, (8, 6), r"A GPU \(8\.6\) has no fp8, which begins with 8\.9; use bf16"),
        ("7.0", "gfx942:sramecc+:xnack-", None),
        ("7.0", "gfx950", None),
        (
            "7.0",
            "gfx90a:sramecc+:xnack-",
            r"A GPU \(gfx90a\) has no fp8, which begins with gfx942; use bf16",
        ),
    ],
)
def test_gpu_has_fp8_from_its_makers_first_generation(hip, capability, refusal, monkeypatch):
    major, minor = capability if hip is None else (9, 4)
    properties = SimpleNamespace(
        major=major, minor=minor, gcnArchName=capability, total_memory=1 << 30
    )
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    monkeypatch.setattr(torch.version, "hip", hip)
    device = AcceleratorDevice.__new__(AcceleratorDevice)
    device.kind, device.name, device.torch = "cuda", "A GPU", torch.device("cuda", 0)
    if refusal is None:
        device.require("fp8")
        is_mi300 = str(capability).startswith("gfx94")
        mi300 = torch.float8_e4m3fnuz, torch.float8_e5m2fnuz
        assert fp8.formats(device) == (mi300 if is_mi300 else (E4M3, E5M2))
    else:
        with pytest.raises(Unsupported, match=refusal):
            device.require("fp8")


def test_other_accelerators_have_no_fp8():
    device = AcceleratorDevice.__new__(AcceleratorDevice)
    device.kind, device.name = "xpu", "A GPU"
    with pytest.raises(
        Unsupported, match=r"^A GPU: torch has no fp8 arithmetic for xpu; use bf16$"
    ):
        device.require("fp8")
