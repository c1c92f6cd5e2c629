"""The other tables of a profile: the spans and modules of a step, and the memory that it held."""

import re

import pandas as pd

from hwbench.analysis.profile.operators import ProfiledCase, longest_first, rows_of
from hwbench.tables.run import RunTables
from hwbench.tables.schema import SCHEMAS

SPANS = ["span", "seconds", "share"]
MODULE_SECONDS = ["forward_s", "backward_s", "self_forward_s", "self_backward_s"]
MODULES = ["module", "kind", "modules", "calls", *MODULE_SECONDS, "seconds", "share"]
HOLDERS = [name for name in SCHEMAS["memory"].names if name.endswith("_bytes")]
"""What memory was held for: columns of the table `memory`."""


def spans(run: RunTables, case: ProfiledCase) -> pd.DataFrame:
    """A row (SPANS) for each span of the profiled step, in order. `seconds`, by the host's clock,
    are corrected for the profiler's cost and scaled to sum to the clean step; `share` is of it."""
    table = rows_of(run, case, "span")
    seconds = (table.seconds - case.event_s * table.events).clip(lower=0.0)
    seconds *= case.clean_step_s / seconds.sum() if seconds.sum() > 0 else 1.0
    return table.assign(seconds=seconds, share=seconds / case.clean_step_s)[SPANS]


def modules(run: RunTables, case: ProfiledCase) -> pd.DataFrame:
    """A row (MODULES) for each module of the model, the most seconds first. Modules whose names
    differ in a number only are one row (`blocks.*.up`), `modules` counts them.

    Seconds, forward and backward, include the modules within a module and the profiler's cost;
    `share` is of the profiled step. The median over processes.
    """
    columns = ["calls", *MODULE_SECONDS]
    by_name = _of_case(run.modules, case).groupby(["module", "kind"], sort=False)
    table = by_name[columns].median().reset_index()
    names = [re.sub(r"(?<![^.])\d+(?![^.])", "*", name) for name in table.module]
    by_kind = table.assign(module=names, modules=1).groupby(["module", "kind"], sort=False)
    table = by_kind[["modules", *columns]].sum().reset_index()
    table = table.assign(seconds=table.forward_s + table.backward_s)
    table = table.assign(share=table.seconds / case.profiled_step_s)
    return longest_first(table)[MODULES]


def memory(run: RunTables, case: ProfiledCase) -> pd.DataFrame:
    """The rows of `memory` of the first valid process that has any, in order, with their
    `total_bytes`."""
    table = _of_case(run.memory, case)
    first = table[table.process == table.process.min()]
    first = first.sort_values("position", kind="stable", ignore_index=True)
    return first.assign(total_bytes=first[HOLDERS].sum(axis=1))


def thinned(memory: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most `most` rows of `memory`: from each group of neighbours the row with the most bytes,
    so that the peak is kept."""
    if len(memory) <= most:
        return memory
    parts = pd.Series(range(len(memory)), index=memory.index) * most // len(memory)
    return memory.loc[memory.total_bytes.groupby(parts).idxmax()]


def _of_case(table: pd.DataFrame, case: ProfiledCase) -> pd.DataFrame:
    """The rows of the case's valid profiles."""
    return table[(table.case_id == case.case_id) & table.process.isin(case.processes)]
