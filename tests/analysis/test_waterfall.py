"""Waterfalls against ceilings of 1 GFLOP/s and 1 GB/s: exact parts, and sums that hold for any
profile."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import COPY, GEMM, amounts, any_profile, gap, op, profile_of, run_with, training

from hwbench.analysis.profile.operators import profiled_case
from hwbench.analysis.profile.waterfall import (
    PARTS,
    RESTS,
    NoWaterfall,
    Waterfall,
    fit_parts,
    gap_seconds,
    waterfall,
)
from hwbench.records import Case


def of(run):
    return waterfall(run, profiled_case(run))


def parts(found):
    return {part.part: part.seconds for part in found.parts}


def test_the_parts_of_a_step_on_a_cpu():
    found = of(run_with(training()))
    assert list(parts(found)) == list(PARTS)
    assert parts(found) == pytest.approx(
        {"compute": 0.39, "memory": 0.21, "launch_and_idle": 0.0, "framework": 0.1, "rest": 0.3}
    )
    assert found.rest_of == pytest.approx(
        {"matmul": 0.15, "attention": 0.06, "memory": 0.07, "no_ceiling": 0.02}
    )
    assert found.missed_s == pytest.approx(0.0, abs=1e-12)
    assert (found.clean_step_s, found.profiled_step_s, found.overhead) == (1.0, 1.0, 0.0)
    assert found.notes == []
    assert found.operators.seconds.sum() == pytest.approx(0.9)


def test_the_profilers_cost_is_in_no_part():
    """Half a second longer for 500,000 events, 300,000 of them in operators: 0.6 − 0.3 and 0.9 −
    0.2 are left."""
    profile = profile_of(
        [op("aten::mm", 0.6, 0.2e9, 0.0, events=3e5)], clean=1.0, profiled_s=1.5, events=5e5
    )
    found = of(run_with(profile))
    assert parts(found) == pytest.approx(
        {"compute": 0.2, "memory": 0.0, "launch_and_idle": 0.0, "framework": 0.7, "rest": 0.1}
    )
    assert found.missed_s == pytest.approx(0.0, abs=1e-12)
    assert found.overhead == pytest.approx(0.5)


def test_the_uncorrected_cost_is_scaled_away():
    """0.1 s for 10,000 events. One operator of 0.01 s has 5,000 of them, so 0.04 s too little were
    subtracted: the parts sum to 1.04 s, of which 0.2 s are least times. The other 0.84 s have to be
    0.8 s."""
    operators = [op("aten::mm", 0.5, 0.2e9, 0.0), op("aten::add", 0.01, 1.0, 0.0, events=5e3)]
    profile = profile_of(operators, clean=1.0, profiled_s=1.1, events=1e4)
    found = of(run_with(profile))
    assert found.missed_s == pytest.approx(0.04)
    assert parts(found)["compute"] == pytest.approx(0.2)
    assert parts(found)["framework"] == pytest.approx(0.54 * 0.8 / 0.84)
    assert parts(found)["rest"] == pytest.approx(0.3 * 0.8 / 0.84)
    assert found.rest_of["matmul"] == pytest.approx(parts(found)["rest"])
    assert found.operators.seconds.sum() == pytest.approx(0.2 + parts(found)["rest"])


def test_least_times_are_scaled_last():
    """The clean step took less than the least times of the profiled operators: only these are left,
    scaled."""
    profile = profile_of(
        [op("aten::mm", 2.0, 1.0e9, 0.0), op("aten::add", 1.0, 0.0, 1.0e9)], clean=1.0
    )
    assert parts(of(run_with(profile))) == pytest.approx(
        {"compute": 0.5, "memory": 0.5, "launch_and_idle": 0.0, "framework": 0.0, "rest": 0.0}
    )


def test_an_accelerators_kernels_stay_as_they_were_and_its_gaps_are_divided_by_their_causes():
    profile = profile_of(
        [op("aten::mm", 0.5, 0.3e9, 0.0), op("aten::add", 0.1, 0.0, 0.1e9)],
        clean=1.0,
        profiled_s=1.6,
        events=100.0,
        device_busy_s=0.6,
        steps=2,
        gaps=[
            gap(0.9, "host_late"),
            gap(0.3, "host_late", 1),
            gap(0.2, "kernel_wait"),
            gap(0.2, "other", 1),
        ],
    )
    run = run_with(profile)
    assert gap_seconds(run, profiled_case(run)) == pytest.approx(
        {"host_late": 0.6, "kernel_wait": 0.1, "other": 0.1}
    )
    found = of(run)
    assert parts(found) == pytest.approx(
        {"compute": 0.3, "memory": 0.1, "launch_and_idle": 0.1, "framework": 0.3, "rest": 0.2}
    )
    assert found.missed_s == pytest.approx(0.0, abs=1e-12)


def test_the_gaps_of_a_busy_accelerator_are_scaled_first():
    """Kernels that overlap: 0.8 s of them in 0.7 s; the clean step leaves 0.3 s of gaps, of which
    0.2 s are left."""
    rows = [op("aten::mm", 0.4, 0.3e9, 0.0), op("aten::bmm", 0.4, 0.3e9, 0.0)]
    found = of(run_with(profile_of(rows, device_busy_s=0.7, gaps=[gap(0.1, "other")])))
    assert found.missed_s == pytest.approx(0.1)
    assert parts(found) == pytest.approx(
        {"compute": 0.6, "memory": 0.0, "launch_and_idle": 0.2, "framework": 0.0, "rest": 0.2}
    )


def test_gaps_of_no_known_cause_are_idle():
    found = of(run_with(profile_of([op("aten::mm", 0.4, 0.4e9, 0.0)], device_busy_s=0.4)))
    assert parts(found)["launch_and_idle"] == pytest.approx(0.6)


def test_a_profile_without_operators_has_no_waterfall():
    assert of(run_with(profile_of())) == NoWaterfall("the profile has no operators")
    assert of(run_with(profile_of([op("aten::mm", 1.0)], clean=0.0))) == NoWaterfall(
        "the clean step took no time"
    )


def test_an_invalid_profile_has_no_waterfall():
    found = of(run_with(training(invalid="lost 3 events")))
    assert found == NoWaterfall("the profile is invalid: lost 3 events")


@pytest.mark.parametrize(
    ("ceilings", "add"),
    [
        ((), "add `gemm` in fp32 and `copy`"),
        ((COPY,), "add `gemm` in fp32"),
        ((GEMM,), "add `copy`"),
    ],
)
def test_without_ceilings_there_is_no_waterfall_and_the_cure_is_named(ceilings, add):
    found = of(run_with(training(), ceilings=ceilings))
    assert isinstance(found, NoWaterfall)
    assert found.reason == (
        f"the least time of a step is not known: no ceiling was measured in this run; {add}"
    )


def test_a_dtype_without_a_ceiling_is_noted_and_its_products_are_the_rest():
    rows = [op("aten::mm", 0.5, 0.3e9, 0.0), op("aten::bmm", 0.2, 0.1e9, 0.0, dtype="bf16")]
    found = of(run_with(profile_of(rows)))
    assert found.notes == ["products in bf16 have no measured ceiling; add `gemm` in it"]
    assert found.rest_of["no_ceiling"] == pytest.approx(0.2)
    assert parts(found)["compute"] == pytest.approx(0.3)


def test_a_matmul_slower_than_the_cases_own_products_is_no_ceiling():
    """Products at 1.3 times the ceiling of 1 GFLOP/s; those of another dtype keep their ceiling."""
    fast, slow = op("aten::mm", 0.5, 0.65e9, 0.0), op("aten::bmm", 0.4, 0.2e9, 0.0, dtype="bf16")
    reason = (
        "its products in fp32 were faster than `gemm`, which is no ceiling then; "
        "measure when nothing else runs"
    )
    none = NoWaterfall(f"the least time of a step is not known: {reason}")
    assert of(run_with(profile_of([fast]))) == none
    ceilings = (GEMM, COPY, Case("gemm", {"n": 64}, "bf16"))
    found = of(run_with(profile_of([fast, slow]), ceilings=ceilings))
    assert found.notes == [reason]
    assert parts(found)["compute"] == pytest.approx(0.2)
    assert found.rest_of["no_ceiling"] == pytest.approx(0.5)
    assert isinstance(of(run_with(profile_of([op("aten::mm", 0.5, 0.52e9, 0.0)]))), Waterfall)


def test_a_profile_without_products_needs_no_matmul():
    found = of(run_with(profile_of([op("aten::add", 0.5, 0.0, 0.3e9)]), ceilings=(COPY,)))
    assert parts(found)["memory"] == pytest.approx(0.3)


def test_tf32_is_bounded_by_its_own_matmul():
    case = Case("gpt/train", {"size": "nano"}, "tf32")
    found = of(run_with(training(), case=case))
    assert found.reason.endswith("add `gemm` in tf32")


@given(st.dictionaries(st.sampled_from(PARTS), amounts), st.floats(1e-6, 10.0), st.booleans())
def test_any_parts_are_scaled_to_sum_to_the_clean_step(found, clean, on_accelerator):
    found = dict.fromkeys(PARTS, 0.0) | found | ({} if on_accelerator else {"launch_and_idle": 0.0})
    made = fit_parts(found, clean, on_accelerator)
    assert all(seconds >= 0 for seconds in made.values())
    assert math.fsum(made.values()) == pytest.approx(clean, rel=1e-9)
    if (
        math.fsum(found.values()) >= clean
        and sum(found[part] for part in ("compute", "memory")) <= clean
    ):
        assert made["compute"] == pytest.approx(found["compute"])


@given(st.lists(any_profile, min_size=1, max_size=2))
@settings(max_examples=15, deadline=None)
def test_the_parts_of_any_profile_are_positive_and_sum_to_the_clean_step(several):
    found = of(run_with(*several))
    if isinstance(found, NoWaterfall):
        assert "its products in fp32 were faster" in found.reason
        return
    assert all(part.seconds >= 0 for part in found.parts)
    assert math.fsum(part.seconds for part in found.parts) == pytest.approx(
        found.clean_step_s, rel=1e-9
    )
    assert list(found.rest_of) == list(RESTS)
    assert all(seconds >= 0 for seconds in found.rest_of.values())
    outside = parts(found)["launch_and_idle"] + parts(found)["framework"]
    inside = found.clean_step_s - outside
    assert found.operators.seconds.sum() == pytest.approx(inside, rel=1e-6, abs=1e-9)


def test_operators_that_only_view_a_tensor_count_as_framework():
    """A product of 0.6 s at its ceiling for 0.5 s, a view of 0.1 s, and 0.3 s outside of both."""
    profile = profile_of([op("aten::mm", 0.6, 0.5e9, 1.0), op("aten::t", 0.1, 0.0, 0.0)])
    found = of(run_with(profile))
    assert {part.part: round(part.seconds, 9) for part in found.parts} == {
        "compute": 0.5, "memory": 0.0, "launch_and_idle": 0.0, "framework": 0.4, "rest": 0.1,
    }  # fmt: skip
    assert round(sum(found.rest_of.values()), 9) == 0.1
