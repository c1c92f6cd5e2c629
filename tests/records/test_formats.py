"""Which formats count as fast or emulated, by their rates."""

import pytest

from hwbench.formats import fastest, in_words, is_emulated, slowness

AVX2 = {"fp32": 93e9, "bf16": 2.8e9, "fp16": 2.9e9, "int8": 178e9}
AVX512 = {"fp32": 94e9, "bf16": 191e9, "fp16": 2.8e9, "int8": 515e9}
TURING = {"fp32": 8e12, "bf16": 2e12, "fp16": 60e12, "int8": None}
TRAINING, INFERENCE = ("fp32", "bf16", "fp8"), ("fp32", "bf16", "fp16")


def test_a_format_below_half_of_fp32_is_emulated():
    assert [is_emulated(name, AVX2) for name in AVX2] == [False, True, True, False]
    assert not is_emulated("bf16", {"fp32": 100.0, "bf16": 50.0})
    assert is_emulated("bf16", {"fp32": 100.0, "bf16": 49.9})


@pytest.mark.parametrize("rates", [{}, {"fp32": 1e9}, {"bf16": 1e9}, {"fp32": 1e9, "bf16": None}])
def test_an_unmeasured_format_is_not_emulated(rates):
    assert not is_emulated("bf16", rates)


@pytest.mark.parametrize(
    ("rates", "training", "inference"),
    [
        (AVX2, "fp32", "fp32"),
        (AVX512, "bf16", "bf16"),
        (TURING, "fp32", "fp16"),
        ({}, "fp32", "fp32"),
    ],
)
def test_auto_is_the_fastest_format_that_the_workload_has(rates, training, inference):
    assert (fastest(TRAINING, rates), fastest(INFERENCE, rates)) == (training, inference)


def test_of_two_formats_as_fast_the_first_in_order_is_chosen():
    assert fastest(INFERENCE, {"fp32": 1.0, "bf16": 9.1, "fp16": 10.0}) == "bf16"
    assert fastest(INFERENCE, {"fp32": 1.0, "bf16": 8.9, "fp16": 10.0}) == "fp16"


def test_a_format_slower_than_fp32_is_not_chosen():
    assert fastest(INFERENCE, {"fp32": 100.0, "bf16": 70.0}) == "fp32"


def test_without_rates_and_fp32_the_first_choice_is_taken():
    assert fastest(("fp8",), {}) == "fp8"


def test_rates_in_words():
    assert slowness("bf16", AVX2, "one thread") == (
        "bf16 is emulated here: 2.8 GFLOP/s of one thread, fp32 93 GFLOP/s"
    )
    assert [in_words(rate) for rate in (None, 5e6, 1.5e12)] == [
        "not multiplied",
        "5 MFLOP/s",
        "1.5 TFLOP/s",
    ]
