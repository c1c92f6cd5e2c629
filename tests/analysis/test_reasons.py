"""The closed list of reasons: all notes use its codes, and each has a cure."""

import ast
import re
from pathlib import Path

import pytest

from hwbench.analysis.metrics.validity import REASONS, validity_of

ROOT = Path(__file__).resolve().parents[2]
NOTE = re.compile(r"([a-z]+(?:_[a-z]+)+): ")
RECORDING = ("hwbench/recording", "hwbench/devices", "hwbench/meters", "workloads")


def test_each_reason_has_a_meaning_and_a_cure_of_one_line():
    for reason in REASONS.values():
        for text in (reason.meaning, reason.cure):
            assert text.endswith(".")
            assert "\n" not in text
            assert len(text) < 130


def notes_in(file: Path) -> set[str]:
    """The codes of the notes that the texts of a Python file begin with."""
    constants = (n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Constant))
    texts = (constant.value for constant in constants if isinstance(constant.value, str))
    return {match[1] for match in map(NOTE.match, texts) if match}


def test_the_codes_of_notes_are_in_the_list():
    files = [file for folder in RECORDING for file in (ROOT / folder).rglob("*.py")]
    codes = set().union(*map(notes_in, files))
    assert {"foreign_load", "clock_disagreement", "loss_not_finite", "loadgen_invalid"} <= codes
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
