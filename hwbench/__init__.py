"""Measure what a machine can do for large models: tokens/s, FLOP/s, latency, memory and energy.

The public names are those of `__all__`; everything else may change. They are imported when first
used, so that `import hwbench` brings neither torch nor pandas; `__init__.pyi` has their types.
"""

from importlib import import_module
from typing import Any

# Eager, because the function must replace the submodule of the same name as an attribute.
from hwbench.workload import Built, Mark, axis, workload

__version__ = "0.1.0"

__all__ = [
    "Built",
    "Comparison",
    "Mark",
    "Run",
    "Runs",
    "Unsupported",
    "UserError",
    "Work",
    "axis",
    "compare",
    "load",
    "measure",
    "meter",
    "record",
    "workload",
]

_MODULES = {
    "Comparison": "hwbench.api.comparison",
    "compare": "hwbench.api.comparison",
    "measure": "hwbench.api.measure",
    "meter": "hwbench.api.meter",
    "record": "hwbench.api.record",
    "Run": "hwbench.api.runs",
    "Runs": "hwbench.api.runs",
    "load": "hwbench.api.runs",
    "Unsupported": "hwbench.errors",
    "UserError": "hwbench.errors",
    "Work": "hwbench.records",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'hwbench' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
