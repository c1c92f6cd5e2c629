"""Tables of a run in, figures with their intervals and validity out."""

from hwbench.analysis.metrics.summary import (
    HIGHER_IS_BETTER,
    METRICS,
    PREDICTIONS,
    WORK_METRICS,
    per_process,
    spread,
    summarize,
)
from hwbench.analysis.outcomes import cases

__all__ = [
    "HIGHER_IS_BETTER",
    "METRICS",
    "PREDICTIONS",
    "WORK_METRICS",
    "cases",
    "per_process",
    "spread",
    "summarize",
]
