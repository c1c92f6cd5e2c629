"""The work of whole steps and of their spans."""

import pytest

from hwbench.accounts.gpt import GPTConfig
from hwbench.accounts.sizes import SIZES
from hwbench.accounts.steps import (
    decode_work,
    forward_work,
    prefill_work,
    training_spans,
    training_work,
)
from hwbench.accounts.updates import DATASET_BATCHES
from hwbench.records import Unsupported, Work

GPT = GPTConfig("tiny", layers=3, heads=2, width=32, positions=24, vocab=100)


def test_spans_sum_to_the_step():
    work = Work(tokens=8, flops=90, bytes=1000, flops_full_attention=120, hardware_flops=110)
    forward = Work(tokens=8, flops=30, bytes=100, flops_full_attention=40, hardware_flops=30)
    assert training_spans(work, forward, 10, "adamw") == {
        "forward": forward,
        "backward": Work(
            tokens=8, flops=60, bytes=1000 - 100 - 280, flops_full_attention=80, hardware_flops=80
        ),
        "optimizer": Work(flops=160, bytes=280),
    }


def test_undeclared_work_of_a_step_is_undeclared_in_its_spans():
    spans = training_spans(Work(flops=90), Work(flops=30), 10, "sgd")
    assert spans["backward"] == Work(flops=60)


def test_training_counts_every_sample_that_the_optimizer_learns_from():
    for optimizer, samples in (("adamw", 4), ("sgd", 1), ("gd", 4 * DATASET_BATCHES)):
        work, spans = training_work(GPT, 4, 16, optimizer)
        assert (work.tokens, work.flops) == (samples * 16, GPT.train_flops(samples, 16))
        assert spans["forward"].flops == GPT.forward_flops(samples, 16)
        assert spans["backward"].flops == GPT.backward_flops(samples, 16)


def test_recomputed_flops_are_hardware_flops_of_backward():
    plain, _ = training_work(GPT, 4, 16, "adamw")
    again, spans = training_work(GPT, 4, 16, "adamw", recomputed_flops=1000)
    unknown, _ = training_work(GPT, 4, 16, "adamw", recomputed_flops=None)
    assert plain.hardware_flops == plain.flops
    assert again.hardware_flops == plain.flops + 1000
    assert spans["backward"].hardware_flops == spans["backward"].flops + 1000
    assert unknown.hardware_flops is None


def test_batch_that_cannot_be_cut_into_equal_parts_is_unsupported():
    with pytest.raises(Unsupported, match="accumulate=3 does not divide batch=4"):
        training_work(GPT, 4, 16, "adamw", accumulate=3)


def test_decoding_a_whole_sequence_costs_the_flops_of_forward():
    written, forward = decode_work(GPT, 2, 0, 16, "bf16"), forward_work(GPT, 2, 16, "bf16")
    assert (written.tokens, written.flops) == (forward.tokens, forward.flops)
    assert written.bytes > 15 * forward.bytes  # the weights are read for every token


def test_prefill_needs_the_head_once():
    prefill, forward = prefill_work(GPT, 2, 16, "bf16"), forward_work(GPT, 2, 16, "bf16")
    assert forward.flops - prefill.flops == 2 * 15 * 2 * GPT.width * GPT.vocab


def test_flops_per_token_are_those_of_a_sequence():
    config = SIZES["124m"]
    assert config.forward_flops_per_token(1024) * 1024 == config.forward_flops(1, 1024)
    assert config.train_flops_per_token(1024) * 1024 == config.train_flops(1, 1024)
    assert config.train_flops_per_token(1024) == 3 * config.forward_flops_per_token(1024)
