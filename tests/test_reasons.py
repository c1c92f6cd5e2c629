"""The list is closed: what writes a note uses a code of it, and each says what to do."""

import ast
import re
from pathlib import Path

from hwbench.reasons import REASONS

ROOT = Path(__file__).resolve().parent.parent
NOTE = re.compile(r"([a-z]+(?:_[a-z]+)+): ")
RECORDING = (
    "hwbench/worker.py",
    "hwbench/neighbours.py",
    "hwbench/devices/accelerator.py",
    "hwbench/meters/conditions.py",
    "workloads/serve.py",
)


def test_each_has_a_meaning_and_a_cure_of_one_line():
    for reason in REASONS.values():
        for text in (reason.meaning, reason.cure):
            assert text.endswith(".")
            assert "\n" not in text
            assert len(text) < 130


def test_notes_have_codes_of_the_list():
    codes = set()
    for name in RECORDING:
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and (match := NOTE.match(node.value)):
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


def test_what_makes_a_figure_mean_nothing():
    invalid = {code for code, reason in REASONS.items() if reason.severity == "invalid"}
    assert invalid == {"loss_not_finite", "loadgen_invalid"}
