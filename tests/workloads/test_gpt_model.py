"""The GPT in both shapes: equal to a plain reference, causal, the same with and without a cache."""

import copy
import itertools
import math
from dataclasses import replace

import pytest
import torch
from conftest import TORCH_WARNS_OF_ITSELF

from hwbench.accounts.gpt import GPTConfig
from hwbench.accounts.sizes import SIZES, gpt_config
from hwbench.records import Unsupported, UserError
from workloads.models.attention import rotate, rotation_of
from workloads.models.gpt import GPT
from workloads.models.packed import pack

TINY = GPTConfig("tiny", layers=3, heads=2, width=32, positions=24, vocab=100)
LLAMA = replace(
    SIZES["llama-nano"], size="tiny-llama", layers=3, width=32, positions=24, vocab=100, inner=48
)
CPU = torch.device("cpu")

both_shapes = pytest.mark.parametrize("config", [TINY, LLAMA], ids=lambda config: config.size)

pytestmark = pytest.mark.usefixtures("one_thread")


def build(config: GPTConfig = TINY, dtype: torch.dtype = torch.float32, gain: float = 1.0) -> GPT:
    """Build a GPT with weights `gain` times their initial size.

    With GPT-2's own, logits are too similar to tell greedy paths apart.
    """
    model = GPT.build(config, CPU, dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(gain)
    return model


def decode_by_recomputation(model: GPT, prompt: torch.Tensor, new: int) -> list[list[int]]:
    """Decode greedily by running the whole sequence forward again for every token."""
    ids = prompt
    for _ in range(new):
        ids = torch.cat([ids, model.logits(ids)[:, -1:, : model.config.vocab].argmax(-1)], dim=1)
    return ids[:, prompt.shape[1] :].tolist()


def decode_with_cache(model: GPT, prompt: torch.Tensor, new: int, decode=None) -> list[list[int]]:
    """Decode greedily by prefill and decode."""
    cache = model.new_cache(prompt.shape[0], prompt.shape[1] + new)
    token = model.prefill(prompt, cache)
    tokens = [token]
    for index in range(prompt.shape[1], prompt.shape[1] + new - 1):
        token = (decode or model.decode)(token, torch.tensor([index]), cache)
        tokens.append(token)
    return torch.cat(tokens, dim=1).tolist()


def reference(model: GPT, ids: list[int]) -> torch.Tensor:
    """Compute the logits of one sequence, (T, V) in float64, head by head and pair by pair."""
    c, w = model.config, {name: x.detach().double() for name, x in model.named_parameters()}

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0)

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        if c.norm == "layernorm":
            x = x - x.mean(-1, keepdim=True)
        normed = x / ((x**2).mean(-1, keepdim=True) + 1e-5).sqrt()
        return normed * w[f"{name}.weight"] + w.get(f"{name}.bias", 0)

    def rotated(x: torch.Tensor) -> torch.Tensor:
        half = c.width // c.heads // 2
        angles = [[t / c.rope_base ** (i / half) for i in range(half)] for t in range(len(x))]
        turns = torch.polar(torch.ones(len(x), half).double(), torch.tensor(angles).double())
        pairs = torch.complex(x[:, :half], x[:, half:]) * turns
        return torch.cat([pairs.real, pairs.imag], dim=1)

    def attention(name: str, x: torch.Tensor) -> torch.Tensor:
        size, kv_heads = c.width // c.heads, c.kv_heads or c.heads
        q, k, v = linear(f"{name}.qkv", x).split([c.width, kv_heads * size, kv_heads * size], dim=1)
        results = []
        for head in range(c.heads):
            kv_head = head * kv_heads // c.heads
            shared = slice(kv_head * size, (kv_head + 1) * size)
            queries, keys = q[:, head * size : (head + 1) * size], k[:, shared]
            if c.encoding == "rotary":
                queries, keys = rotated(queries), rotated(keys)
            scores = queries @ keys.T / size**0.5
            scores[torch.ones_like(scores).triu(1).bool()] = -torch.inf
            results.append(scores.softmax(-1) @ v[:, shared])
        return linear(f"{name}.out", torch.cat(results, dim=1))

    def mlp(name: str, x: torch.Tensor) -> torch.Tensor:
        if c.mlp == "swiglu":
            gate, up = linear(f"{name}.up", x).split(c.inner, dim=1)
            return linear(f"{name}.down", gate * gate.sigmoid() * up)
        x = linear(f"{name}.up", x)
        gelu = x / 2 * (1 + ((2 / math.pi) ** 0.5 * (x + 0.044715 * x**3)).tanh())
        return linear(f"{name}.down", gelu)

    x = w["tokens.weight"][ids]
    if c.encoding == "learned":
        x = x + w["positions.weight"][: len(ids)]
    for layer in range(c.layers):
        x = x + attention(f"blocks.{layer}.attention", norm(f"blocks.{layer}.norm_1", x))
        x = x + mlp(f"blocks.{layer}", norm(f"blocks.{layer}.norm_2", x))
    return norm("norm", x) @ w["tokens.weight" if c.tied else "head.weight"].T


MIXED = (
    replace(TINY, size="rotary gpt", encoding="rotary", biases=False),
    replace(TINY, size="shared keys, tied", heads=4, kv_heads=1),
    replace(LLAMA, size="llama, learned and tied", encoding="learned", tied=True, kv_heads=None),
    replace(LLAMA, size="llama 3's base", rope_base=500_000.0, biases=True),
)


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("config", [TINY, LLAMA, *MIXED], ids=lambda config: config.size)
def test_logits_equal_a_plain_reference(config, eager):
    model, ids = build(config, gain=4.0), torch.randint(config.vocab, (2, 20))
    if eager:
        model.use_eager_attention()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_()  # zeros would hide a bias in the wrong place
    for row, sequence in zip(model.logits(ids), ids.tolist(), strict=True):
        torch.testing.assert_close(row.double(), reference(model, sequence), rtol=1e-4, atol=1e-4)


def test_rotary_attention_depends_on_distance_only():
    """The product of the same two tokens stays the same if both are seven positions later."""
    config = replace(LLAMA, heads=2, kv_heads=2)
    q, k = torch.randn(2, 1, 1, 1, 16)
    products = []
    for place in (0, 7):
        rotation_q = rotation_of(config, torch.tensor([place + 3]))
        rotation_k = rotation_of(config, torch.tensor([place]))
        products.append((rotate(q, rotation_q) * rotate(k, rotation_k)).sum())
    torch.testing.assert_close(*products)
    assert abs(products[0] - (q * k).sum()) > 0.1


@both_shapes
def test_later_token_changes_no_earlier_logits(config):
    model, ids = build(config), torch.randint(TINY.vocab, (2, 12))
    changed = ids.clone()
    changed[:, 7] = (changed[:, 7] + 1) % TINY.vocab
    before, after = model.logits(ids), model.logits(changed)
    torch.testing.assert_close(before[:, :7], after[:, :7], rtol=0, atol=0)
    assert (before[:, 7:] != after[:, 7:]).any(dim=-1).all()


@pytest.mark.parametrize(
    "config", [TINY, LLAMA, SIZES["llama-nano"]], ids=lambda config: config.size
)
@torch.inference_mode()
def test_cached_decoding_gives_the_tokens_of_full_recomputation(config):
    model, prompt = build(config, gain=4.0), torch.randint(TINY.vocab, (3, 9))
    tokens = decode_by_recomputation(model, prompt, new=10)
    assert decode_with_cache(model, prompt, new=10) == tokens
    assert len(set(itertools.chain(*tokens))) > 5  # or there would be little to compare


@pytest.mark.machine
@both_shapes
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_weights_give_the_same_logits_and_replace_the_plain_ones(config, dtype):
    model = GPT.build(config, CPU, dtype).requires_grad_(False)
    ids = torch.randint(config.vocab, (2, 9))
    with torch.inference_mode():
        plain = model.logits(ids)
        try:
            pack(model.tokens.weight, rows=2)
        except RuntimeError as error:  # a trial then leaves them plain
            pytest.skip(f"this processor cannot pack {dtype}: {error}")
        model.pack(rows=2)
        close = {torch.float32: 1e-5, torch.bfloat16: 2e-2}[dtype]
        torch.testing.assert_close(model.logits(ids), plain, rtol=close, atol=close)
    names = [name for name, _ in model.named_parameters()]
    weights = {name for name in names if name.endswith("weight") and "norm" not in name}
    assert weights <= {"tokens.weight", "positions.weight"}


@both_shapes
@torch.inference_mode()
def test_decode_ignores_the_cache_beyond_its_position(config):
    model, prompt = build(config, gain=4.0), torch.randint(TINY.vocab, (1, 9))
    cache = model.new_cache(1, 16)
    token = model.prefill(prompt, cache)
    clean = model.decode(token, torch.tensor([9]), cache)
    for keys, values in cache:
        keys[:, :, 10:], values[:, :, 10:] = 1e4, 1e4
    assert torch.equal(model.decode(token, torch.tensor([9]), cache), clean)


@TORCH_WARNS_OF_ITSELF
@both_shapes
@torch.inference_mode()
@pytest.mark.usefixtures("compile_backend")
def test_compiled_decode_gives_the_same_tokens_and_compiles_once(config):
    model, prompt = build(replace(config, layers=1), gain=4.0), torch.randint(TINY.vocab, (1, 9))
    with torch._dynamo.config.patch(error_on_recompile=True):
        decode = torch.compile(model.decode, dynamic=False)
        assert decode_with_cache(model, prompt, 10, decode) == decode_with_cache(model, prompt, 10)


def test_greedy_tokens_are_never_padding():
    model = build()
    with torch.no_grad():
        model.tokens.weight[TINY.vocab :] = 1e3 * model.tokens.weight[:1].sign()
        cache = model.new_cache(4, 8)
        assert model.prefill(torch.randint(TINY.vocab, (4, 8)), cache).max() < TINY.vocab


@both_shapes
def test_gradients_in_fp32_agree_with_float64(config):
    single = build(config)
    double = copy.deepcopy(single).double()
    ids = torch.randint(TINY.vocab, (2, 13))
    inputs, targets = ids[:, :-1], ids[:, 1:]
    single.loss(inputs, targets).backward()
    # loss() computes in fp32 from the logits on; here everything is float64
    logits = double.logits(inputs).flatten(0, 1)
    torch.nn.functional.cross_entropy(logits, targets.flatten()).backward()
    for (name, a), b in zip(single.named_parameters(), double.parameters(), strict=True):
        error = (a.grad.double() - b.grad).norm() / b.grad.norm().clamp_min(1e-8)
        assert error < 1e-5, name


def gradients(model: GPT, ids: torch.Tensor) -> tuple[float, list[torch.Tensor]]:
    """Compute the loss of next tokens, and the gradients of all parameters."""
    model.zero_grad(set_to_none=True)
    loss = model.loss(ids[:, :-1].contiguous(), ids[:, 1:].contiguous())
    loss.backward()
    return loss.item(), [parameter.grad for parameter in model.parameters()]


@both_shapes
def test_checkpointing_changes_no_gradient(config):
    model, ids = build(config), torch.randint(config.vocab, (2, 13))
    expected = gradients(model, ids)
    entered = []
    for block in model.blocks:
        block.register_forward_hook(lambda *_: entered.append(1), always_call=True)
    model.checkpointed = True
    loss, recomputed = gradients(model, ids)
    assert loss == expected[0]
    assert all(torch.equal(a, b) for a, b in zip(recomputed, expected[1], strict=True))
    assert len(entered) == 2 * config.layers  # forward, and again for backward


@both_shapes
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("chunks", [1, 5, 24])
def test_chunked_loss_has_the_same_value_and_gradients(config, dtype, close, chunks):
    model, ids = build(config, gain=4.0).to(dtype), torch.randint(config.vocab, (2, 13))
    loss, expected = gradients(model, ids)
    inputs, targets = ids[:, :-1], ids[:, 1:]
    if dtype == torch.float64:  # loss() computes in fp32 from the logits on
        model.zero_grad(set_to_none=True)
        logits = model.logits(inputs).flatten(0, 1)
        exact = torch.nn.functional.cross_entropy(logits, targets.flatten())
        exact.backward()
        loss, expected = exact.item(), [parameter.grad for parameter in model.parameters()]
    model.loss_chunks = chunks
    chunked_loss, chunked = gradients(model, ids)
    assert chunked_loss == pytest.approx(loss, rel=close)
    for a, b in zip(chunked, expected, strict=True):
        assert (a - b).norm() <= close * b.norm().clamp_min(1e-8)


def test_chunked_loss_never_holds_all_logits():
    model, ids = build(replace(TINY, vocab=300)), torch.randint(TINY.vocab, (2, 13))
    shapes = []

    class Shapes(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **kwargs or {})
            leaves = torch.utils._pytree.tree_leaves(result)
            shapes.extend(leaf.shape for leaf in leaves if torch.is_tensor(leaf))
            return result

    for chunks, rows in ((None, 24), (6, 4)):
        shapes.clear()
        model.loss_chunks = chunks
        with Shapes():
            gradients(model, ids)
        wide = {shape.numel() // 384 for shape in shapes if shape and shape[-1] == 384}
        assert wide - {TINY.width} == {rows}  # the transposed head has TINY.width rows


def test_weights_are_drawn_as_gpt2_draws_them():
    model = build(SIZES["nano"])
    assert model.tokens.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert model.positions.weight.std().item() == pytest.approx(0.01, rel=0.02)
    block = model.blocks[1]
    assert block.up.weight.std().item() == pytest.approx(0.02, rel=0.02)
    # 2 layers, 4 residual additions
    assert block.down.weight.std().item() == pytest.approx(0.02 / 4**0.5, rel=0.02)
    assert block.attention.out.weight.std().item() == pytest.approx(0.02 / 4**0.5, rel=0.02)
    assert not block.up.bias.any()
    assert (block.norm_1.weight == 1).all()


def test_seed_decides_the_weights():
    one, other = build(), build()
    torch.manual_seed(0)
    same = build()
    assert torch.equal(one.tokens.weight, same.tokens.weight)
    assert not torch.equal(one.tokens.weight, other.tokens.weight)


def test_weights_can_be_stored_in_bf16():
    model = build(dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert model.new_cache(1, 4)[0][0].dtype == torch.bfloat16


def test_more_layers_than_the_model_has_are_refused():
    with pytest.raises(Unsupported, match="gpt 124m has 12 layers, not 13"):
        gpt_config("124m", 13)
    assert gpt_config("124m", 12) == gpt_config("124m") == SIZES["124m"]


def test_sequence_beyond_the_positions_is_refused():
    SIZES["124m"].require_positions(1024)
    with pytest.raises(
        Unsupported, match="gpt 124m has 1024 positions, but the sequence has 1025 tokens"
    ):
        SIZES["124m"].require_positions(1025)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"heads": 5}, "5 heads do not divide a width of 32"),
        ({"kv_heads": 3}, "3 heads of keys do not divide 4 heads"),
        ({"width": 36}, "rotary positions need an even head width, not 9"),
    ],
)
def test_heads_that_do_not_divide_are_refused(change, reason):
    with pytest.raises(UserError, match=f"gpt tiny-llama: {reason}"):
        replace(LLAMA, **change)
