"""Histories of many runs that a test chooses every value of."""

import numpy as np
import pandas as pd

from hwbench.analysis.history import POINTS


def history_of(seconds: np.ndarray, **columns) -> pd.DataFrame:
    """The points (history.POINTS) of one case over as many runs, r0, r1, …; `columns` replace what
    is fixed."""
    n = len(seconds)
    fixed = {
        "label": "main",
        "device_kind": "fake",
        "device_name": "D",
        "case_id": "c",
        "case": "a case",
    }
    fixed |= {
        "metric": "step_s_p50",
        "unit": "s",
        "position": range(n),
        "run_id": [f"r{i}" for i in range(n)],
    }
    fixed |= {"started_at": "t", "commit": [f"k{i}" for i in range(n)], "validity": "valid"}
    values = {"value": seconds, "ci_low": np.nan, "ci_high": np.nan}
    return pd.DataFrame(fixed | values | columns, columns=POINTS)


def level(n: int, value: float) -> list[float]:
    """`n` values that alternate around `value` by a thousandth."""
    return list(value * (1 + 0.001 * (-1.0) ** np.arange(n)))
