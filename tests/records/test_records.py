import numpy as np
import pytest
from runs import measured

from hwbench.records import Case, Measurement, Work


def test_case_id_is_a_stable_hash_of_workload_parameters_and_dtype():
    case = Case("gpt/train", {"size": "124m", "batch": 8}, "bf16")
    assert case.case_id == "195eb4e961f6"
    assert Case("gpt/train", {"batch": 8, "size": "124m"}, "bf16").case_id == case.case_id
    assert Case("gpt/train", {"batch": 8, "size": "124m"}, "fp32").case_id != case.case_id


def test_an_axis_that_is_off_or_left_alone_does_not_change_the_case():
    case = Case("gpt/train", {"size": "124m", "batch": 8}, "bf16")
    later = Case(
        "gpt/train", {"size": "124m", "batch": 8, "layers": None, "compile": False}, "bf16"
    )
    assert later.case_id == case.case_id
    assert (
        Case("gpt/train", {"size": "124m", "batch": 8, "compile": True}, "bf16").case_id
        != case.case_id
    )


def test_a_case_reads_as_its_workload_and_what_is_set():
    case = Case(
        "gpt/train", {"size": "nano", "layers": None, "compile": False, "fused": True}, "bf16"
    )
    assert str(case) == "gpt/train size=nano fused bf16"


@pytest.mark.parametrize("value", [-5, 1.5, "abc", 2**63, float("nan")])
def test_work_is_whole_numbers_that_a_column_holds(value):
    with pytest.raises(ValueError, match="expected a whole number"):
        Work(flops=value)


def test_work_takes_numpys_integers():
    assert type(Work(tokens=np.int64(3)).tokens) is int


def test_a_measurement_survives_json():
    found = measured(notes=["a: b"], memory_peak_bytes=5)
    assert Measurement.from_json(found.as_json()) == found
    failed = Measurement("error", "ValueError: x")
    assert Measurement.from_json(failed.as_json()) == failed
