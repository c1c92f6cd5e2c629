"""Remembers the results of functions of one run, so that each is computed once a run."""

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import pandas as pd

from hwbench.tables.run import RunTables

Rest = ParamSpec("Rest")
Result = TypeVar("Result")

_results: WeakKeyDictionary[RunTables, dict[Hashable, Any]] = WeakKeyDictionary()
"""By run, for as long as the run object lives, then by function and its other arguments."""


def once_a_run(
    function: Callable[Concatenate[RunTables, Rest], Result],
) -> Callable[Concatenate[RunTables, Rest], Result]:
    """Make `function(run, *rest)` remember its result for each run object and hashable `rest`.

    Each call returns a shallow copy of a data frame, a dict or a list, so that a caller can add,
    drop or rename columns. The values in it are shared and must not be changed.
    """

    @wraps(function)
    def remember(run: RunTables, /, *rest: Rest.args, **named: Rest.kwargs) -> Result:
        results = _results.setdefault(run, {})
        key = (function, rest, tuple(sorted(named.items())))
        if key not in results:
            results[key] = function(run, *rest, **named)
        copy: Result = _copy(results[key])
        return copy

    return remember


def _copy(result: Any) -> Any:
    if isinstance(result, pd.DataFrame):
        return result.copy(deep=False)
    return result.copy() if isinstance(result, dict | list) else result
