"""Every text file and every pipe is read and written in a named encoding, never the locale's."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = [
    *ROOT.glob("hwbench/**/*.py"),
    *ROOT.glob("workloads/**/*.py"),
    *ROOT.glob("tools/**/*.py"),
]
READS, OPENS = ("read_text", "write_text"), ("open", "fdopen")
BYTES_ALONE = ("os.open", "gzip.open", "tarfile.open")
RUNS = ("run", "Popen", "check_output")


def is_in_the_locale(call: ast.Call) -> bool:
    """Whether the call opens a text and names no encoding."""
    function = ast.unparse(call.func)
    name = function.rpartition(".")[2]
    named = {keyword.arg for keyword in call.keywords}
    texts = [
        node.value
        for node in (*call.args, *(keyword.value for keyword in call.keywords))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    if "encoding" in named or "utf-8" in texts or function in BYTES_ALONE:
        return False
    if name in RUNS:
        return bool({"text", "universal_newlines", "errors"} & named)
    is_binary = any("b" in text for text in texts if set(text) <= set("rwxab+t"))
    return name in READS or (name in OPENS and not is_binary)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("file.read_text()", True),
        ("file.read_text('utf-8')", False),
        ("file.write_text(text, encoding='utf-8')", False),
        ("open(file)", True),
        ("file.open('rb')", False),
        ("file.open('a')", True),
        ("os.open(file, flags)", False),
        ("subprocess.run(words, text=True)", True),
        ("subprocess.run(words)", False),
    ],
)
def test_the_rule(source, expected):
    assert is_in_the_locale(ast.parse(source, mode="eval").body) is expected


def test_every_text_has_a_named_encoding():
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and is_in_the_locale(node)
    ]
    assert not found
