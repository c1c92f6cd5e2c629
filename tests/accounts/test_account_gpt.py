"""Closed forms of a GPT's work, against published figures and torch's own counter."""

from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from hwbench.accounts.gpt import GPTConfig
from hwbench.accounts.sizes import SIZES, gpt_config
from workloads.models.gpt import GPT

TINY = GPTConfig("tiny", layers=3, heads=2, width=32, positions=24, vocab=100)
LLAMA = replace(
    SIZES["llama-nano"], size="tiny-llama", layers=3, width=32, positions=24, vocab=100, inner=48
)
BATCH, SEQ = 2, 16
CPU = torch.device("cpu")
# FLOPs a token of the padding, which are no model FLOPs: 100 tokens are padded to 128
HEAD_PADDING = 2 * 32 * 28

both_shapes = pytest.mark.parametrize("config", [TINY, LLAMA], ids=lambda config: config.size)


def tokens(batch: int = BATCH, seq: int = SEQ) -> torch.Tensor:
    return torch.randint(100, (batch, seq))


def count_flops(run, backend: SDPBackend = SDPBackend.MATH) -> int:
    """Count the FLOPs of `run()` by torch's counter, which sees the matmuls of MATH attention."""
    with sdpa_kernel(backend), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


# Parameters


@pytest.mark.parametrize(
    ("size", "parameters"),
    [
        ("124m", 124_439_808),  # the released GPT-2 checkpoints
        ("355m", 354_823_168),
        ("774m", 774_030_080),
        ("1.5b", 1_557_611_200),
    ],
)
def test_gpt2_parameters_equal_the_release(size, parameters):
    assert SIZES[size].parameters == parameters


@pytest.mark.parametrize(
    ("size", "billions", "within"),
    [
        # 355.9M: GPT-3's tables 2.1 and D.1 give the sizes; D.1 says 356M, 760M, 1,320M,
        ("350m", 0.356, 0.002),
        ("760m", 0.760, 0.002),  # 2,650M, 6,660M, 12,850M and 174,600M
        ("1.3b", 1.320, 0.01),
        ("2.7b", 2.650, 0.002),
        ("6.7b", 6.660, 0.002),
        ("13b", 12.850, 0.002),  # a width of 5120 where the paper has 5140
        ("175b", 174.600, 0.001),
    ],
)
def test_gpt3_parameters_equal_its_table(size, billions, within):
    assert SIZES[size].parameters / 1e9 == pytest.approx(billions, rel=within)


@pytest.mark.parametrize(
    ("size", "parameters"),
    [
        ("tinyllama", 1_100_048_384),  # what the released checkpoints hold
        ("llama-2-7b", 6_738_415_616),
        ("llama-3.2-1b", 1_235_814_400),
        ("llama-3-8b", 8_030_261_248),
        ("llama-3-70b", 70_553_706_496),
    ],
)
def test_llama_parameters_equal_the_release(size, parameters):
    assert SIZES[size].parameters == SIZES[size].stored_parameters == parameters


OTHERS = (
    replace(TINY, size="no-biases", biases=False),
    replace(TINY, size="rotary", encoding="rotary"),
    replace(LLAMA, size="tied", tied=True),
    replace(LLAMA, size="biases", biases=True, kv_heads=1),
)


@pytest.mark.parametrize(
    "config", [*SIZES.values(), TINY, LLAMA, *OTHERS], ids=lambda config: config.size
)
def test_built_model_has_the_counted_parameters(config):
    with torch.device("meta"):  # no memory: even 175B can be counted
        stored = sum(parameter.numel() for parameter in GPT(config).parameters())
    assert stored == config.stored_parameters
    padding = (config.padded_vocab - config.vocab) * config.width
    assert stored - config.parameters == (1 if config.tied else 2) * padding


def test_padded_vocabulary_is_the_next_multiple_of_128():
    assert SIZES["124m"].padded_vocab == 50304 == 393 * 128
    assert GPTConfig("even", layers=1, heads=1, width=8, positions=8, vocab=256).padded_vocab == 256


def test_cut_layers_take_only_their_parameters_away():
    d = SIZES["124m"].width
    assert SIZES["124m"].parameters - gpt_config("124m", 10).parameters == 2 * (12 * d * d + 13 * d)


# FLOPs against the papers


def test_training_flops_are_megatrons_less_hidden_pairs():
    """Narayanan et al. 2021, equation 2, without recomputation: 72BTLd²(1 + T/6d + V/12Ld)."""
    c, batch, seq = SIZES["1.5b"], 8, 1024
    megatron = 72 * batch * seq * c.layers * c.width**2 + 12 * batch * seq**2 * c.layers * c.width
    megatron += 6 * batch * seq * c.width * c.vocab
    hidden = batch * seq * (seq - 1) // 2
    assert c.train_flops(batch, seq) == megatron - 12 * c.layers * c.width * hidden


def test_training_flops_are_palms_with_half_the_pairs():
    """PaLM, appendix B: 6N + 12LHQT a token, where HQ is the width. Causal attention has (T+1)/2T
    of its pairs."""
    c, seq = SIZES["124m"], 1024
    biases_and_norms = c.layers * 13 * c.width + 2 * c.width
    multiplying = c.parameters - c.positions * c.width - biases_and_norms
    assert c.train_flops(1, seq) == seq * (6 * multiplying + 6 * c.layers * c.width * (seq + 1))


def test_gpt3_training_cost_equals_the_published_one():
    """Brown et al. 2020, table D.1: 3.14e23 FLOPs for 300 billion tokens, without attention."""
    c = SIZES["175b"]
    without_attention = c.train_flops(1, 2048) - 3 * 2 * c.layers * c.width * 2048 * 2049
    assert without_attention / 2048 * 300e9 == pytest.approx(3.14e23, rel=0.002)


def test_full_attention_training_flops_equal_megatrons_and_palms():
    """Narayanan et al. 2021, equation 2, three of its four passes; PaLM, appendix B, 6N + 12LHQT a
    token."""
    c, batch, seq = SIZES["175b"], 4, 2048
    megatron = 72 * batch * seq * c.layers * c.width**2 + 12 * batch * seq**2 * c.layers * c.width
    megatron += 6 * batch * seq * c.width * c.vocab
    assert c.train_flops(batch, seq, full_attention=True) == megatron
    multiplying = 12 * c.layers * c.width**2 + c.vocab * c.width
    assert megatron == batch * seq * (6 * multiplying + 12 * c.layers * c.width * seq)


def test_gpt2_flops_per_token_match_nanogpt_and_llmc():
    """nanoGPT's estimate_mfu: 6N + 12LHQT, N without positions. llm.c: 6N + 6LdT, N with padding.

    Both count biases and norms as matmuls, which is a thousandth; llm.c also its positions, six
    thousandths.
    """
    c, seq = SIZES["124m"], 1024
    nanogpt = 6 * (c.parameters - c.positions * c.width) + 12 * c.layers * c.width * seq
    llmc = 6 * c.stored_parameters + 6 * c.layers * c.width * seq
    assert (nanogpt, llmc) == (855_166_464, 803_478_528)
    assert c.train_flops(1, seq, full_attention=True) / seq == pytest.approx(nanogpt, rel=0.001)
    assert c.train_flops(1, seq) / seq == pytest.approx(llmc, rel=0.008)


def test_llama_3_8b_flops_per_token_match_the_published_ones():
    """At 8,192 tokens 57.9 GFLOP with full attention, 6N + 12LHQT as torchtitan counts, and 51.5
    causal."""
    c, seq = SIZES["llama-3-8b"], 8192
    # which counts the norms as matmuls
    palm = 6 * (c.parameters - c.vocab * c.width) + 12 * c.layers * c.width * seq
    full = c.train_flops_per_token(seq, full_attention=True)
    assert full == pytest.approx(palm, rel=1e-4)
    assert round(full / 1e9, 1) == 57.9
    assert round(c.train_flops_per_token(seq) / 1e9, 1) == 51.5


def test_shared_keys_save_projections_and_cache_but_no_pairs():
    own = replace(SIZES["llama-3-8b"], kv_heads=32)
    shared = SIZES["llama-3-8b"]
    projections = 32 * 2 * 4096 * (4096 - 1024)
    assert own.parameters - shared.parameters == projections
    assert own.forward_flops(1, 100) - shared.forward_flops(1, 100) == 100 * 2 * projections
    assert own.kv_cache_bytes(3, 100, "bf16") == 4 * shared.kv_cache_bytes(3, 100, "bf16")
    assert shared.kv_cache_bytes(1, 1, "bf16") == 128 * 1024  # 128 KiB a token


def test_full_attention_prefill_adds_the_hidden_pairs():
    c = SIZES["124m"]
    hidden = 512 * 511 // 2
    added = c.prefill_flops(3, 512, full_attention=True) - c.prefill_flops(3, 512)
    assert added == 3 * 4 * c.layers * c.width * hidden


def test_prefill_is_forward_with_the_head_on_one_position():
    c = SIZES["124m"]
    assert c.forward_flops(4, 512) - c.prefill_flops(4, 512) == 4 * 511 * 2 * c.width * c.vocab


def test_decoding_a_sequence_costs_the_flops_of_forward():
    c = SIZES["355m"]
    assert sum(c.decode_flops(2, position) for position in range(300)) == c.forward_flops(2, 300)


# FLOPs against torch's counter


def hidden_flops(config: GPTConfig) -> int:
    """FLOPs of the pairs that causality hides: torch's MATH attention computes and masks them."""
    return 4 * config.layers * config.width * BATCH * SEQ * (SEQ - 1) // 2


@both_shapes
def test_forward_agrees_with_torch_but_for_padding_and_hidden_pairs(config):
    model, ids = GPT.build(config, CPU), tokens()
    extra = BATCH * SEQ * HEAD_PADDING + hidden_flops(config)
    expected = config.forward_flops(BATCH, SEQ) + extra
    assert count_flops(lambda: model.logits(ids)) == expected


@both_shapes
def test_training_agrees_with_torch_but_for_padding_and_hidden_pairs(config):
    model, ids = GPT.build(config, CPU), tokens()
    extra = BATCH * SEQ * HEAD_PADDING + hidden_flops(config)
    expected = config.train_flops(BATCH, SEQ) + 3 * extra
    assert count_flops(lambda: model.loss(ids, ids).backward()) == expected


@both_shapes
def test_recomputed_flops_agree_with_torch(config):
    model, ids = GPT.build(config, CPU), tokens()
    plain = count_flops(lambda: model.loss(ids, ids).backward())
    model.checkpointed = True
    again = count_flops(lambda: model.loss(ids, ids).backward()) - plain
    assert again == config.recomputed_flops(BATCH, SEQ) + hidden_flops(config)


@both_shapes
def test_prefill_agrees_with_torch_but_for_padding_and_hidden_pairs(config):
    model, ids = GPT.build(config, CPU).requires_grad_(False), tokens()
    cache = model.new_cache(BATCH, SEQ)
    extra = BATCH * HEAD_PADDING + hidden_flops(config)
    expected = config.prefill_flops(BATCH, SEQ) + extra
    assert count_flops(lambda: model.prefill(ids, cache)) == expected


@both_shapes
def test_decode_agrees_with_torch_but_for_padding(config):
    """At the cache's last position nothing is masked."""
    model = GPT.build(config, CPU).requires_grad_(False)
    cache = model.new_cache(BATCH, SEQ)
    flops = count_flops(lambda: model.decode(tokens(seq=1), torch.tensor([SEQ - 1]), cache))
    assert flops == config.decode_flops(BATCH, SEQ - 1) + BATCH * HEAD_PADDING


def test_torch_does_not_see_fused_attention_on_a_cpu():
    """pytorch #195460: the counter has no formula for the CPU's flash kernel. A newer torch may
    count T²."""
    model, ids = GPT.build(TINY, CPU), tokens()
    attention = BATCH * 4 * TINY.layers * TINY.width * SEQ**2
    matmuls = BATCH * SEQ * (24 * TINY.layers * TINY.width**2 + 2 * TINY.width * TINY.padded_vocab)
    flops = count_flops(lambda: model.logits(ids), SDPBackend.FLASH_ATTENTION)
    assert flops in (matmuls, matmuls + attention)


def test_torch_counts_flash_backward_in_hardware_flops():
    """Flash attention computes QKᵀ again in backward: five matmuls to forward's two, where model
    FLOPs count four."""
    shape = (BATCH, TINY.heads, SEQ, TINY.width // TINY.heads)
    forward = sdpa_flop_count(shape, shape, shape)
    assert forward == BATCH * 4 * TINY.width * SEQ**2
    assert 2 * sdpa_backward_flop_count(shape, shape, shape, shape) == 5 * forward


# Bytes and memory


@pytest.mark.parametrize(
    ("optimizer", "bytes_each"),
    [("adamw", 40), ("adam", 40), ("sgd-minibatch", 32), ("sgd", 24), ("gd", 72)],
)
def test_training_bytes_per_parameter(optimizer, bytes_each):
    """In fp32: two reads for forward and backward, gradient out and in, weight in and out, each
    state in and out. For each of gd's three further batches two reads again, and the gradient in
    and out."""
    c = SIZES["124m"]
    assert c.train_bytes(4, c.positions, optimizer) == bytes_each * c.parameters


def test_training_reads_only_the_positions_in_use():
    c = SIZES["124m"]
    unused_rows = c.positions - 128
    assert c.train_bytes(4, 128, "sgd") == 24 * c.parameters - 2 * 4 * unused_rows * c.width


def test_untied_token_table_is_read_by_rows_and_only_in_forward():
    c = SIZES["llama-3-8b"]
    others = c.parameters - c.vocab * c.width
    assert c.forward_bytes(2, 100, "bf16") == 2 * (others + 200 * c.width)
    entry = c.kv_cache_bytes(3, 1, "bf16")
    assert c.decode_bytes(3, 0, "bf16") == 2 * (others + 3 * c.width) + entry
    assert c.train_bytes(2, 100, "sgd") == 4 * (2 * others + 200 * c.width + 4 * c.parameters)
    assert c.forward_bytes(1000, 1000, "bf16") == 2 * c.parameters  # more tokens than rows
    tied = SIZES["llama-3.2-1b"]
    assert tied.forward_bytes(1, 1, "bf16") == 2 * tied.parameters


def test_decode_reads_weights_and_cache_and_writes_one_entry():
    c = SIZES["124m"]
    read = c.parameters - 1023 * c.width  # one row of the position table
    entry = 2 * 12 * 768  # keys and values of all layers, a position and sequence
    assert c.decode_bytes(1, 0, "bf16") == 2 * (read + entry)
    assert c.decode_bytes(3, 100, "fp32") == 4 * (read + 3 * 101 * entry)


def test_prefill_reads_weights_once_and_writes_the_cache():
    c = SIZES["124m"]
    assert c.prefill_bytes(2, 1024, "bf16") == 2 * c.parameters + c.kv_cache_bytes(2, 1024, "bf16")


@both_shapes
def test_built_cache_has_the_counted_bytes(config):
    cache = GPT.build(config, CPU, torch.bfloat16).new_cache(3, 20)
    allocated = sum(keys.nbytes + values.nbytes for keys, values in cache)
    assert allocated == config.kv_cache_bytes(3, 20, "bf16")


def test_cache_of_175b_is_counted_without_building_it():
    # 9.7 GB a sequence
    assert SIZES["175b"].kv_cache_bytes(1, 2048, "bf16") == 96 * 2 * 12288 * 2048 * 2


def test_training_state_counts_stored_parameters():
    c = SIZES["124m"]
    assert c.train_state_bytes("adamw") == 16 * c.stored_parameters


def test_inference_state_of_175b_is_counted_without_building_it():
    c = SIZES["175b"]
    state = c.inference_state_bytes(1, 2048, "bf16")
    assert state == 2 * c.stored_parameters + c.kv_cache_bytes(1, 2048, "bf16")
    assert state / 1e9 == pytest.approx(358.9, rel=0.001)
