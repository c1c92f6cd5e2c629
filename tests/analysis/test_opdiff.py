"""Two runs whose operators differ by known amounts."""

import pytest
from hypothesis import given, settings
from profiles import TRAIN, any_profile, gap, op, profile_of, run_with, training
from runs import profiled

from hwbench.analysis.profile.diff import diff
from hwbench.records import Case, UserError

OTHER = Case("gpt/forward", {"size": "nano"}, "fp32")


def rows(found):
    return {
        (row.span, row.name, bool(row.backward)): row for row in found.rows.itertuples(index=False)
    }


def test_the_rows_sum_to_the_difference_of_the_clean_steps():
    found = diff(run_with(training()), run_with(training(scale=0.5)))
    assert found.difference_s == pytest.approx(-0.5)
    assert found.rows.difference_s.sum() == pytest.approx(-0.5)
    assert found.rows.share.sum() == pytest.approx(1.0)
    assert found.residual_s == pytest.approx(0.0, abs=1e-12)
    assert found.notes == ()
    assert found.rows.difference_s.abs().is_monotonic_decreasing


def test_a_cpu_and_an_accelerator_line_up():
    cpu = profile_of(
        [
            op("aten::addmm", 0.4, dtype="fp32"),
            op("mkldnn::_linear_pointwise", 0.1),
            op(
                "aten::_scaled_dot_product_flash_attention_for_cpu_backward",
                0.2,
                span="backward",
                backward=True,
            ),
            op("aten::native_layer_norm", 0.1),
        ]
    )
    backward = {"span": "backward", "backward": True}
    gpu = profile_of(
        [
            op("aten::mm", 0.02),
            op("aten::_scaled_dot_product_cudnn_attention_backward", 0.01, **backward),
            op("aten::_fused_rms_norm", 0.01),
        ],
        clean=0.1,
        device_busy_s=0.04,
        gaps=[gap(0.3, "host_late"), gap(0.1, "other")],
    )
    found = diff(run_with(cpu), run_with(gpu))
    table = rows(found)
    assert {key: (row.a_s, row.b_s) for key, row in table.items()} == {
        ("forward", "matmul", False): (pytest.approx(0.5), 0.02),
        ("backward", "scaled_dot_product_attention", True): (0.2, 0.01),
        ("forward", "layer_norm", False): (0.1, 0.0),
        ("forward", "rms_norm", False): (0.0, 0.01),
        ("", "(framework)", False): (pytest.approx(0.2), pytest.approx(0.045)),
        ("", "(launch and idle)", False): (0.0, pytest.approx(0.015)),
    }
    assert table["forward", "matmul", False].share == pytest.approx(0.48 / 0.9)
    assert next(iter(table)) == ("forward", "matmul", False)
    assert found.residual_s == pytest.approx(0.0, abs=1e-12)


def test_the_residual_is_the_rest_of_the_difference():
    """Operators of 0.4 s in a clean step of 0.1 s, without ceilings, so that they are not scaled:
    0.3 s are left."""
    slow = run_with(profile_of([op("aten::mm", 0.4)], clean=0.1), ceilings=())
    found = diff(run_with(profile_of([], clean=0.1)), slow)
    assert found.residual_s == pytest.approx(-0.3)
    assert found.difference_s == 0
    assert found.rows.share.isna().all()


def test_cases_of_one_workload_are_compared_with_a_note_of_their_differences():
    other = Case("gpt/train", {"size": "nano", "batch": 2, "seq": 64, "loss_chunks": None}, "bf16")
    found = diff(run_with(training()), run_with(training(), case=other))
    assert found.notes == (
        "the cases differ in batch: 1 in a, 2 in b; dtype: fp32 in a, bf16 in b",
    )


def test_several_common_cases_need_a_name():
    both = profiled(run_with(training(), others=(OTHER,)), OTHER, training())
    one = run_with(training())
    assert diff(both, one).a.case_id == TRAIN.case_id
    assert diff(both, both, named=OTHER.case_id).b.case_id == OTHER.case_id
    with pytest.raises(UserError, match="both runs have profiles of 2 cases; name one of"):
        diff(both, both)
    with pytest.raises(
        UserError, match="run x has no profile; `hwbench profile WORKLOAD` makes one"
    ):
        diff(one, run_with(run_id="x"))
    alone = run_with(training(), case=OTHER, run_id="x")
    with pytest.raises(
        UserError,
        match=r"the runs have no profiled case in common: r has gpt/train .*; x gpt/forward",
    ):
        diff(one, alone)
    with pytest.raises(UserError, match="run x has no profile of case"):
        diff(one, alone, named=TRAIN.case_id)


def test_an_invalid_profile_is_refused():
    with pytest.raises(
        UserError, match=r"the profile of run x is invalid \(lost\); profile it again"
    ):
        diff(run_with(training()), run_with(training(invalid="lost"), run_id="x"))


@given(any_profile, any_profile)
@settings(max_examples=10, deadline=None)
def test_rows_and_residual_sum_to_the_difference_whatever_was_profiled(a, b):
    found = diff(run_with(a), run_with(b))
    assert found.rows.difference_s.sum() + found.residual_s == pytest.approx(
        b.clean_step_s - a.clean_step_s, abs=1e-9
    )
