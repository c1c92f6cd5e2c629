"""The closed list of reasons: all notes use its codes, and each has a cure."""

import ast
import re
from pathlib import Path

import pytest

from hwbench.analysis.metrics.validity import REASONS, validity_of

ROOT = Path(__file__).resolve().parents[2]
NOTE = re.compile(r"([a-z]+(?:_[a-z]+)+): ")
RECORDING = (
    "hwbench/recording/notes.py",
    "hwbench/recording/foreign_load.py",
    "hwbench/devices/accelerator.py",
    "hwbench/meters/throttling.py",
    "workloads/serve.py",
)


def test_each_reason_has_a_meaning_and_a_cure_of_one_line():
    for reason in REASONS.values():
        for text in (reason.meaning, reason.cure):
            assert text.endswith(".")
            assert "\n" not in text
            assert len(text) < 130


def test_the_codes_of_notes_are_in_the_list():
    codes = set()
    for name in RECORDING:
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and (match := NOTE.match(node.value))
            ):
                codes.add(match[1])
    known = {
        "no_steady_state",
        "foreign_load",
        "gpu_shared",
        "clock_disagreement",
        "loss_not_finite",
        "loadgen_invalid",
    }
    assert known <= codes
    assert codes <= set(REASONS)


@pytest.mark.parametrize(
    ("codes", "validity"),
    [
        ([], "valid"),
        (["not_converged"], "wide"),
        (["few_processes"], "wide"),
        (["no_interval"], "suspect"),
        (["high_variation"], "suspect"),
        (["not_linear"], "suspect"),
        (["not_converged", "foreign_load"], "suspect"),
        (["foreign_load", "loss_not_finite", "not_converged"], "invalid"),
        (["a_code_of_a_newer_hwbench"], "suspect"),
    ],
)
def test_the_worst_reason_gives_the_validity(codes, validity):
    assert validity_of(codes) == validity


def test_only_the_width_of_an_interval_makes_a_figure_wide():
    wide = {code for code, reason in REASONS.items() if reason.severity == "wide"}
    assert {"not_converged", "few_processes"} <= wide
    assert not {"foreign_load", "throttled", "no_steady_state", "high_variation"} & wide


def test_the_reasons_that_make_a_figure_invalid():
    invalid = {code for code, reason in REASONS.items() if reason.severity == "invalid"}
    assert invalid == {"loss_not_finite", "loadgen_invalid"}
