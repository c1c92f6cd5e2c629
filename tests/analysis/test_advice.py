"""Advice on a step of 1 s whose losses are known."""

import math
from dataclasses import replace

import pytest
from profiles import COPY, GEMM, gap, op, profile_of, run_with, training

from hwbench.analysis.profile.advice import LOSSES, _losses, advice
from hwbench.analysis.profile.operators import profiled_case
from hwbench.analysis.profile.waterfall import waterfall
from hwbench.records import Case

LINUX = {"os": "Linux 6.1", "variables": {}}
BF16 = Case("gemm", {"n": 64}, "bf16")


def of(run):
    case = profiled_case(run)
    return advice(run, case, waterfall(run, case))


def training_as(dtype="fp32", **params):
    base = {"size": "nano", "batch": 1, "seq": 64, "compile": False, "loss_chunks": None}
    return Case("gpt/train", base | params, dtype)


def told(rows, case=None, **more):
    more = {"environment": LINUX} | more
    return {
        one.code: one for one in of(run_with(profile_of(rows), case=case or training_as(), **more))
    }


def test_the_three_largest_losses_with_their_seconds_share_and_cures():
    found = of(run_with(training(), environment=LINUX))
    assert [one.sentence for one in found] == [
        "Products beyond the matmul ceiling take 150 ms, 15 % of the step: bf16 instead of fp32 "
        "(--dtype bf16); or a larger batch (batch=2) makes them larger.",
        "The optimizer's update takes 100 ms, 10 % of the step, of which memory needs 90 ms: "
        "a larger batch (batch=2) spreads it over more tokens.",
        "The framework, outside of all operators, takes 100 ms, 10 % of the step: compile=true "
        "calls fewer operators; or a larger batch (batch=2) makes each call longer and not more of "
        "them.",
    ]
    assert [one.seconds for one in found] == pytest.approx([0.15, 0.1, 0.1])
    assert [one.share for one in found] == pytest.approx([0.15, 0.1, 0.1])


def test_a_step_at_its_ceiling_and_a_loss_of_one_percent_have_no_advice():
    rows = [op("aten::mm", 0.99, 0.99e9, 0.0), op("aten::gelu", 0.01, 0.0, 0.005e9)]
    assert told(rows) == {}
    assert list(
        told([op("aten::mm", 0.98, 0.98e9, 0.0), op("aten::gelu", 0.02, 0.0, 0.005e9)])
    ) == ["elementwise"]


def test_losses_sum_to_the_step_less_the_least_times_of_products():
    """All losses, not only the three of the advice."""
    run = run_with(training())
    case = profiled_case(run)
    found = waterfall(run, case)
    lost = math.fsum(loss.seconds for loss in _losses(case, found).values())
    assert lost == pytest.approx(found.clean_step_s - found.seconds("compute"))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("aten::gelu", "elementwise"),
        ("aten::_log_softmax_backward_data", "cross_entropy"),
        ("aten::nll_loss_forward", "cross_entropy"),
        ("aten::embedding_dense_backward", "embedding"),
        ("aten::_softmax", "elementwise"),
        ("aten::_fused_adamw_", "optimizer"),
        ("aten::_to_copy", "casts"),
        ("(compiled code)", "compiled"),
        ("mystery::op", "others"),
        ("aten::mm", "thin_products"),
    ],
)
def test_each_operator_counts_to_one_loss(name, code):
    assert list(told([op(name, 1.0, 0.0, 0.5e9)])) == [code]


def test_a_cure_that_the_case_uses_already_is_not_proposed():
    rows = [op("aten::gelu", 1.0, 0.0, 0.5e9)]
    sentence = told(rows)["elementwise"].sentence
    assert "compile=true" in sentence
    assert "MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 before the command" in sentence
    kept = {"os": "Linux", "variables": {"MALLOC_MMAP_MAX_": "0"}}
    done = told(rows, training_as("bf16", compile=True), environment=kept)["elementwise"].sentence
    assert done.endswith("of which memory needs 500 ms: no cure is known here.")


def test_a_cure_names_only_axes_that_the_case_has():
    lstm = Case("lstm/train", {"size": "default", "batch": 4, "seq": 8, "optimizer": "sgd"}, "bf16")
    rows = [
        op("aten::mm", 0.4, 0.1e9, 0.0),
        op("aten::gelu", 0.3, 0.0, 0.1e9),
        op("aten::_to_copy", 0.3, 0.0, 0.2e9),
    ]
    found = told(rows, lstm, ceilings=(BF16, GEMM, COPY), environment={"os": "Darwin"})
    sentences = " ".join(one.sentence for one in found.values())
    assert "compile=" not in sentences
    assert "batch=" not in sentences  # sgd learns from one sample
    assert "a longer sequence than seq=8, where" in found["products"].sentence
    assert found["elementwise"].sentence.endswith("no cure is known here.")
    assert "weights held in bf16" in found["casts"].sentence


def test_bf16_is_proposed_with_its_measured_gain_and_not_where_it_is_no_faster():
    rows = [op("aten::mm", 1.0, 0.5e9, 0.0)]
    run = run_with(profile_of(rows), ceilings=(GEMM, COPY, BF16), environment=LINUX)
    assert "bf16" not in of(run)[0].sentence
    faster = run.measurements.assign(
        flops=run.measurements.flops.where(run.measurements.case_id != BF16.case_id, 2_500_000)
    )
    assert "bf16 instead of fp32 (--dtype bf16), whose products are 2.5 times as fast here" in (
        of(replace(run, measurements=faster))[0].sentence
    )


def test_a_fused_optimizer_is_proposed_only_where_it_is_not_used():
    rows = [op("aten::_foreach_add_", 0.4, 0.0, 0.1e9)]
    assert ": a fused optimizer updates in one pass; or" in told(rows)["optimizer"].sentence
    assert (
        "a fused optimizer"
        not in told([*rows, op("aten::_fused_adamw_", 0.4, 0.0, 0.1e9)])["optimizer"].sentence
    )


def test_fewer_parts_of_a_batch_are_proposed_where_batches_are_split():
    case = training_as("bf16", accumulate=4, optimizer="sgd")
    rows = [op("aten::mm", 1.0, 0.5e9, 0.0, dtype="bf16")]
    assert (
        ": fewer parts of a batch than accumulate=4 make larger products; or a longer sequence"
        in (told(rows, case, ceilings=(BF16, COPY))["products"].sentence)
    )


def test_the_attention_backend_is_named_if_known():
    rows = [op("aten::_scaled_dot_product_attention_math", 1.0, 0.5e9, 0.0)]
    run = run_with(
        profile_of(rows),
        case=training_as(attention=None),
        choices='{"attention": "math"}',
        environment={},
    )
    assert "--set attention= tries another backend than math; or bf16" in of(run)[0].sentence


def test_an_accelerators_losses():
    rows = [op("aten::mm", 0.3, 0.2e9, 0.0), op("aten::copy_", 0.2, 0.0, 0.1e9)]
    profile = profile_of(
        rows, device_busy_s=0.5, copy_s=0.15, gaps=[gap(0.3, "host_late"), gap(0.2, "kernel_wait")]
    )
    run = run_with(profile, case=training_as("fp32"), environment=LINUX)
    found = of(run)
    assert [one.code for one in found] == ["host_late", "idle", "transfers"]
    assert [one.seconds for one in found] == pytest.approx([0.3, 0.2, 0.15])
    assert found[0].sentence.startswith(
        "Waiting for a host that launches too late takes 300 ms, 30 % of the step: "
        "compile=reduce-overhead"
    )
    assert "pinned memory" in found[2].sentence


def test_times_have_the_unit_of_their_size():
    rows = [op("aten::gelu", 0.0005, 1.0, 0.0)]
    assert (
        "takes 500 µs"
        in of(run_with(profile_of([op("aten::_fused_sgd_", 0.0005)], clean=0.0005)))[0].sentence
    )
    assert (
        "take 2 s" in of(run_with(profile_of([rows[0] | {"seconds": 2.0}], clean=2.0)))[0].sentence
    )


def test_every_loss_begins_a_sentence():
    for code, loss in LOSSES.items():
        assert loss.beginning[0].isupper(), code
        assert loss.beginning.endswith((" take", " takes")), code
        assert loss.cures, code


def test_a_profile_of_another_step_has_no_advice():
    """One product of twice the clean step, without any event of the profiler."""
    assert (
        of(run_with(profile_of([op("aten::mm", 2.0, 0.5e9, 1.0)], clean=1.0, profiled_s=2.0))) == []
    )
