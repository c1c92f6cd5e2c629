"""Records: ids and labels of cases, work, and measurements as JSON."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from runs import measured

from hwbench.records import (
    Case,
    Declared,
    Measurement,
    Reading,
    Requests,
    Telemetry,
    Whole,
    Work,
)
from hwbench.records.profile import Modules, Profile

READING = Reading("rapl", "package:0", "energy", None, "J", None, 0.03, reason="no access")


def test_case_id_is_a_stable_hash_of_workload_parameters_and_dtype():
    case = Case("gpt/train", {"size": "124m", "batch": 8}, "bf16")
    assert case.case_id == "195eb4e961f6"
    assert Case("gpt/train", {"batch": 8, "size": "124m"}, "bf16").case_id == case.case_id
    assert Case("gpt/train", {"batch": 8, "size": "124m"}, "fp32").case_id != case.case_id


def test_a_parameter_that_is_off_does_not_change_the_case():
    case = Case("gpt/train", {"size": "124m", "batch": 8}, "bf16")
    later = Case(
        "gpt/train", {"size": "124m", "batch": 8, "layers": None, "compile": False}, "bf16"
    )
    assert later.case_id == case.case_id
    assert (
        Case("gpt/train", {"size": "124m", "batch": 8, "compile": True}, "bf16").case_id
        != case.case_id
    )


def test_a_case_is_labelled_by_its_workload_and_set_parameters():
    case = Case(
        "gpt/train", {"size": "nano", "layers": None, "compile": False, "fused": True}, "bf16"
    )
    assert str(case) == "gpt/train size=nano fused bf16"


@pytest.mark.parametrize("value", [-5, 1.5, "abc", 2**63, float("nan")])
def test_work_that_is_no_whole_number_of_64_bits_is_refused(value):
    with pytest.raises(ValueError, match="expected a whole number"):
        Work(flops=value)


def test_work_accepts_integers_of_numpy():
    assert type(Work(tokens=np.int64(3)).tokens) is int


def test_a_declaration_accepts_integers_of_numpy():
    assert type(Declared(memory_bytes=np.int64(3)).memory_bytes) is int


def sent(measurement):
    """The measurement as it comes out of another process."""
    return json.loads(json.dumps(measurement.as_json()))


def everything():
    """A measurement in which each field is set."""
    whole = Whole("layers", 12, Work(flops=9))
    return measured(
        declared=Declared({"forward": Work(flops=3)}, {"attention": "flash"}, 70, whole),
        memory_base_bytes=30,
        compile_s=1.5,
        loss=0.5,
        notes=["a: b"],
        readings=[READING, replace(READING, value=3.0, method="counter", grade="A")],
        telemetry=Telemetry([5], ["rapl"], ["package:0"], [None], ["energy"], [1.5], ["J"]),
        requests=Requests([0], [0], [10], [11], [None], [30], [8], [4], [1]),
        profile=Profile(
            3, 0.1, None, 2.0, modules=Modules(["head"]), unknown={"bytes": "compiled"}
        ),
        memory_peak_bytes=5,
    )


@pytest.mark.parametrize(
    "measurement", [everything(), measured(), Measurement("error", "ValueError: x")]
)
def test_a_measurement_survives_json(measurement):
    assert Measurement.from_json(sent(measurement)) == measurement


def test_figures_that_are_not_finite_survive_json():
    window = replace(measured().window, window_s=math.inf)
    back = Measurement.from_json(sent(replace(measured(loss=math.nan), window=window)))
    assert math.isnan(back.loss)
    assert back.window.window_s == math.inf


def test_fields_of_another_version_are_left_out_or_get_their_defaults():
    content = sent(everything())
    for part in (content, content["window"]["samples"], content["readings"][0]):
        part["colour"] = "red"
    for part, name in ((content, "requests"), (content["profile"], "modules")):
        del part[name]
    profile = replace(everything().profile, modules=Modules())
    expected = replace(everything(), requests=Requests(), profile=profile)
    assert Measurement.from_json(content) == expected


@pytest.mark.parametrize("content", [None, [], "ok", 3, {}, {"reason": "no outcome"}])
def test_what_is_no_measurement_is_refused(content):
    with pytest.raises(TypeError):
        Measurement.from_json(content)


@pytest.mark.parametrize("part", ["work", "declared", "window", "readings", "telemetry", "profile"])
@pytest.mark.parametrize("content", [3, "x", [[]], [3]])
def test_a_part_that_is_no_record_is_refused(part, content):
    with pytest.raises((TypeError, ValueError)):
        Measurement.from_json(sent(measured()) | {part: content})


def test_work_that_no_column_holds_is_refused():
    with pytest.raises(ValueError, match="expected a whole number"):
        Measurement.from_json({"outcome": "ok", "work": {"flops": -1}})
