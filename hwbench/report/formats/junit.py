"""The rows of a gate (GATE_COLUMNS) as JUnit XML, which CI systems list as tests: a test case a
row."""

import xml.etree.ElementTree as ElementTree
from typing import Any

import pandas as pd

from hwbench.analysis.verdict.gate import FAILING, STATUSES
from hwbench.printable import printable
from hwbench.report.terminal.comparison import figures

PASSING = ("pass", "new")


def render(table: pd.DataFrame, message: str = "", subject: str = "") -> str:
    """Return the XML text. `subject` names the runs (gate.subject). `message` says why there is no
    row at all, and then stands as the one test case, skipped."""
    rows = table.to_dict("records")
    suite = ElementTree.Element("testsuite", name="hwbench gate")
    if subject:
        properties = ElementTree.SubElement(suite, "properties")
        ElementTree.SubElement(properties, "property", name="runs", value=printable(subject))
    for row in rows:
        suite.append(_case(row))
    if not rows:
        case = ElementTree.SubElement(
            suite, "testcase", classname="gate", name="baseline", time="0"
        )
        ElementTree.SubElement(case, "skipped", message=printable(message))
    for name, tag in (
        ("tests", "testcase"),
        ("failures", "testcase/failure"),
        ("skipped", "testcase/skipped"),
    ):
        suite.set(name, str(len(suite.findall(tag))))
    suite.set("errors", "0")
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        + ElementTree.tostring(root, encoding="unicode")
        + "\n"
    )


def _case(row: dict[str, Any]) -> ElementTree.Element:
    name = printable(f"{row['label']} {row['metric']}")
    case = ElementTree.Element(
        "testcase", classname=printable(row["workload"]), name=name, time="0"
    )
    words = printable(
        ": ".join(filter(None, [row["status"], row["reason"] or STATUSES[row["status"]]]))
    )
    if row["status"] in FAILING:
        ElementTree.SubElement(case, "failure", message=words, type=row["status"]).text = printable(
            figures(row)
        )
    elif row["status"] not in PASSING:
        ElementTree.SubElement(case, "skipped", message=words)
    ElementTree.SubElement(case, "system-out").text = printable(figures(row))
    return case
