"""The loss in chunks: torch's numbers in less memory."""

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
    """Torch's own loss, for comparison: all logits at once, in fp32 at least."""
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
def test_loss_and_gradients_equal_torchs(dtype, tolerance, chunks):
    given = samples(dtype)
    chunked = loss_and_gradients(cross_entropy, *given, chunks, scale=0.25)
    expected = loss_and_gradients(plain, *given, chunks, scale=0.25)
    torch.testing.assert_close(chunked, expected, rtol=tolerance, atol=tolerance)
    assert {tensor.dtype for tensor in chunked} == {dtype}


def test_gradient_passes_gradcheck():
    hidden, weight, targets = samples(positions=6, width=3, vocab=5)
    assert torch.autograd.gradcheck(lambda h, w: cross_entropy(h, w, targets, 4), (hidden, weight))


def relative_error(result, expected):
    return ((result - expected).norm() / expected.norm()).item()


@pytest.mark.machine
def test_autocast_error_is_no_larger_than_torchs():
    """Products in bf16, all else in fp32: at most a quarter more error than torch's."""
    given = samples(torch.float32, positions=256, width=64, vocab=500)
    truth = loss_and_gradients(plain, *given, 0)
    with torch.autocast("cpu", torch.bfloat16):
        chunked = loss_and_gradients(cross_entropy, *given, 4)
        of_torch = loss_and_gradients(plain, *given, 4)
    for ours, theirs, true in zip(chunked, of_torch, truth, strict=True):
        assert ours.dtype == torch.float32
        assert relative_error(ours, true) < max(1.25 * relative_error(theirs, true), 1e-4)


@TORCH_WARNS_OF_ITSELF
@pytest.mark.usefixtures("compile_backend")
def test_compiles_in_one_graph_with_the_same_result():
    given = samples(torch.float32)
    compiled = torch.compile(cross_entropy, fullgraph=True, dynamic=False)
    with torch.autocast("cpu", torch.bfloat16):
        results = loss_and_gradients(compiled, *given, 3)
        expected = loss_and_gradients(cross_entropy, *given, 3)
    for result, eager in zip(results, expected, strict=True):
        assert relative_error(result, eager) < 1e-2


class Largest(TorchDispatchMode):
    """Notes the bytes of the largest tensor that any operation returns."""

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
