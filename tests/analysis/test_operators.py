"""Operators against ceilings of 1 GFLOP/s and 1 GB/s, in exact numbers."""

import math

import pytest
from profiles import COPY, GEMM, TRAIN, op, profile_of, run_with, training
from runs import profiled

from hwbench.analysis.profile.kinds import common_name, kind_of
from hwbench.analysis.profile.operators import (
    MOST_EVENT_S,
    by_name,
    operators,
    profiled_case,
    profiled_cases,
    rows_of,
)
from hwbench.records import Case, UserError


def rows(run):
    return operators(run, profiled_case(run)).set_index("name")


@pytest.mark.parametrize(
    ("name", "kind", "common"),
    [
        ("aten::addmm", "matmul", "matmul"),
        ("aten::mm", "matmul", "matmul"),
        ("mkldnn::_linear_pointwise", "matmul", "matmul"),
        ("aten::_scaled_mm", "matmul", "matmul"),
        (
            "aten::_scaled_dot_product_flash_attention_for_cpu_backward",
            "attention",
            "scaled_dot_product_attention",
        ),
        ("aten::_scaled_dot_product_cudnn_attention", "attention", "scaled_dot_product_attention"),
        ("aten::native_layer_norm_backward", "memory", "layer_norm"),
        ("aten::gelu_backward", "memory", "gelu"),
        ("aten::_log_softmax_backward_data", "memory", "log_softmax"),
        ("aten::nll_loss_forward", "memory", "nll_loss"),
        ("aten::add.Tensor", "memory", "add"),
        ("aten::add_", "memory", "add"),
        ("aten::_fused_adamw_", "optimizer", "adamw"),
        ("aten::_foreach_mul_", "optimizer", "foreach_mul"),
        ("aten::copy_", "copy", "copy"),
        ("aten::_to_copy", "copy", "copy"),
        ("aten::slice", "other", "slice"),
        ("aten::slice_backward", "memory", "slice"),
        ("aten::mkldnn_rnn_layer", "matmul", "rnn_layer"),
        ("aten::address", "other", "address"),
        ("void at::native::vectorized_elementwise_kernel<4>(int)", "memory", None),
        ("sm90_xmma_gemm_bf16bf16_bf16f32", "matmul", None),
        ("nvjet_hsh_128x256_64x4", "matmul", None),
        ("pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits>", "attention", None),
        ("triton_poi_fused_add_mul_0", "memory", None),
        ("Memcpy HtoD (Pinned -> Device)", "copy", None),
        ("", "other", ""),
    ],
)
def test_names_have_a_kind_and_a_common_name(name, kind, common):
    assert kind_of(name) == kind
    assert common in (None, common_name(name))


def test_an_operator_takes_at_least_what_the_slower_ceiling_allows():
    found = rows(run_with(training()))
    assert found.bound.dropna().to_dict() == {
        "aten::addmm": "compute",
        "aten::mm": "compute",
        "aten::_scaled_dot_product_flash_attention_for_cpu": "compute",
        "aten::gelu": "memory",
        "aten::_log_softmax": "memory",
        "aten::_fused_adamw_": "memory",
        "aten::_to_copy": "memory",
    }
    assert found.least_s["aten::addmm"] == pytest.approx(0.20)
    assert found.over_s["aten::addmm"] == pytest.approx(0.10)
    assert found.least_s["aten::gelu"] == pytest.approx(0.04)
    assert found.intensity["aten::addmm"] == pytest.approx(4.0)
    assert found.flops_per_s["aten::addmm"] == pytest.approx(0.20e9 / 0.30)
    assert found.bytes_per_s["aten::gelu"] == pytest.approx(0.5e9)
    assert math.isnan(found.least_s["mystery::op"])
    assert math.isnan(found.over_s["mystery::op"])
    assert found.index[0] == "aten::addmm"  # the most seconds first


def test_a_product_of_few_rows_is_bound_by_memory_and_none_is_faster_than_its_least():
    profile = profile_of([op("aten::mm", 0.5, 0.1e9, 0.2e9), op("aten::bmm", 0.1, 0.4e9, 0.2e9)])
    found = rows(run_with(profile))
    assert found.bound.to_dict() == {"aten::mm": "memory", "aten::bmm": "compute"}
    assert found.least_s.to_dict() == pytest.approx({"aten::mm": 0.2, "aten::bmm": 0.1})
    assert found.over_s.to_dict() == pytest.approx({"aten::mm": 0.3, "aten::bmm": 0.0})


def test_only_flops_of_products_count_and_unknown_work_is_not_zero():
    profile = profile_of(
        [
            op("aten::gelu", 0.5, 0.4e9, 0.1e9),
            op("aten::mm", 0.3, None, 0.1e9),
            op("aten::addmm", 0.3, 0.1e9, None),
            op("aten::mul", 0.3, 0.1e9, None),
        ]
    )
    found = rows(run_with(profile))
    assert found.least_s["aten::gelu"] == pytest.approx(0.1)
    assert found.least_s["aten::addmm"] == pytest.approx(0.1)
    assert found.least_s.isna().to_dict() == {
        "aten::gelu": False, "aten::mm": True, "aten::addmm": False, "aten::mul": True,
    }  # fmt: skip
    assert found.bound["aten::mm"] is None


def test_the_profilers_cost_is_subtracted_by_events_down_to_zero():
    """10 ms longer for 1,000 events: 10 µs each."""
    profile = profile_of(
        [
            op("aten::mm", 0.5, 0.1e9, 0.0, events=200.0),
            op("aten::add", 0.001, 0.0, 0.0, events=300.0),
        ],
        clean=1.0,
        profiled_s=1.01,
        events=1000.0,
    )
    run = run_with(profile)
    found = rows(run)
    assert profiled_case(run).event_s == pytest.approx(1e-5)
    assert profiled_case(run).overhead == pytest.approx(0.01)
    assert found.seconds.to_dict() == pytest.approx({"aten::mm": 0.498, "aten::add": 0.0})
    assert found.profiled_s.to_dict() == pytest.approx({"aten::mm": 0.5, "aten::add": 0.001})


def test_the_profilers_cost_of_an_event_has_a_limit():
    """Half a second for 100 events has another cause."""
    run = run_with(profile_of([op("aten::mm", 0.5, events=50.0)], profiled_s=1.5, events=100.0))
    assert profiled_case(run).event_s == MOST_EVENT_S
    assert rows(run).seconds["aten::mm"] == pytest.approx(0.499)


def test_kernels_timed_by_the_device_need_no_correction():
    profile = profile_of(
        [op("aten::mm", 0.5, events=50.0)], profiled_s=1.5, events=100.0, device_busy_s=0.5
    )
    assert rows(run_with(profile)).seconds["aten::mm"] == 0.5


def test_a_profiled_step_no_longer_than_the_clean_one_has_no_cost():
    profile = profile_of([op("aten::mm", 0.5, events=50.0)], profiled_s=0.9, events=100.0)
    assert rows(run_with(profile)).seconds["aten::mm"] == 0.5


def test_the_ceiling_is_that_of_the_dtype_and_tf32_is_asked_for_by_the_case():
    tf32 = Case("gpt/train", {"size": "nano"}, "tf32")
    profile = profile_of(
        [op("aten::mm", 0.5, 0.1e9, 0.0), op("aten::bmm", 0.5, 0.1e9, 0.0, dtype="bf16")]
    )
    found = rows(run_with(profile, case=tf32, ceilings=(Case("gemm", {"n": 64}, "tf32"), COPY)))
    assert found.compute_ceiling["aten::mm"] == pytest.approx(1e9)
    assert found.least_s["aten::mm"] == pytest.approx(0.1)
    assert math.isnan(found.compute_ceiling["aten::bmm"])
    assert math.isnan(found.least_s["aten::bmm"])
    assert math.isnan(
        rows(run_with(profile, ceilings=(Case("gemm", {"n": 64}, "tf32"),))).least_s["aten::mm"]
    )


def test_rows_are_medians_over_processes_and_absent_ones_count_as_zero():
    always = [op("aten::mm", seconds, 0.1e9, 0.1e9) for seconds in (0.2, 0.3, 0.9)]
    once = op("aten::add", 0.5, 0.0, 0.1e9)
    profiles = [
        profile_of([always[0], once]),
        profile_of([always[1]]),
        profile_of([always[2]], clean=1.2),
    ]
    run = run_with(*profiles)
    found = rows(run)
    assert found.seconds.to_dict() == pytest.approx({"aten::mm": 0.3, "aten::add": 0.0})
    assert found.flops["aten::mm"] == pytest.approx(0.1e9)
    assert profiled_case(run).clean_step_s == 1.0


def test_invalid_profiles_are_left_out_and_named_if_none_is_valid():
    good, bad = (
        profile_of([op("aten::mm", 0.2)]),
        profile_of([op("aten::mm", 0.8)], invalid="lost 3 events"),
    )
    run = run_with(good, bad)
    assert (profiled_case(run).processes, profiled_case(run).invalid) == ((0,), "")
    assert rows(run).seconds["aten::mm"] == 0.2
    assert profiled_case(run_with(bad)).invalid == "lost 3 events"
    assert rows(run_with(bad)).empty


def test_rows_are_added_up_by_name_and_a_sum_with_an_unknown_part_is_unknown():
    profile = profile_of(
        [
            op("aten::mm", 0.3, 0.2e9, 0.1e9, module="a"),
            op("aten::mm", 0.2, 0.1e9, 0.15e9, module="b"),
            op("aten::add", 0.1, 0.0, None, module="a"),
            op("aten::add", 0.1, 0.0, 0.05e9, module="b"),
        ]
    )
    run = run_with(profile)
    found = by_name(operators(run, profiled_case(run)), ["name", "backward", "dtype"]).set_index(
        "name"
    )
    assert found.seconds.to_dict() == pytest.approx({"aten::mm": 0.5, "aten::add": 0.2})
    assert found.least_s["aten::mm"] == pytest.approx(0.35)
    assert found.bound["aten::mm"] == "compute"  # where most of its seconds went
    assert math.isnan(found.bytes["aten::add"])
    assert math.isnan(found.least_s["aten::add"])
    assert found.calls["aten::mm"] == 2
    assert by_name(operators(run_with(profile_of()), profiled_case(run)), ["name"]).empty


def test_levels_are_not_mixed():
    run = run_with(training())
    assert rows_of(run, profiled_case(run), "span").span.tolist() == [
        "forward",
        "backward",
        "optimizer",
        "",
    ]
    assert rows_of(run, profiled_case(run), "kernel").empty


def test_the_case_is_the_only_profiled_one_or_the_one_named():
    other = Case("gpt/forward", {"size": "nano"}, "fp32")
    run = run_with(training())
    assert profiled_case(run).case_id == TRAIN.case_id == profiled_case(run, TRAIN.case_id).case_id
    with pytest.raises(
        UserError, match=r"run r has no profile of case x; it has \w{12} \(gpt/train"
    ):
        profiled_case(run, "x")
    with pytest.raises(
        UserError, match="run r has no profile; `hwbench profile WORKLOAD` makes one"
    ):
        profiled_case(run_with())
    both = profiled(run_with(training(), others=(other,)), other, training())
    assert list(profiled_cases(both)) == [TRAIN.case_id, other.case_id]
    with pytest.raises(UserError, match="run r has profiles of 2 cases; name one of"):
        profiled_case(both)


def test_a_profiled_case_has_its_choices_and_what_is_unknown():
    profile = training(unknown={"modules": "compiled"})
    case = profiled_case(run_with(profile, ceilings=(GEMM,), choices='{"attention": "flash"}'))
    assert case.choices == {"attention": "flash"}
    assert case.unknown == {"modules": "compiled"}
    assert (case.threads, case.busy_share) == (2, 0.9)
    assert case.device_busy_s is None
