"""`label:NAME[:N]` names the runs of a label."""

from pathlib import Path

import pandas as pd
import pytest

from hwbench.records import UserError
from hwbench.tables.labels import Label, folders, of_label, parse

HEADS = pd.DataFrame(
    {
        "label": ["x", "y", "x", "x"],
        "started_at": ["3", "0", "1", "2"],
        "folder": list(map(Path, "abcd")),
    }
)


def test_a_label_parses_with_and_without_a_number():
    assert parse("label:main") == Label("main")
    assert parse("label:main:5") == Label("main", 5)
    assert parse("main") is None


@pytest.mark.parametrize(
    "text", ["label:", "label:main:", "label:main:0", "label:main:x", "label::3", "label:a:b:3"]
)
def test_a_misspelt_label_is_refused_in_one_line(text):
    with pytest.raises(
        UserError,
        match=r"^--baseline label:.*: expected label:NAME or label:NAME:N, e\.g\. label:main:5$",
    ):
        parse(text, "--baseline ")


def test_the_runs_of_a_label_come_oldest_first():
    assert folders(HEADS, Label("x"), Path("results")) == list(map(Path, "cda"))
    assert folders(HEADS, Label("x", 2), Path("results")) == list(map(Path, "da"))
    assert folders(HEADS, Label("x", 9), Path("results")) == list(map(Path, "cda"))
    assert list(of_label(HEADS, "none").folder) == []


def test_a_label_that_no_run_has_is_refused():
    with pytest.raises(UserError, match=r"^no run in results has the label 'none'"):
        folders(HEADS, Label("none"), Path("results"))
