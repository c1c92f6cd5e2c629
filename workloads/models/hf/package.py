"""Transformers itself, imported only when a model is asked for, and kept off the network.

It is an extra (`hwbench[hf]`) and takes seconds to import.
"""

import importlib
import os
from collections.abc import Mapping
from typing import Any

from hwbench.records import Unsupported

OLDEST = (5, 17)
"""The oldest version that is tested."""


def import_transformers() -> Any:
    """Import the package, offline. Unsupported if it is missing or too old."""
    os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
    try:
        package = importlib.import_module("transformers")
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise Unsupported(
            "needs Transformers, which is not installed: pip install 'hwbench[hf]'"
        ) from error
    version = tuple(int(part) for part in package.__version__.split(".")[:2])
    if version < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise Unsupported(
            f"needs Transformers {oldest} or newer, not {package.__version__}: "
            "pip install 'hwbench[hf]'"
        )
    return package


def import_auto() -> Any:
    """Import the package's tables of model types and classes."""
    import_transformers()
    return importlib.import_module("transformers.models.auto")


def causal_model_types() -> Mapping[str, Any]:
    """List the model types with a head for language modelling, as Transformers does."""
    types: Mapping[str, Any] = import_auto().modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return types


def last_line(error: BaseException) -> str:
    """Cut an error's message to its last line, of at most 200 characters."""
    lines = str(error).strip().splitlines()
    line = lines[-1].strip() if lines else type(error).__name__
    return line if len(line) <= 200 else line[:199] + "…"
