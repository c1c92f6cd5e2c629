"""The GPT itself: causal, the same with and without a cache, exact in its gradients, able to learn."""

import copy
import itertools
from dataclasses import replace

import pytest
import torch
from conftest import TORCH_WARNS_OF_ITSELF

from hwbench.records import Unsupported
from workloads.models.config import GPTConfig
from workloads.models.gpt import GPT
from workloads.models.sizes import SIZES, gpt_config

TINY = GPTConfig("tiny", layers=3, heads=2, width=32, positions=24, vocab=100)
CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


def built(config: GPTConfig = TINY, dtype: torch.dtype = torch.float32, gain: float = 1.0) -> GPT:
    """A GPT whose weights are `gain` times their initial size: GPT-2's make logits too alike to tell greedy paths."""
    model = GPT.build(config, CPU, dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(gain)
    return model


def recomputed(model: GPT, prompt: torch.Tensor, new: int) -> list[list[int]]:
    """The greedy tokens of each sequence by the longest way: the whole sequence forward again for every token."""
    ids = prompt
    for _ in range(new):
        ids = torch.cat([ids, model.logits(ids)[:, -1:, : model.config.vocab].argmax(-1)], dim=1)
    return ids[:, prompt.shape[1] :].tolist()


def cached(model: GPT, prompt: torch.Tensor, new: int, decode=None) -> list[list[int]]:
    """The greedy tokens of each sequence by prefill and decode."""
    cache = model.new_cache(prompt.shape[0], prompt.shape[1] + new)
    token = model.prefill(prompt, cache)
    found = [token]
    for index in range(prompt.shape[1], prompt.shape[1] + new - 1):
        token = (decode or model.decode)(token, torch.tensor([index]), cache)
        found.append(token)
    return torch.cat(found, dim=1).tolist()


def test_a_later_token_changes_no_earlier_logits():
    model, ids = built(), torch.randint(TINY.vocab, (2, 12))
    changed = ids.clone()
    changed[:, 7] = (changed[:, 7] + 1) % TINY.vocab
    before, after = model.logits(ids), model.logits(changed)
    torch.testing.assert_close(before[:, :7], after[:, :7], rtol=0, atol=0)
    assert (before[:, 7:] != after[:, 7:]).any(dim=-1).all()


@torch.inference_mode()
def test_the_cache_gives_the_tokens_of_a_full_recomputation():
    model, prompt = built(gain=4.0), torch.randint(TINY.vocab, (3, 9))
    tokens = recomputed(model, prompt, new=10)
    assert cached(model, prompt, new=10) == tokens
    assert len(set(itertools.chain(*tokens))) > 5  # the paths are worth comparing


@torch.inference_mode()
def test_decode_does_not_read_beyond_its_position():
    model, prompt = built(gain=4.0), torch.randint(TINY.vocab, (1, 9))
    cache = model.new_cache(1, 16)
    token = model.prefill(prompt, cache)
    clean = model.decode(token, torch.tensor([9]), cache)
    for keys, values in cache:
        keys[:, :, 10:], values[:, :, 10:] = 1e4, 1e4
    assert torch.equal(model.decode(token, torch.tensor([9]), cache), clean)


@TORCH_WARNS_OF_ITSELF
@torch.inference_mode()
@pytest.mark.usefixtures("compiler")
def test_compiled_decode_gives_the_same_tokens_and_compiles_once():
    model, prompt = built(replace(TINY, layers=1), gain=4.0), torch.randint(TINY.vocab, (1, 9))
    torch._dynamo.reset()  # what other tests compiled of the same code would count as compiling again
    with torch._dynamo.config.patch(error_on_recompile=True):
        decode = torch.compile(model.decode, dynamic=False)
        assert cached(model, prompt, 10, decode) == cached(model, prompt, 10)


def test_greedy_tokens_are_never_padding():
    model = built()
    with torch.no_grad():
        model.tokens.weight[TINY.vocab :] = 1e3 * model.tokens.weight[:1].sign()
        cache = model.new_cache(4, 8)
        assert model.prefill(torch.randint(TINY.vocab, (4, 8)), cache).max() < TINY.vocab


def test_gradients_in_fp32_agree_with_float64():
    single = built()
    double = copy.deepcopy(single).double()
    ids = torch.randint(TINY.vocab, (2, 13))
    inputs, targets = ids[:, :-1], ids[:, 1:]
    single.loss(inputs, targets).backward()
    # loss() computes in fp32 from the logits on; here everything is float64
    torch.nn.functional.cross_entropy(double.logits(inputs).flatten(0, 1), targets.flatten()).backward()
    for (name, a), b in zip(single.named_parameters(), double.parameters(), strict=True):
        error = (a.grad.double() - b.grad).norm() / b.grad.norm().clamp_min(1e-8)
        assert error < 1e-5, name


def test_weights_are_drawn_as_gpt2_draws_them():
    model = built(SIZES["nano"])
    assert model.tokens.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert model.positions.weight.std().item() == pytest.approx(0.01, rel=0.02)
    block = model.blocks[1]
    assert block.up.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert block.down.weight.std().item() == pytest.approx(0.02 / 4**0.5, rel=0.02)  # 2 layers, 4 residual additions
    assert block.attention.out.weight.std().item() == pytest.approx(0.02 / 4**0.5, rel=0.02)
    assert not block.up.bias.any()
    assert (block.norm_1.weight == 1).all()


def test_the_seed_decides_the_weights():
    one, same = built(), None
    other = built()
    torch.manual_seed(0)
    same = built()
    assert torch.equal(one.tokens.weight, same.tokens.weight)
    assert not torch.equal(one.tokens.weight, other.tokens.weight)


def test_weights_can_be_stored_in_bf16():
    model = built(dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert model.new_cache(1, 4)[0][0].dtype == torch.bfloat16


def test_more_layers_than_the_model_has_are_refused():
    with pytest.raises(Unsupported, match="gpt 124m has 12 layers, 13 asked for"):
        gpt_config("124m", 13)
    assert gpt_config("124m", 12) == gpt_config("124m") == SIZES["124m"]


def test_a_sequence_beyond_the_positions_is_refused():
    SIZES["124m"].require_positions(1024)
    with pytest.raises(Unsupported, match="gpt 124m has 1024 positions, a sequence of 1025 asked for"):
        SIZES["124m"].require_positions(1025)
