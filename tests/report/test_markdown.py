"""What a pull request shows: the comment, and GitHub's annotations."""

import html
import re

import pandas as pd
import pytest
from test_junit import table_of

from hwbench.analysis.verdict import gate
from hwbench.report.formats import github, markdown, markdown_gate


def many(**statuses: int) -> pd.DataFrame:
    """So many rows of each status, from the worst down."""
    table = table_of({status.replace("_", ""): "why" for status in statuses})
    return table.loc[table.index.repeat(list(statuses.values()))].reset_index(drop=True)


def test_gate_comment_has_the_outcome_and_a_row_a_case():
    text = markdown_gate.render(table_of({"regression": "why", "pass": ""}), "fail")
    lines = text.splitlines()
    assert lines[0] == "### hwbench gate: fail"
    assert lines[2] == "1 regression, 1 pass"
    assert lines[4].startswith("| case | metric | baseline | candidate | ratio |")
    assert lines[6].startswith(
        "| gpt/train size=nano batch=1 fp32 | step&#95;s&#95;p50 | 1.000 s | 1.100 s | 1.1000 |"
    )
    assert lines[6].endswith("| ❌ regression&#58; why |")
    assert lines[7].endswith("| pass |")
    assert "geometric means over processes" in lines[9]


def test_gate_comment_leaves_out_passing_rows_first():
    row = markdown_gate.render(many(regression=1), "fail")
    whole = markdown_gate.render(many(regression=3, pass_=50), "fail")
    cut = markdown_gate.render(many(regression=3, pass_=50), "fail", limit=4 * len(row.encode()))
    assert len(cut.encode()) <= 4 * len(row.encode()) < len(whole.encode())
    assert cut.count("❌") == 3
    assert cut.splitlines()[2] == "3 regression, 50 pass"
    left_out = 53 - cut.count("| gpt/train")
    assert cut.endswith(f"\n{left_out} rows more left out: {left_out} pass\n")


@pytest.mark.parametrize("label", ["x" * 100_000, "|\n" * 50_000, "é@user <b>" * 10_000])
def test_gate_comment_never_exceeds_its_limit(label):
    table = pd.concat([table_of({"failed": label}).assign(label=label)] * 500, ignore_index=True)
    text = markdown_gate.render(table, "fail")
    assert len(text.encode()) <= markdown_gate.LIMIT
    assert "rows more left out" in text


def test_nothing_in_a_name_is_markup():
    assert markdown.cell("a|b\n`c` <d> @e #1 **f** [g](h) \\ ~~i~~") == (
        "a&#124;b &#96;c&#96; &#60;d&#62; &#64;&#8203;e &#35;&#8203;1 "
        "&#42;&#42;f&#42;&#42; &#91;g&#93;(h) &#92; "
        "&#126;&#126;i&#126;&#126;"
    )


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("20261124-080000-cpu-ab12", "`20261124-080000-cpu-ab12`"),
        ("at abc1234.", "at `abc1234`."),
        (
            "2026-11-24 08:00 UTC, T08:00:00+00:00",
            "2026-11-24 08&#58;00 UTC, T08&#58;00&#58;00+00&#58;00",
        ),
        ("- x", "&#45; x"),
        ("1. x", "1&#46; x"),
        ("decade 1,234,567", "decade 1,234,567"),
        ("www", "www"),
    ],
)
def test_our_own_words_look_as_ever(text, written):
    assert markdown.cell(text) == written


LINKED = re.compile(
    r"www\.|://|(?<![^\W_])gh-\d|#\d|@\w|(?<![^\W_])[0-9a-f]{7,40}(?![^\W_])|:(?:\w*[a-z]\w*|[+-]1|100):",
    re.IGNORECASE,
)
"""What GitHub makes a link or a picture of, in the text that Markdown leaves."""


@pytest.mark.parametrize(
    "text",
    [
        "www.evil.example WWW.evil.example xwww.evil.example _www.x.y",
        "https://evil.example http://a ftp://b",
        "GH-1 gh-22 _GH-3 GHSA-abcd-efgh-ijkl CVE-2026-1",
        "#1 owner/repo#2 owner/repo#",
        "@octocat x@y.example mailto:x@y.example",
        "deadbee _deadbee_ DEADBEEF 1234567 a...deadbee owner/repo@deadbee",
        f"{'0123456789abcdef' * 2}01234567",
        ":smile: :+1: :100: a:smile:b",
    ],
)
def test_nothing_in_a_text_becomes_a_link(text):
    written = re.sub("`[^`]*`", "", markdown.cell(text))
    assert not LINKED.search(html.unescape(written))
    shown = html.unescape(markdown.cell(text)).replace("\N{ZERO WIDTH SPACE}", "")
    assert shown.replace("`", "") == text


def test_gate_comment_without_rows_gives_the_reason():
    assert markdown_gate.render(gate.EMPTY, "no verdict", "no baseline: <none>").splitlines() == [
        "### hwbench gate: no verdict", "", "no baseline&#58; &#60;none&#62;",
    ]  # fmt: skip


class TestAnnotations:
    def test_errors_and_warnings(self):
        table = table_of(
            {"regression": "50 %,\r\nor: more", "inconclusive": "why", "pass": "", "new": ""}
        )
        lines = github.annotations(table.assign(label="a:b,c%"), "fail")
        assert len(lines) == 2
        assert lines[0].startswith(
            "::error title=a%3Ab%2Cc%25 step_s_p50::regression: 50 %25,%0D%0Aor: more "
            "(1.000 s → 1.100 s, ratio 1.1000"
        )
        assert lines[1].startswith("::warning title=a%3Ab%2Cc%25 step_s_p50::inconclusive: why (")

    def test_the_rest_are_counted(self):
        lines = github.annotations(many(missing=12), "fail")
        assert len(lines) == 10
        assert lines[-1] == "::error title=hwbench gate::3 more rows: see the summary"

    def test_no_row_is_a_warning(self):
        lines = github.annotations(gate.EMPTY, "no verdict", "no baseline: none")
        assert lines == ["::warning title=hwbench gate%3A no verdict::no baseline: none"]
