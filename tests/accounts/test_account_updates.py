"""Closed forms of an update, against torch's documented formulas and torch's own optimizers."""

import math

import pytest
import torch

from hwbench.accounts import updates
from hwbench.accounts.updates import OPTIMIZERS
from hwbench.devices import open_device
from workloads.optimizers import CLASSES, LEARNING_RATE, make_optimizer

pytestmark = pytest.mark.usefixtures("one_thread")


class Counted:
    """A number that counts the arithmetic it takes part in."""

    operations = 0

    def __init__(self, value: float) -> None:
        self.value = value

    def _with(self, other, operate):
        Counted.operations += 1
        return Counted(operate(self.value, other.value if isinstance(other, Counted) else other))

    def __add__(self, other):
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other):
        return self._with(other, lambda a, b: a - b)

    def __mul__(self, other):
        return self._with(other, lambda a, b: a * b)

    def __truediv__(self, other):
        return self._with(other, lambda a, b: a / b)

    __rmul__ = __mul__

    def sqrt(self):
        return self._with(0, lambda a, _: math.sqrt(a))


def adam(theta, g, m, v, t, lr=LEARNING_RATE, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    """torch.optim.Adam as documented, for one element."""
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * (g * g)
    m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
    return theta - lr * m_hat / (v_hat.sqrt() + epsilon), m, v


def adamw(theta, g, m, v, t, lr=LEARNING_RATE, decay=0.01):
    """torch.optim.AdamW as documented, for one element."""
    return adam(theta - (lr * decay) * theta, g, m, v, t)


def sgd(theta, g, m, v, t):
    """torch.optim.SGD as documented, for one element."""
    return theta - LEARNING_RATE * g, m, v


def momentum(theta, g, m, v, t):
    """torch.optim.SGD with momentum as documented, for one element: from the second step on."""
    m = 0.9 * m + g
    return theta - LEARNING_RATE * m, m, v


FORMULAS = {"adamw": adamw, "adam": adam, "sgd": sgd, "sgd-minibatch": momentum, "gd": sgd}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_update_flops_equal_the_documented_operations(name):
    parameter = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    optimizer = make_optimizer(name, [parameter], open_device("cpu"))
    theta, m, v = Counted(0.5), Counted(0.0), Counted(0.0)
    for t, gradient in enumerate((0.3, -0.7, 0.2), start=1):
        parameter.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
        Counted.operations = 0
        theta, m, v = FORMULAS[name](theta, Counted(gradient), m, v, t)
        assert parameter.item() == pytest.approx(theta.value, rel=1e-9)
        assert updates.update_flops(7, name) == 7 * Counted.operations


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_keeps_the_counted_states(name):
    parameter = torch.zeros(5, requires_grad=True)
    optimizer = make_optimizer(name, [parameter], open_device("cpu"))
    parameter.grad = torch.ones(5)
    optimizer.step()
    kept = [state for state in optimizer.state[parameter].values() if state is not None]
    states = [state for state in kept if state.numel() == 5]  # not the count of steps
    assert len(states) == OPTIMIZERS[name].states
    state_bytes = sum(tensor.nbytes for tensor in (parameter, *states))
    assert state_bytes == updates.state_bytes(5, name)
    assert state_bytes + parameter.grad.nbytes == updates.train_state_bytes(5, name)


@pytest.mark.parametrize(
    ("name", "each"), [("adamw", 28), ("adam", 28), ("sgd", 12), ("sgd-minibatch", 20), ("gd", 12)]
)
def test_update_bytes_per_parameter(name, each):
    assert updates.update_bytes(10, name) == 10 * each


def test_further_batches_read_weights_and_add_to_gradients():
    one_batch, four_batches = (updates.train_bytes(20, 10, name) for name in ("sgd", "gd"))
    assert four_batches - one_batch == 4 * 3 * (20 + 2 * 10)


def test_further_parts_of_a_batch_read_weights_and_add_to_gradients():
    whole = updates.train_bytes(20, 10, "adamw")
    in_parts = updates.train_bytes(20, 10, "adamw", accumulate=4)
    assert updates.train_bytes(20, 10, "adamw", accumulate=1) == whole
    assert in_parts - whole == 4 * 3 * (20 + 2 * 10)
    both = updates.train_bytes(20, 10, "gd", 2)
    assert both - updates.train_bytes(20, 10, "sgd") == 4 * 7 * (20 + 2 * 10)


def test_every_optimizer_has_a_torch_class():
    assert CLASSES.keys() == OPTIMIZERS.keys()


def test_learning_rate_can_be_given():
    parameter = torch.ones(1, requires_grad=True)
    optimizer = make_optimizer("sgd", [parameter], open_device("cpu"), lr=0.5)
    parameter.grad = torch.ones(1)
    optimizer.step()
    assert parameter.item() == 0.5
