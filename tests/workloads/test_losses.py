"""The loss in chunks: the same numbers as torch's own, in less memory."""

import pytest
import torch
from conftest import TORCH_WARNS_OF_ITSELF
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from workloads.losses import cross_entropy

POSITIONS, WIDTH, VOCAB = 26, 8, 40

pytestmark = pytest.mark.usefixtures("one_thread")


def plain(hidden, weight, targets, _chunks):
    """What it is held against: torch's own, all logits at once, in fp32 at least."""
    logits = F.linear(hidden, weight)
    return F.cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), targets)


def samples(dtype=torch.float64, positions=POSITIONS, width=WIDTH, vocab=VOCAB):
    hidden = torch.randn(positions, width, dtype=dtype, requires_grad=True)
    weight = torch.randn(vocab, width, dtype=dtype, requires_grad=True)
    return hidden, weight, torch.randint(vocab, (positions,))


def loss_and_gradients(loss_of, hidden, weight, targets, chunks, scale=1.0):
    loss = loss_of(hidden, weight, targets, chunks)
    return loss.detach(), *torch.autograd.grad(loss * scale, (hidden, weight))


@pytest.mark.parametrize("chunks", [1, 2, 5, 26])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5)])
def test_loss_and_gradients_are_those_of_torchs_own(dtype, tolerance, chunks):
    given = samples(dtype)
    found = loss_and_gradients(cross_entropy, *given, chunks, scale=0.25)
    expected = loss_and_gradients(plain, *given, chunks, scale=0.25)
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    assert {tensor.dtype for tensor in found} == {dtype}


def test_its_gradient_is_its_slope():
    hidden, weight, targets = samples(positions=6, width=3, vocab=5)
    assert torch.autograd.gradcheck(lambda h, w: cross_entropy(h, w, targets, 4), (hidden, weight))


def relative(found, expected):
    return ((found - expected).norm() / expected.norm()).item()


@pytest.mark.machine
def test_under_autocast_it_is_as_good_as_torchs_own():
    """Products in bf16, all else in fp32: as far from the truth as torch's own, to within a
    quarter."""
    given = samples(torch.float32, positions=256, width=64, vocab=500)
    truth = loss_and_gradients(plain, *given, 0)
    with torch.autocast("cpu", torch.bfloat16):
        found, usual = (
            loss_and_gradients(loss_of, *given, 4) for loss_of in (cross_entropy, plain)
        )
    assert found[0].dtype == torch.float32
    for what, expected, of_torch in zip(found, truth, usual, strict=True):
        assert what.dtype == torch.float32
        assert relative(what, expected) < max(1.25 * relative(of_torch, expected), 1e-4)


@TORCH_WARNS_OF_ITSELF
@pytest.mark.usefixtures("compile_backend")
def test_it_compiles_in_one_graph_and_computes_the_same():
    given = samples(torch.float32)
    compiled = torch.compile(cross_entropy, fullgraph=True, dynamic=False)
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = (
            loss_and_gradients(loss_of, *given, 3) for loss_of in (compiled, cross_entropy)
        )
    for what, eager in zip(found, expected, strict=True):
        assert relative(what, eager) < 1e-2


class Largest(TorchDispatchMode):
    """Notes the bytes of the largest tensor that any operation gives."""

    nbytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        made = [
            leaf.untyped_storage().nbytes()
            for leaf in tree_leaves(result)
            if isinstance(leaf, torch.Tensor)
        ]
        self.nbytes = max(self.nbytes, *made, 0)
        return result


def test_no_tensor_is_as_large_as_the_logits():
    """64 positions of 1,000 words: 256 kB of logits at once, 16 kB in 16 chunks; the weight's
    gradient is 32 kB."""
    given = samples(torch.float32, positions=64, width=8, vocab=1000)
    largest = {}
    for loss_of in (plain, cross_entropy):
        with Largest() as seen:
            loss_and_gradients(loss_of, *given, 16)
        largest[loss_of] = seen.nbytes
    assert largest == {plain: 4 * 64 * 1000, cross_entropy: 4 * 1000 * 8}


def test_more_chunks_than_positions_are_refused():
    with pytest.raises(ValueError, match="26 positions cannot be cut into 27 chunks"):
        cross_entropy(*samples(), 27)
