import xml.etree.ElementTree as ElementTree

import pandas as pd
from runs import CASE, around, run_of

from hwbench.analysis.verdict import gate
from hwbench.analysis.verdict.rules import Rules
from hwbench.records import Case
from hwbench.report.formats import junit

ODD = Case("a<b>&\"'", {"name": "]]>\x00\ufffe\n"}, "fp32")


def table_of(statuses: dict[str, str]) -> pd.DataFrame:
    """A row for each status, with its reason."""
    row = gate.hold([run_of((CASE, around(1.0)))], run_of((CASE, around(1.1))), Rules()).to_dict(
        "records"
    )[0]
    rows = [row | {"status": status, "reason": reason} for status, reason in statuses.items()]
    return pd.DataFrame(rows, columns=gate.GATE_COLUMNS)


def suite_of(table, message=""):
    return ElementTree.fromstring(junit.render(table, message)).find("testsuite")


def test_one_test_case_a_row():
    suite = suite_of(table_of(dict.fromkeys(gate.STATUSES, "why")))
    assert {name: suite.get(name) for name in ("tests", "failures", "skipped", "errors")} == {
        "tests": "8", "failures": "3", "skipped": "3", "errors": "0",
    }  # fmt: skip
    failed = [
        case.find("failure").get("type") for case in suite if case.find("failure") is not None
    ]
    assert failed == ["regression", "failed", "missing"]
    first = suite[0]
    assert first.get("classname") == "gpt/train"
    assert first.get("name") == f"{CASE} step_s_p50"
    assert first.find("failure").get("message") == "regression: why"
    assert "1.000 s → 1.100 s, ratio 1.1000" in first.find("system-out").text


def test_a_row_without_a_reason_says_what_its_status_means():
    assert "beyond doubt" in suite_of(table_of({"regression": ""}))[0].find("failure").get(
        "message"
    )


def test_odd_names_are_valid_xml():
    table = gate.hold([run_of((ODD, around(1.0)))], run_of((ODD, around(1.1))), Rules())
    suite = suite_of(table)
    assert suite[0].get("classname") == "a<b>&\"'"
    assert r"name=]]>\x00\ufffe\n" in suite[0].get("name")


def test_no_row_is_one_skipped_case_that_says_why():
    suite = suite_of(gate.EMPTY, "no baseline: none")
    assert (suite.get("tests"), suite.get("skipped")) == ("1", "1")
    assert suite[0].find("skipped").get("message") == "no baseline: none"
