"""The imports keep the order of the house: see docs/design.md."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def modules():
    for file in sorted((ROOT / "hwbench").rglob("*.py")):
        yield file.relative_to(ROOT / "hwbench").parts[0].removesuffix(".py"), file


def test_imports_go_one_way():
    """As pyproject.toml has it: the layers of hwbench, and what each must do without."""
    done = subprocess.run([sys.executable, "-c", LINT], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


LINT = (
    "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
)


WITH_TORCH = {
    f"hwbench.devices.{name}"
    for name in (
        "_torch",
        "accelerator",
        "compiler",
        "cpu",
        "event_clock",
        "format_trial",
        "mps",
        "stopwatches",
    )
}
PROFILING = "hwbench.profiling"
"""What profiles torch needs it; the worker imports it only then."""


def test_torch_is_imported_by_the_devices_that_need_it_alone():
    """Workloads bring torch too, when they are discovered. One process imports all the rest and
    names the first that has it."""
    files = [file.relative_to(ROOT).with_suffix("") for _, file in modules()]
    names = sorted({".".join(file.parts).removesuffix(".__init__") for file in files} - WITH_TORCH)
    names = [name for name in names if not name.startswith(PROFILING)]
    assert len(names) > 40
    code = f"import importlib, sys\nfor name in {names}:\n    importlib.import_module(name)\n"
    code += "    if 'torch' in sys.modules: sys.exit(name)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_way_in_is_light():
    heavy = {"torch", "pandas", "numpy", "matplotlib", "pyarrow", "rich", "jinja2"}
    code = "import sys; sys.argv = ['hwbench', '--help']; from hwbench.cli import main\n"
    code += "try: main()\nexcept SystemExit: pass"
    assert loaded_after(code, *heavy) == set()


def test_only_the_command_line_prints_or_exits():
    for name, file in modules():
        if name == "cli":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("print", "input", "exit", "sys.exit", "click.echo"), (
                    f"{file.name}: {called}"
                )


OF_TABLES = ("analysis", "report", "tables")
"""Folders that know a device only as a kind and a name in a table."""


def test_devices_are_told_apart_in_their_own_package_alone():
    for folder in ("hwbench", "workloads"):
        for file in (ROOT / folder).rglob("*.py"):
            if {"devices", *OF_TABLES} & set(file.parts):
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Compare):
                    text = ast.unparse(node)
                    assert not any(
                        word in text for word in ("device.kind", ".type ==", "device ==")
                    ), f"{file}: {text}"


def loaded_after(code: str, *packages: str) -> set[str]:
    loaded = f"*[m for m in {packages!r} if m in sys.modules]"
    script = f"{code}\nimport sys\nsys.stdout.flush()\nprint('\\nLOADED', {loaded})"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.rpartition("LOADED")[2].split())
