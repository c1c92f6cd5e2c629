"""Axes parse what users write, and workloads are found in modules and files."""

import pytest

from hwbench.discovery import discover, find
from hwbench.inputs import unknown
from hwbench.records import UserError
from hwbench.workload import Axis, axis, workload


def test_a_list_of_defaults_makes_an_axis_of_that_type():
    @workload("x", batch=[8], size=["124m"], compile=[False])
    def build(p, device):
        """What it is.

        More of it."""

    assert build.axes["batch"] == Axis((8,), int)
    assert build.axes["size"] == Axis(("124m",), str)
    assert build.axes["compile"].kind is bool
    assert build.axes["dtype"].defaults == ("fp32",)
    assert build.summary == "What it is."


@pytest.mark.parametrize(
    ("made", "text", "value"),
    [
        (axis(8), "4", 4),
        (axis("a", choices=("a", "b")), "b", "b"),
        (axis(False), "true", True),
        (axis(False, choices=("fast",)), "fast", "fast"),
        (axis(False, choices=("fast",)), "true", True),
        (axis(None, choices=("flash",)), "auto", None),
        (axis(None, kind=int), "all", None),
        (axis(None, kind=int), "3", 3),
        (axis(0.5), "2.5e-1", 0.25),
        (axis(0.5), "-1", -1.0),
        (axis(0.5, above=0), "1e-9", 1e-9),
        (axis(None, kind=float, choices=("max",)), "max", "max"),
    ],
)
def test_an_axis_parses_its_values(made, text, value):
    assert made.parse("name", text) == value


@pytest.mark.parametrize(
    ("made", "text", "says"),
    [
        (axis(8), "0", "from 1 to"),
        (axis(8), "-4", "from 1 to"),
        (axis(8), "9999999999999", "from 1 to"),
        (axis(8), "many", "whole number"),
        (axis(8), "1_0", "whole number"),
        (axis(8), "١٢", "whole number"),
        (axis(8), "9" * 5000, r"size=9{57}…: expected a whole number"),
        (axis(0.5), "nan", "expected a number"),
        (axis(0.5), "half", "expected a number"),
        (axis(0.5, above=0), "0", "expected a number above 0"),
        (axis(0.5, choices=("max",)), "most", "expected a number, max"),
        (axis("bf16", choices=("bf16", "fp16")), "BF16", "did you mean bf16\\?"),
        (axis(False), "yes", "true or false"),
        (axis(False, choices=("fast",)), "slow", "true, fast or false"),
        (axis("124m", choices=("124m", "350m")), "125m", "did you mean 124m"),
    ],
)
def test_an_axis_refuses_other_values(made, text, says):
    with pytest.raises(UserError, match=says):
        made.parse("size", text)


def test_unknown_names_suggest_near_ones_or_list_all():
    assert (
        unknown("workload", "gpt/trian", ["gpt/train", "copy"])
        == "unknown workload 'gpt/trian'; did you mean gpt/train?"
    )
    assert (
        unknown("workload", "zzz", ["gemm", "copy"])
        == "unknown workload 'zzz'; there is copy, gemm"
    )


def test_built_in_workloads_are_found():
    assert {"gpt/train", "gpt/prefill", "gpt/decode", "gemm", "copy"} <= set(discover())


def test_a_file_adds_workloads_and_may_replace_one(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from hwbench.workload import Built, workload\n"
        "@workload('copy', kb=[1])\n"
        "def mine(p, device):\n    return Built(lambda mark: None)\n"
    )
    assert list(discover([str(file)])["copy"].axes) == ["kb", "dtype"]


def test_built_in_workloads_are_not_imported_if_files_have_all(tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    file.write_text(
        "from hwbench.workload import workload\n@workload('mine')\ndef mine(p, device): ...\n"
    )
    assert {"mine", "gemm"} <= set(discover([str(file)], ["mine", "gemm"]))
    monkeypatch.setattr("hwbench.discovery._builtin_modules", lambda: pytest.fail("imported"))
    assert list(discover([str(file)], ["mine"])) == ["mine"]


def test_find_returns_what_discover_would(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from hwbench.workload import workload\n@workload('copy')\ndef mine(p, device): ...\n"
    )
    assert find("copy", [str(file)]).origin == "hwbench_workloads_mine"
    assert find("gemm", [str(file)]).origin == "workloads.gemm"
    with pytest.raises(KeyError, match="absent"):
        find("absent", [str(file)])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("raise RuntimeError('broken inside')", "import failed: RuntimeError: broken inside"),
        ("import sys; sys.exit(3)", "import failed: SystemExit: 3"),
        ("def broken(:", "import failed: SyntaxError"),
        ("x = 1", "no @workload in it"),
    ],
)
def test_a_file_that_cannot_be_imported_is_named(tmp_path, content, says):
    file = tmp_path / "bad.py"
    file.write_text(content)
    with pytest.raises(UserError, match=says) as error:
        discover([str(file)])
    assert str(file) in str(error.value)


@pytest.mark.parametrize(
    ("name", "says"), [("absent.py", "no such"), ("list.txt", "must end in .py")]
)
def test_a_path_that_is_no_python_file_is_refused(tmp_path, name, says):
    (tmp_path / "list.txt").write_text("")
    with pytest.raises(UserError, match=says):
        discover([str(tmp_path / name)])
