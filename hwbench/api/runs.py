"""Load stored runs and read their tables as DataFrames."""

import html
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import pandas as pd

from hwbench.analysis.metrics.spans import summarize_spans
from hwbench.analysis.metrics.steps import span_times
from hwbench.analysis.metrics.summary import summarize
from hwbench.analysis.outcomes import cases
from hwbench.errors import UserError
from hwbench.inputs import shortened
from hwbench.printable import printable
from hwbench.report.numbers import UNKNOWN, quantity, uncertainty
from hwbench.report.page import html as page
from hwbench.report.view import RATES, CaseView, view_runs
from hwbench.tables import labels
from hwbench.tables.reader import find_run, read_heads, read_run
from hwbench.tables.run import RunTables
from hwbench.tables.schema import RAW


class _Tables:
    """The raw tables by name, each a DataFrame from `_table`."""

    measurements: pd.DataFrame
    """A row a case and process: outcome, reason, declared work, window."""
    samples: pd.DataFrame
    """A row a step: `step_s`, whether it was warm-up."""
    spans: pd.DataFrame
    """A row a step and mark: `name`, `span_s`."""
    readings: pd.DataFrame
    """What the meters said of each window: energy and power by scope, with their uncertainty."""
    telemetry: pd.DataFrame
    """What the meters showed over time: clocks, temperatures, power."""
    requests: pd.DataFrame
    """A row a request of a test under load."""
    profiles: pd.DataFrame
    """A row a profiled process."""
    ops: pd.DataFrame
    """A row an operator of a profiled step."""
    modules: pd.DataFrame
    """A row a module of a profiled model."""
    gaps: pd.DataFrame
    """The idle gaps of an accelerator in a profiled step."""
    memory: pd.DataFrame
    """What held memory at the peak of a profiled step."""

    if not TYPE_CHECKING:  # a checker knows the attributes above, and no others

        def __getattr__(self, name: str) -> Any:
            if name in RAW:
                return self._table(name)
            raise AttributeError(f"{type(self).__name__} has no {name!r}")

    def _table(self, name: str) -> pd.DataFrame:
        raise NotImplementedError


class Run(_Tables):
    """One run: what was measured, on what, and what it came to.

    The tables are DataFrames with the columns of docs/tables.md, in base units (s, B, J, FLOP/s).
    A value that is not known is null, never 0. `metrics`, `span_metrics` and `cases` are derived
    when first asked for; the others are as they were stored.
    """

    def __init__(self, tables: RunTables) -> None:
        self.tables = tables
        self._folder = tables.folder.resolve()

    def _table(self, name: str) -> pd.DataFrame:
        table: pd.DataFrame = getattr(self.tables, name)
        return table

    @property
    def run_id(self) -> str:
        return self.tables.run_id

    @property
    def folder(self) -> Path | None:
        """Where the run is stored; None for one that was measured and not stored."""
        return self._folder if self._folder.is_dir() else None

    @property
    def label(self) -> str:
        """The name that runs which belong together share; empty if it has none."""
        return str(self.tables.runs.label.iloc[0])

    @property
    def device(self) -> str:
        """The device's name, as its maker calls it."""
        return str(self.tables.runs.device_name.iloc[0])

    @property
    def environment(self) -> Mapping[str, Any]:
        """The machine, the device, the versions and the settings at the start of the run."""
        return self.tables.environment

    @property
    def cases(self) -> pd.DataFrame:
        """A row a case of the plan: case_id, workload, params, dtype, label, outcome, reason,
        processes, planned, choices."""
        return cases(self.tables)

    @property
    def metrics(self) -> pd.DataFrame:
        """A row a case and metric: value, unit, 95 % interval (ci_low, ci_high), n processes,
        validity and its reasons."""
        return summarize(self.tables)

    @cached_property
    def span_metrics(self) -> pd.DataFrame:
        """A row a case, span and metric, with the columns of `metrics`."""
        return summarize_spans(self.tables)

    @property
    def span_times(self) -> pd.DataFrame:
        """What a typical step spends in each span: case_id, name, seconds (median over steps, then
        over processes)."""
        return span_times(self.tables)

    def to_html(self) -> str:
        """The run's page: one file that needs no network. Same as `hwbench report`."""
        return page.render([self.tables])

    def __repr__(self) -> str:
        ok = int((self.cases.outcome == "ok").sum())
        return f"<hwbench run {self.run_id} on {self.device}: {ok} of {len(self.cases)} cases ok>"

    def _repr_html_(self) -> str:
        return _as_html(view_runs([self.tables])[0].cases, f"{self.run_id} on {self.device}")


class Runs(_Tables, Sequence[Run]):
    """Runs in order; each table holds the rows of all of them, told apart by `run_id`."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._runs = list(runs)

    def __len__(self) -> int:
        return len(self._runs)

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> "Runs": ...
    def __getitem__(self, index: int | slice) -> "Run | Runs":
        return Runs(self._runs[index]) if isinstance(index, slice) else self._runs[index]

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    @property
    def metrics(self) -> pd.DataFrame:
        return self._table("metrics")

    @property
    def span_metrics(self) -> pd.DataFrame:
        return self._table("span_metrics")

    @property
    def cases(self) -> pd.DataFrame:
        return self._table("cases")

    @property
    def span_times(self) -> pd.DataFrame:
        return self._table("span_times")

    def _table(self, name: str) -> pd.DataFrame:
        if not self._runs:
            raise UserError(f"no runs, so no {name}")
        tables = [getattr(run, name).assign(run_id=run.run_id) for run in self._runs]
        return pd.concat(tables, ignore_index=True)

    def __repr__(self) -> str:
        return f"<hwbench runs: {', '.join(run.run_id for run in self._runs)}>"

    def _repr_html_(self) -> str:
        return "\n".join(run._repr_html_() for run in self._runs)


def load(*names: str | Path, results: str | Path = "results") -> Runs:
    """Load runs by name: a run's folder, its id in `results`, or `label:NAME[:N]` for all (the last
    N) runs of a label, oldest first.

    Raises UserError, in one line, if there is no such run or if it is damaged.
    """
    if not names:
        raise UserError("name a run to load: a folder, an id, or label:NAME[:N]")
    folders = [folder for name in names for folder in _folders(str(name), Path(results))]
    return Runs(Run(read_run(folder)) for folder in folders)


def _folders(name: str, results: Path) -> list[Path]:
    label = labels.parse(name)
    if label is None:
        try:
            return [find_run(name, results)]
        except OSError as error:  # a name that is too long for a path, say
            raise UserError(f"{shortened(name)}: {error.strerror}") from error
    return labels.folders(read_heads(results, _ignore), label, results)


def warn(text: str) -> None:
    """A Python warning for what should be mended and stops nothing."""
    warnings.warn(printable(text), stacklevel=2)


def _ignore(warning: str) -> None:
    """Damaged runs of other labels do not concern who loads this one."""


def _as_html(cases: Sequence[CaseView], title: str) -> str:
    """A run's cases with their headline figures, for a notebook."""
    head = "".join(f"<th>{name}</th>" for name in ("case", "rate", "±", "step p50", "outcome"))
    rows = "".join(f"<tr>{''.join(map(_cell, _figures(case)))}</tr>" for case in cases)
    caption = f"<caption>{html.escape(title)}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _figures(case: CaseView) -> list[str]:
    rate = quantity(case.get(case.rate), RATES[case.rate]) if case.rate else UNKNOWN
    outcome = f"{case.status}: {case.reason}" if case.reason else case.status
    step = quantity(case.get("step_s_p50"), "s")
    return [case.short, rate, uncertainty(case.uncertainty), step, outcome]


def _cell(text: str) -> str:
    return f"<td>{html.escape(text)}</td>"
