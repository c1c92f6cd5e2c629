"""The axes that all GPT workloads share, and what follows from their values."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from hwbench.accounts.gpt import GPTConfig
from hwbench.accounts.sizes import SIZES, gpt_config
from hwbench.records import Param, Whole, Work
from hwbench.workload import axis
from workloads.tensors import TORCH_DTYPES

SIZE = axis("124m", choices=tuple(SIZES))
LAYERS = axis(None, kind=int)
INFERENCE_DTYPE = axis("auto", choices=tuple(TORCH_DTYPES))


def positions_of(params: Mapping[str, Param], named: Collection[str]) -> int:
    """Look up the positions of a case's size."""
    return SIZES[str(params["size"])].positions


def whole_of(p: Any, work_of: Callable[[GPTConfig], Work]) -> Whole | None:
    """Describe the model that a case with fewer layers is a slice of; None if it has all layers."""
    full = gpt_config(p.size)
    if not p.layers or p.layers >= full.layers:
        return None
    return Whole("layers", full.layers, work_of(full))
