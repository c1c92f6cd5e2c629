"""Training learns, with every optimizer and format; its steps learn from what they should; a loss
that is not finite is noticed."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from hwbench.accounts import lstm, mlp, sizes
from hwbench.accounts.updates import DATASET_BATCHES, OPTIMIZERS
from hwbench.devices import open_device
from hwbench.recording.measure_case import CaseRequest, measure_case
from hwbench.records import Case, Policy, Unsupported
from workloads.lstm import choose_kernels
from workloads.models.gpt import GPT
from workloads.models.lstm import LSTM
from workloads.models.mlp import MLP
from workloads.training import training_step

CPU = open_device("cpu")
MODELS = {
    "gpt": lambda: GPT.build(sizes.SIZES["nano"], CPU.torch),
    "lstm": lambda: LSTM(lstm.SIZES["nano"], CPU.torch),
    "mlp": lambda: MLP(mlp.SIZES["nano"], CPU.torch),
}
RATES = {
    "gpt": {"adamw": 1e-3, "adam": 1e-3, "sgd": 0.1, "sgd-minibatch": 0.03, "gd": 0.3},
    "lstm": {"adamw": 1e-2, "adam": 1e-2, "sgd": 1.0, "sgd-minibatch": 0.1, "gd": 3.0},
    "mlp": {"adamw": 3e-3, "adam": 3e-3, "sgd": 0.1, "sgd-minibatch": 0.03, "gd": 0.3},
}

pytestmark = pytest.mark.usefixtures("one_thread")


def samples(name, count):
    """Draw inputs and targets: vectors for the feed-forward network, else eight tokens each."""
    if name == "mlp":
        return torch.randn(count, 64), torch.randn(count, 64)
    ids = torch.randint(1000, (count, 9))
    return ids[:, :-1].contiguous(), ids[:, 1:].contiguous()


def step_of(optimizer, model, data, lr, dtype="fp32", batch=1, accumulate=None):
    p = SimpleNamespace(optimizer=optimizer, batch=batch, accumulate=accumulate, dtype=dtype)
    step = training_step(p, CPU, model.loss, model.parameters(), data, lr)
    if not isinstance(model, LSTM):
        return step
    p = SimpleNamespace(size="nano", batch=batch, seq=8, dtype=dtype)
    return choose_kernels(p, CPU, model, trained=True).within(step)


def ignore(_mark):
    """A mark: nothing is timed here."""


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize(
    "optimizer",
    [pytest.param("adamw", marks=pytest.mark.machine), *sorted({*OPTIMIZERS} - {"adamw"})],
)
@pytest.mark.parametrize("name", MODELS)
def test_training_memorizes_its_data_set(name, optimizer, dtype):
    """The loss over all four samples falls below a tenth of its first value within 300 steps."""
    model, data = MODELS[name](), samples(name, DATASET_BATCHES)
    step = step_of(optimizer, model, data, RATES[name][optimizer], dtype)
    first = model.loss(*data).item()
    for _ in range(15):
        for _ in range(20):
            step(ignore)
        if model.loss(*data).item() < first / 10:
            return
    pytest.fail(f"the loss went from {first:.3f} to {model.loss(*data).item():.3f}")


@pytest.mark.parametrize("name", MODELS)
def test_gd_follows_the_gradient_of_the_whole_data_set(name):
    model, data = MODELS[name](), samples(name, 2 * DATASET_BATCHES)
    model.loss(*data).backward()
    expected = [parameter.detach() - 0.1 * parameter.grad for parameter in model.parameters()]
    model.zero_grad(set_to_none=True)
    step_of("gd", model, data, lr=0.1, batch=2)(ignore)
    torch.testing.assert_close([parameter.detach() for parameter in model.parameters()], expected)


@pytest.mark.parametrize(
    ("optimizer", "size"), [("sgd", 1), ("sgd-minibatch", 3), ("adam", 3), ("adamw", 3)]
)
def test_stochastic_step_draws_its_batch_from_the_whole_data_set(optimizer, size):
    model, data, seen = MODELS["mlp"](), samples("mlp", 3 * DATASET_BATCHES), []

    def loss(inputs, targets):
        seen.append(inputs)
        return MLP.loss(model, inputs, targets)

    p = SimpleNamespace(optimizer=optimizer, batch=3, accumulate=None, dtype="fp32")
    step = training_step(p, CPU, loss, model.parameters(), data)
    for _ in range(100):
        step(ignore)
    assert {len(inputs) for inputs in seen} == {size}
    assert len({inputs.data_ptr() for inputs in seen}) == len(data[0]) / size


# Gradient accumulation


def marks_of(step):
    marks = []
    step(marks.append)
    return marks


@pytest.mark.parametrize("accumulate", [1, 2, 3, 6])
@pytest.mark.parametrize("name", MODELS)
def test_gradients_of_parts_sum_to_that_of_the_batch(name, accumulate):
    model = MODELS[name]()
    # all batches are the same one
    data = [torch.cat([tensor] * DATASET_BATCHES) for tensor in samples(name, 6)]
    model.loss(data[0][:6], data[1][:6]).backward()
    expected = [parameter.detach() - 0.1 * parameter.grad for parameter in model.parameters()]
    model.zero_grad(set_to_none=True)
    step_of("sgd-minibatch", model, data, lr=0.1, batch=6, accumulate=accumulate)(ignore)
    torch.testing.assert_close([parameter.detach() for parameter in model.parameters()], expected)


def test_gradients_of_parts_sum_to_the_last_digits_in_float64():
    model = MODELS["mlp"]().double()
    data = [torch.cat([tensor.double()] * DATASET_BATCHES) for tensor in samples("mlp", 4)]

    def loss_of(inputs, targets):
        return F.mse_loss(model(inputs), targets)  # MLP.loss computes in fp32

    p = SimpleNamespace(optimizer="sgd-minibatch", batch=4, accumulate=4, dtype="fp32")
    loss_of(*data).backward()
    expected = [parameter.detach() - 0.1 * parameter.grad for parameter in model.parameters()]
    model.zero_grad(set_to_none=True)
    training_step(p, CPU, loss_of, model.parameters(), data, 0.1)(ignore)
    weights = [parameter.detach() for parameter in model.parameters()]
    torch.testing.assert_close(weights, expected, rtol=1e-13, atol=0)


@pytest.mark.parametrize(("optimizer", "passes"), [("adamw", 3), ("gd", 3 * DATASET_BATCHES)])
def test_each_part_is_marked_and_the_update_once(optimizer, passes):
    data = samples("mlp", 6 * DATASET_BATCHES)
    step = step_of(optimizer, MODELS["mlp"](), data, 0.1, batch=6, accumulate=3)
    for _ in range(2):
        assert marks_of(step) == ["forward", "backward"] * passes + ["optimizer"]


def test_parts_of_a_step_belong_to_one_batch():
    model, data, seen = MODELS["mlp"](), samples("mlp", 4 * DATASET_BATCHES), []

    def loss(inputs, targets):
        seen.append(inputs)
        return MLP.loss(model, inputs, targets)

    p = SimpleNamespace(optimizer="adamw", batch=4, accumulate=2, dtype="fp32")
    step = training_step(p, CPU, loss, model.parameters(), data)
    drawn = set()
    for _ in range(50):
        seen.clear()
        step(ignore)
        places = [inputs.storage_offset() // 64 for inputs in seen]
        assert [len(inputs) for inputs in seen] == [2, 2]
        assert places[1] == places[0] + 2
        drawn.add(places[0])
    assert drawn == {0, 4, 8, 12}


@pytest.mark.parametrize(
    ("optimizer", "accumulate", "refusal"),
    [
        ("adamw", 4, "accumulate=4 does not divide batch=6"),
        ("gd", 12, "accumulate=12 does not divide batch=6"),
        ("sgd", 2, "accumulate=2 does not divide the single sample that sgd learns from"),
    ],
)
def test_batch_without_equal_parts_is_unsupported(optimizer, accumulate, refusal):
    with pytest.raises(Unsupported, match=f"^{refusal}; choose one that does$"):
        step_of(optimizer, MODELS["mlp"](), samples("mlp", 24), 0.1, batch=6, accumulate=accumulate)


class GraphDevice:
    """A CPU that claims to have CUDA graphs."""

    torch, fused_optimizers, cuda_graphs = torch.device("cpu"), True, True

    def autocast(self, dtype):
        return CPU.autocast(dtype)


@pytest.mark.parametrize(
    ("compile", "accumulate", "are_kept"),
    [("max-autotune", 2, True), ("max-autotune", None, False), (True, 2, False)],
)
def test_gradients_keep_their_buffers_under_cuda_graphs(compile, accumulate, are_kept):
    model, data = MODELS["mlp"](), samples("mlp", 2 * DATASET_BATCHES)
    p = SimpleNamespace(
        optimizer="sgd-minibatch", batch=2, accumulate=accumulate, compile=compile, dtype="fp32"
    )
    step = training_step(p, GraphDevice(), model.loss, model.parameters(), data)
    before = [parameter.grad for parameter in model.parameters()]
    for _ in range(2):
        step(ignore)
    after = [parameter.grad for parameter in model.parameters()]
    if not are_kept:
        assert {*before, *after} == {None}
        return
    assert all(one is other for one, other in zip(before, after, strict=True))
    assert not any(gradient.any() for gradient in after)


# Losses that are not finite


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("name", MODELS)
def test_one_nan_weight_makes_every_later_loss_nan(name, optimizer, dtype):
    """So the last step's loss speaks for the whole window."""
    model, data = MODELS[name](), samples(name, DATASET_BATCHES)
    step = step_of(optimizer, model, data, 1e-3, dtype)
    assert math.isfinite(step(ignore))
    row = 0 if name == "mlp" else int(data[0].flatten()[0])  # of a token in the data
    with torch.no_grad():
        next(model.parameters())[row, 0] = math.nan
    losses = [step(ignore).item() for _ in range(60)]
    # sgd draws a sample that uses the weight by chance
    first = next(i for i, loss in enumerate(losses) if math.isnan(loss))
    assert all(math.isnan(loss) for loss in losses[first:])


EXPLODING = """
from hwbench.accounts.mlp import SIZES
from workloads.models.mlp import MLP
from workloads.training import training_step
from hwbench.workload import Built, workload
import torch

@workload("exploding", lr=[1.0], optimizer=["adamw"], batch=[2], accumulate=[None])
def exploding(p, device):
    model = MLP(SIZES["nano"], device.torch)
    data = torch.randn(8, 64), torch.randn(8, 64)
    return Built(training_step(p, device, model.loss, model.parameters(), data, p.lr))
"""


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize(("lr", "breaks"), [(1e30, True), (1e-3, False)])
def test_exploding_loss_adds_a_note(lr, breaks, dtype, tmp_path):
    (tmp_path / "exploding.py").write_text(EXPLODING)
    params = {"lr": lr, "optimizer": "adamw", "batch": 2, "accumulate": None}
    policy = Policy(min_time_s=0.0, max_time_s=1.0)
    files = [str(tmp_path / "exploding.py")]
    measured = measure_case(CaseRequest(Case("exploding", params, dtype), policy, "cpu", files))
    assert measured.outcome == "ok"
    assert any(note.startswith("loss_not_finite: ") for note in measured.notes) is breaks
