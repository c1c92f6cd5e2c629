import pytest

from hwbench.recording.matrix import make_plan, named, parse_settings
from hwbench.records import Policy, UserError
from hwbench.workload import workload


@workload("gpt/train", size=["nano"], batch=[1, 2], dtype=["fp32"])
def train(p, device): ...


@workload("gemm", m=[64], dtype=["fp32", "bf16"])
def gemm(p, device): ...


KNOWN = {"gpt/train": train, "gemm": gemm}
CHOICES = [(train, {}), (gemm, {})]


def test_cases_are_the_product_of_the_axes():
    plan = make_plan(CHOICES, {}, Policy())
    assert [str(case) for case in plan.cases] == [
        "gpt/train size=nano batch=1 fp32",
        "gpt/train size=nano batch=2 fp32",
        "gemm m=64 fp32",
        "gemm m=64 bf16",
    ]


def test_a_setting_goes_to_every_workload_that_has_the_axis():
    plan = make_plan(CHOICES, {"dtype": ["bf16"], "batch": ["4"]}, Policy())
    assert [str(case) for case in plan.cases] == [
        "gpt/train size=nano batch=4 bf16",
        "gemm m=64 bf16",
    ]


def test_unknown_axis_suggests_near_names():
    with pytest.raises(UserError, match=r"unknown axis 'bach'; did you mean batch"):
        make_plan(CHOICES, {"bach": ["4"]}, Policy())


def test_bad_value_names_workload_and_axis():
    with pytest.raises(UserError, match=r"gpt/train: batch=x: expected a whole number"):
        make_plan(CHOICES, {"batch": ["x"]}, Policy())
    with pytest.raises(
        UserError, match=r"gpt/train: dtype=bf61: unknown value 'bf61'; did you mean bf16"
    ):
        make_plan(CHOICES, {"dtype": ["bf61"]}, Policy())


def test_cases_that_settings_make_equal_are_one_case():
    assert (
        len(
            make_plan(
                [(gemm, {"m": [1]}), (gemm, {"m": [2]})], {"m": ["3"], "dtype": ["fp32"]}, Policy()
            ).cases
        )
        == 1
    )


def test_too_many_cases_are_refused():
    with pytest.raises(UserError, match="a run takes 1000"):
        make_plan(CHOICES, {"m": [str(m) for m in range(1, 1200)]}, Policy())


def test_settings_are_parsed():
    assert parse_settings(["size=124m,350m", "batch=1"]) == {
        "size": ["124m", "350m"],
        "batch": ["1"],
    }


@pytest.mark.parametrize("word", ["batch", "=4", "batch=", "batch=1,,2"])
def test_malformed_setting_is_refused(word):
    with pytest.raises(UserError, match="expected AXIS=VALUE"):
        parse_settings([word])


def test_an_axis_given_twice_is_refused():
    with pytest.raises(UserError, match="given twice"):
        parse_settings(["batch=1", "batch=2"])


def test_unknown_workloads_suggest_near_names():
    with pytest.raises(UserError, match="did you mean gpt/train"):
        named(KNOWN, ["gpt/trian"])
