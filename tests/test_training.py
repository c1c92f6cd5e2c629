"""Every workload that trains does learn, with every optimizer and format; and a step is the step it says it is."""

from types import SimpleNamespace

import pytest
import torch

from hwbench.devices import open_device
from workloads.models import lstm, mlp, sizes
from workloads.models.gpt import GPT
from workloads.models.lstm import LSTM
from workloads.models.mlp import MLP
from workloads.optimizers import DATASET_BATCHES, OPTIMIZERS
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
    """Inputs and targets: random vectors for the feed-forward network, else sequences of eight random tokens."""
    if name == "mlp":
        return torch.randn(count, 64), torch.randn(count, 64)
    ids = torch.randint(1000, (count, 9))
    return ids[:, :-1].contiguous(), ids[:, 1:].contiguous()


def step_of(optimizer, model, data, lr, dtype="fp32", batch=1, accumulate=None):
    p = SimpleNamespace(optimizer=optimizer, batch=batch, accumulate=accumulate, dtype=dtype)
    return training_step(p, CPU, model.loss, model.parameters(), data, lr)


def ignore(_mark):
    """The steps here are not timed."""


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", MODELS)
def test_training_learns_its_data_set_by_heart(name, optimizer, dtype):
    """The loss over all four samples falls under a tenth of what it was, in at most 300 steps."""
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
def test_gradient_descent_steps_down_the_gradient_of_the_whole_data_set(name):
    model, data = MODELS[name](), samples(name, 2 * DATASET_BATCHES)
    model.loss(*data).backward()
    expected = [parameter.detach() - 0.1 * parameter.grad for parameter in model.parameters()]
    model.zero_grad(set_to_none=True)
    step_of("gd", model, data, lr=0.1, batch=2)(ignore)
    torch.testing.assert_close([parameter.detach() for parameter in model.parameters()], expected)


@pytest.mark.parametrize(("optimizer", "size"), [("sgd", 1), ("sgd-minibatch", 3), ("adam", 3), ("adamw", 3)])
def test_a_stochastic_step_draws_its_batch_at_random_from_the_whole_data_set(optimizer, size):
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
