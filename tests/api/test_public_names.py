"""The public Python names, frozen. A change breaks or makes a promise: see CHANGELOG."""

import ast
import inspect
from pathlib import Path

import pytest

import hwbench

SIGNATURES = {
    "compare": "baseline candidate threshold metrics across_devices results",
    "load": "names results",
    "measure": "step device work name params dtype label output limits",
    "meter": "device tdp_w",
    "record": "workloads suite device name output workload_files on_progress settings",
    "workload": "name fit axes",
    "axis": "defaults kind choices minimum maximum above check largest",
    "Built": "step work compiled declared first_is_longer least_s served model",
    "Work": "tokens flops bytes flops_full_attention hardware_flops",
}

ATTRIBUTES = {
    "Run": "run_id folder label device environment cases metrics span_metrics span_times to_html",
    "Runs": "metrics span_metrics cases",
    "Comparison": "table verdict differences",
}

OTHERS = {"Mark", "Unsupported", "UserError"}


def test_the_names():
    assert set(hwbench.__all__) == {*SIGNATURES, *ATTRIBUTES, *OTHERS}
    assert set(hwbench.__all__) <= set(dir(hwbench))


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_parameters_of_each_function(name):
    parameters = inspect.signature(getattr(hwbench, name)).parameters
    assert list(parameters) == SIGNATURES[name].split()


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_the_attributes_of_each_class(name):
    kind = getattr(hwbench, name)
    known = set(dir(kind)) | set(inspect.get_annotations(kind))
    assert set(ATTRIBUTES[name].split()) <= known


@pytest.mark.parametrize("name", sorted([*SIGNATURES, *ATTRIBUTES]))
def test_every_name_is_documented(name):
    assert len(inspect.getdoc(getattr(hwbench, name)) or "") > 60


def test_the_typed_stub_has_the_same_names():
    package = Path(hwbench.__file__).parent
    tree = ast.parse((package / "__init__.pyi").read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert {alias.asname for node in imports for alias in node.names} == set(hwbench.__all__)
    assert (package / "py.typed").is_file()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'mesure'"):
        hwbench.mesure  # noqa: B018


def test_the_function_workload_and_the_module_of_that_name_get_along():
    from hwbench.workload import workload

    assert hwbench.workload is workload
