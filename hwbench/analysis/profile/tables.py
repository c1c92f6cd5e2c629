"""What else a profile says of a step: its spans, its modules, and what its memory held; tables in,
tables out."""

import re

import pandas as pd

from hwbench.analysis.profile.operators import ProfiledCase, rows_of
from hwbench.tables.reader import RunTables
from hwbench.tables.schema import SCHEMAS

SPANS = ["span", "seconds", "share"]
MODULE_SECONDS = ["forward_s", "backward_s", "self_forward_s", "self_backward_s"]
MODULES = ["module", "kind", "modules", "calls", *MODULE_SECONDS, "seconds", "share"]
HOLDERS = [name for name in SCHEMAS["memory"].names if name.endswith("_bytes")]
"""What memory is held for, as columns of the table `memory`."""


def spans(run: RunTables, case: ProfiledCase) -> pd.DataFrame:
    """A row (SPANS) for each part of the profiled step, in order: seconds on the host's clock, less
    what the profiler took for the events in it, scaled to sum to the clean step, of which `share`
    is."""
    table = rows_of(run, case, "span")
    seconds = (table.seconds - case.event_s * table.events).clip(lower=0.0)
    seconds *= case.clean_step_s / seconds.sum() if seconds.sum() > 0 else 1.0
    return table.assign(seconds=seconds, share=seconds / case.clean_step_s)[SPANS]


def modules(run: RunTables, case: ProfiledCase) -> pd.DataFrame:
    """A row (MODULES) for each module of the model, those that differ in numbers alone as one
    (`blocks.*.up`), the most seconds first; `modules` is how many they are.

    Seconds are those of the profiled step, in which the profiler's cost is contained, and `share`
    is of it: forward and backward, with what lies within a module. The median over processes.
    """
    table = run.modules[
        (run.modules.case_id == case.case_id) & run.modules.process.isin(case.processes)
    ]
    columns = ["calls", *MODULE_SECONDS]
    table = table.groupby(["module", "kind"], sort=False)[columns].median().reset_index()
    table = table.assign(
        module=[re.sub(r"(?<![^.])\d+(?![^.])", "*", name) for name in table.module], modules=1
    )
    table = table.groupby(["module", "kind"], sort=False)[["modules", *columns]].sum().reset_index()
    table = table.assign(seconds=table.forward_s + table.backward_s)
    table = table.assign(share=table.seconds / case.profiled_step_s)
    return table.sort_values("seconds", ascending=False, kind="stable", ignore_index=True)[MODULES]


def memory(run: RunTables, case: ProfiledCase) -> pd.DataFrame:
    """The rows of `memory` of the first valid process that has any, in order, with
    `total_bytes`."""
    table = run.memory[
        (run.memory.case_id == case.case_id) & run.memory.process.isin(case.processes)
    ]
    table = table[table.process == table.process.min()].sort_values(
        "position", kind="stable", ignore_index=True
    )
    return table.assign(total_bytes=table[HOLDERS].sum(axis=1))


def thinned(memory: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most `most` rows of `memory`: of neighbours that are put together the one with the most
    bytes, so that the peak is among them."""
    if len(memory) <= most:
        return memory
    parts = pd.Series(range(len(memory)), index=memory.index) * most // len(memory)
    return memory.loc[memory.total_bytes.groupby(parts).idxmax()]
