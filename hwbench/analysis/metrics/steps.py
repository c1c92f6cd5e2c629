"""The steps after warm-up, their spans, and the time that a step spends in each span."""

import pandas as pd

from hwbench.analysis.once import once_a_run
from hwbench.tables.run import RunTables
from hwbench.tables.schema import KEY

REST = "(rest)"
"""The time of a step that no span covers."""


@once_a_run
def timed_samples(run: RunTables) -> pd.DataFrame:
    """The samples after warm-up, of processes that came out ok."""
    samples = run.samples[~run.samples.warmup.astype(bool)]
    return samples.merge(run.measured[KEY], on=KEY)


@once_a_run
def timed_spans(run: RunTables) -> pd.DataFrame:
    """The spans of the steps after warm-up, of processes that came out ok."""
    first = run.measurements[[*KEY, "warmup_steps"]].rename(columns={"warmup_steps": "first"})
    spans = run.spans.merge(first, on=KEY)
    timed = spans[spans.step >= spans["first"]].drop(columns="first")
    return timed.merge(run.measured[KEY], on=KEY)


@once_a_run
def spans_of_steps(run: RunTables) -> pd.DataFrame:
    """The time of each timed step in each span: case_id, process, step, name, seconds, in the order
    of the marks. Spans of one name in a step are added up (decode has one a token)."""
    key = [*KEY, "step", "name"]
    return timed_spans(run).groupby(key, sort=False).span_s.sum().reset_index(name="seconds")


def spans_of_processes(run: RunTables) -> pd.DataFrame:
    """The time of the median step of each process in each span: case_id, process, name, seconds."""
    return spans_of_steps(run).groupby([*KEY, "name"], sort=False).seconds.median().reset_index()


def span_times(run: RunTables) -> pd.DataFrame:
    """The time of a timed step in each span: case_id, name, seconds, in the order of the marks.

    Median over steps, then over processes. The time that no span covers comes last, as REST, where
    it is a thousandth of the step or more.
    """
    sums = spans_of_steps(run)
    if sums.empty:
        return pd.DataFrame(columns=["case_id", "name", "seconds"])
    step_key = [*KEY, "step"]
    steps = timed_samples(run)
    covered = sums.groupby(step_key).seconds.sum()
    rest = steps.set_index(step_key).step_s.reindex(covered.index) - covered
    sums = pd.concat([sums, rest.reset_index(name="seconds").assign(name=REST)])
    within = sums.groupby([*KEY, "name"], sort=False).seconds.median().reset_index()
    times = within.groupby(["case_id", "name"], sort=False).seconds.median().reset_index()
    step_s = times.case_id.map(steps.groupby("case_id").step_s.median())
    is_shown = (times.name != REST) | (times.seconds >= step_s / 1000)
    return times[is_shown].reset_index(drop=True)
