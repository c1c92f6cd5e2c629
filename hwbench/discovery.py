"""Find workloads: those that ship with hwbench, those of installed packages, those in files."""

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Collection, Iterable
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from hwbench.records import UserError
from hwbench.workload import Workload


def discover(files: Iterable[str] = (), needed: Collection[str] = ()) -> dict[str, Workload]:
    """All workloads by name: built-in ones, then entry points, then `files`. A later one replaces
    an earlier one of the same name.

    If `files` declare all that is `needed`, only theirs are returned: the built-in ones import
    torch, which takes seconds. UserError names the file or package whose import fails.
    """
    from_files: dict[str, Workload] = {}
    for file in files:
        declared = _declared_in(_import_file(Path(file)))
        if not declared:
            raise UserError(f"{file}: no @workload in it")
        from_files |= declared
    if needed and from_files.keys() >= set(needed):
        return from_files
    workloads: dict[str, Workload] = {}
    for module in _builtin_modules():
        workloads |= _declared_in(module)
    for point in entry_points(group="hwbench.workloads"):
        try:
            loaded = point.load()
        except Exception as error:
            raise UserError(
                f"workloads of the installed package {point.value}: {_brief(error)}"
            ) from error
        workloads |= (
            _declared_in(loaded) if isinstance(loaded, ModuleType) else {loaded.name: loaded}
        )
    return workloads | from_files


def find(name: str, files: Iterable[str] = ()) -> Workload:
    """The workload of that name, found with as few imports as possible. KeyError if there is
    none."""
    return discover(files, [name])[name]


def _builtin_modules() -> Iterable[ModuleType]:
    """The modules of the package `workloads` beside this one, even if another package of that name
    comes first on the path."""
    home = Path(__file__).resolve().parent.parent / "workloads"
    if getattr(sys.modules.get("workloads"), "__path__", None) != [str(home)]:
        spec = importlib.util.spec_from_file_location(
            "workloads", home / "__init__.py", submodule_search_locations=[str(home)]
        )
        assert spec is not None
        assert spec.loader is not None
        sys.modules["workloads"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["workloads"])
    for info in pkgutil.iter_modules([str(home)]):
        if not info.ispkg:
            yield importlib.import_module(f"workloads.{info.name}")


def _declared_in(module: ModuleType) -> dict[str, Workload]:
    return {value.name: value for value in vars(module).values() if isinstance(value, Workload)}


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UserError(f"{path}: no such workload file")
    name = f"hwbench_workloads_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path}: not a Python file (its name must end in .py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise UserError(f"{path}: its import failed: {_brief(error)}") from error
    return module


def _brief(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
