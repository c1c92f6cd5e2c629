"""The imports keep the order of the house: see docs/design.md."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "__init__": set(),
    "profiled": set(),
    "records": {"profiled"},
    "inputs": {"records"},
    "labels": {"records"},
    "meters": {"records", "stats"},
    "metering": {"devices", "meters", "records"},
    "energy_metrics": {"schema", "store"},
    "peaks": {"peaks_cpu"},
    "peaks_cpu": set(),
    "timed": {"schema", "store"},
    "rates": {"schema"},
    "latency_metrics": {"rates", "schema", "store", "timed"},
    "ceilings": {"rates", "records", "schema", "store"},
    "peak_metrics": {"ceilings", "peaks", "rates", "schema", "store"},
    "span_metrics": {"ceilings", "metrics", "peak_metrics", "rates", "schema", "store", "timed"},
    "roofline": {"ceilings", "metrics", "peak_metrics", "span_metrics", "store", "timed"},
    "operator_kinds": set(),
    "operators": {"ceilings", "operator_kinds", "records", "store"},
    "waterfall": {"ceilings", "operator_kinds", "operators", "store"},
    "profile_tables": {"operators", "schema", "store"},
    "advice": {"profiled", "ceilings", "operator_kinds", "operators", "waterfall", "store"},
    "opdiff": {"operator_kinds", "operators", "waterfall", "records", "store"},
    "request_metrics": {"schema", "store"},
    "formats": set(),
    "remembered": set(),
    "workload": {"formats", "records"},
    "devices": {"formats", "meters", "records", "remembered"},
    "checks": {"peaks"},
    "environment": {"records", "checks", "meters"},
    "plan": {"formats", "inputs", "records", "workload"},
    "stopping": {"records", "stats"},
    "harness": {"records", "workload", "devices", "stopping"},
    "neighbours": set(),
    "profiling": {"profiled", "records", "devices", "workload"},
    "worker": {
        "formats",
        "records",
        "workload",
        "devices",
        "stopping",
        "harness",
        "metering",
        "neighbours",
        "profiled",
        "profiling",
    },
    "rounds": {"records", "plan", "stats"},
    "reasons": set(),
    "schema": set(),
    "damage": {"records", "schema"},
    "store": {"damage", "__init__", "profiled", "records", "schema"},
    "runner": {"formats", "records", "plan", "rounds", "store"},
    "sizing": {"records", "plan", "remembered", "runner", "workload"},
    "stats": set(),
    "metrics": {
        "ceilings",
        "energy_metrics",
        "latency_metrics",
        "peak_metrics",
        "rates",
        "reasons",
        "records",
        "request_metrics",
        "schema",
        "stats",
        "store",
        "timed",
    },
    "rules": {"inputs", "records", "workload", "metrics"},
    "comparable": {"energy_metrics", "reasons", "store", "metrics"},
    "extrapolate": {"reasons", "records", "schema", "stats", "store", "metrics"},
    "sweeps": {"rates", "records", "store", "metrics"},
    "lineup": {"metrics"},
    "compare": {"comparable", "energy_metrics", "rates", "records", "stats", "store", "metrics", "rules"},
    "gate": {"comparable", "labels", "records", "stats", "store", "metrics", "rules", "compare"},
    "simulate": {"rates", "stats", "store", "timed", "metrics", "compare", "gate"},
    "noise": {"schema", "stats", "store", "metrics"},
    "change_points": set(),
    "history": {"change_points", "rates"},
    "importers": {"records"},
    "probe": {"__init__", "records", "devices"},
    "ab": {
        "formats",
        "records",
        "plan",
        "runner",
        "store",
        "environment",
        "probe",
        "stats",
        "metrics",
        "rules",
        "compare",
        "gate",
    },
    "report": {
        "meters",
        "reasons",
        "records",
        "store",
        "ceilings",
        "metrics",
        "energy_metrics",
        "latency_metrics",
        "peak_metrics",
        "peaks",
        "rates",
        "roofline",
        "timed",
        "lineup",
        "extrapolate",
        "sweeps",
        "compare",
        "gate",
        "simulate",
        "operator_kinds",
        "stats",
        "operators",
        "profile_tables",
        "waterfall",
        "advice",
        "opdiff",
        "history",
        "span_metrics",
        "__init__",
    },
    "cli": None,  # everything
    "__main__": {"cli"},
}


def imports_of(file: Path) -> set[str]:
    """The modules of hwbench that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= (
                {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "hwbench" else {node.module}
            )
    return found


def modules():
    for file in sorted((ROOT / "hwbench").rglob("*.py")):
        yield file.relative_to(ROOT / "hwbench").parts[0].removesuffix(".py"), file


def test_every_module_has_its_place():
    assert {name for name, _ in modules()} <= set(MAY_IMPORT)


@pytest.mark.parametrize(("name", "file"), list(modules()), ids=lambda value: str(value).rpartition("hwbench/")[2])
def test_imports_go_one_way(name, file):
    allowed = MAY_IMPORT[name]
    for imported in imports_of(file):
        parts = imported.split(".")
        if parts[0] != "hwbench":
            continue
        target = parts[1] if len(parts) > 1 else "__init__"
        if target.startswith("__version__"):
            target = "__init__"
        assert allowed is None or target in allowed | {name}, f"{file.name} imports {imported}"


WITH_TORCH = {f"hwbench.devices.{name}" for name in ("_torch", "accelerator", "cpu", "format_trial", "mps")}
PROFILING = "hwbench.profiling"
"""What profiles torch needs it; the worker imports it only then."""


def test_torch_is_imported_by_the_devices_that_need_it_alone():
    """Workloads bring torch too, when they are discovered. One process imports all the rest and names the first that
    has it."""
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
                assert called not in ("print", "input", "exit", "sys.exit", "click.echo"), f"{file.name}: {called}"


def test_devices_are_told_apart_in_their_own_package_alone():
    for folder in ("hwbench", "workloads"):
        for file in (ROOT / folder).rglob("*.py"):
            if "devices" in file.parts:
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Compare):
                    text = ast.unparse(node)
                    assert not any(word in text for word in ("device.kind", ".type ==", "device ==")), f"{file}: {text}"


def loaded_after(code: str, *packages: str) -> set[str]:
    script = (
        f"{code}\nimport sys\nsys.stdout.flush()\nprint('\\nLOADED', *[m for m in {packages!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("LOADED")[2].split())
