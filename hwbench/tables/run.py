"""The tables of one run, as they are read back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from hwbench.identity import Identity
from hwbench.tables import columns
from hwbench.tables.schema import SCHEMAS

Content = TypeVar("Content")

DECODED: Mapping[str, Any] = {
    "params": columns.Params,
    "span_work": columns.SpanWork,
    "choices": columns.Params,
    "slice_of": columns.SliceOf,
    "notes": columns.Notes,
}
"""The columns of `measurements` that hold JSON, and the shape of each."""

NOTHING: Mapping[str, Any] = {"span_work": {}, "choices": {}, "slice_of": None}
"""What null means in a column that may have it."""


@dataclass(frozen=True)
class RunDevice:
    """The device that a run measured: its kind ("cpu", "cuda") and the name of the model."""

    kind: str
    name: str


@dataclass(frozen=True, eq=False)
class RunTables:
    """One run read back: a data frame for each raw table, never changed in place.

    All but `runs` and `measurements` hold only measured cases. Two objects are equal only if they
    are the same object, so that a run can be the key of a dictionary or of a cache.

    The tables hold JSON as it was stored; `plan`, `planned`, `environment`, `argv`, `decoded`,
    `measured` and `unknown` have what it says, decoded once. UserError, which names the column, if
    one is damaged; `read_run` has found that before.
    """

    folder: Path
    runs: pd.DataFrame
    measurements: pd.DataFrame
    samples: pd.DataFrame
    spans: pd.DataFrame
    readings: pd.DataFrame = field(default_factory=lambda: empty("readings"))
    telemetry: pd.DataFrame = field(default_factory=lambda: empty("telemetry"))
    requests: pd.DataFrame = field(default_factory=lambda: empty("requests"))
    profiles: pd.DataFrame = field(default_factory=lambda: empty("profiles"))
    ops: pd.DataFrame = field(default_factory=lambda: empty("ops"))
    modules: pd.DataFrame = field(default_factory=lambda: empty("modules"))
    gaps: pd.DataFrame = field(default_factory=lambda: empty("gaps"))
    memory: pd.DataFrame = field(default_factory=lambda: empty("memory"))
    left_out: Mapping[str, int] = field(default_factory=dict)
    """By table, the rows that were not read, as there are too many of them (parts.THINNED)."""

    @property
    def run_id(self) -> str:
        return str(self.runs.run_id.iloc[0])

    @cached_property
    def device(self) -> RunDevice:
        """The device that was measured."""
        return RunDevice(
            str(self.runs.device_kind.iloc[0]),
            str(self.runs.device_name.iloc[0]),
        )

    @cached_property
    def identity(self) -> Identity:
        """Which device that is, and what tells it from others of its name."""
        return identity_of(self.runs.iloc[0])

    @cached_property
    def plan(self) -> Mapping[str, Any]:
        """The policy and the cases of the run, as they were before its first case started: all that
        was stored of them."""
        return self._of_head("plan", columns.decode_whole_plan)

    @cached_property
    def planned(self) -> columns.Plan:
        """What the code uses of `plan`."""
        return self._of_head("plan", columns.decode_plan)

    @cached_property
    def environment(self) -> Mapping[str, Any]:
        """The machine and its software."""
        return self._of_head("environment", columns.decode_environment)

    @cached_property
    def argv(self) -> list[str]:
        """The command line that made the run."""
        return self._of_head("argv", columns.decode_argv)

    @cached_property
    def decoded(self) -> pd.DataFrame:
        """`measurements` with its JSON decoded (see `columns`): `params`, `choices` and `span_work`
        are dictionaries, the last two empty in older runs; `notes` is a list; `slice_of` is None
        where a case is no slice."""
        rows = self.measurements
        return rows.assign(
            **{
                name: _decode(self.folder, "measurements", rows[name], shape)
                for name, shape in DECODED.items()
            }
        )

    @cached_property
    def measured(self) -> pd.DataFrame:
        """The rows of `decoded` whose outcome is "ok"."""
        return self.decoded[self.decoded.outcome == "ok"]

    @cached_property
    def unknown(self) -> pd.Series:
        """For each row of `profiles` what it lacks, and why."""
        return _decode(self.folder, "profiles", self.profiles.unknown, columns.Unknown)

    def _of_head(self, column: str, decode: Callable[[str], Content]) -> Content:
        try:
            return decode(self.runs[column].iloc[0])
        except ValueError as error:
            raise columns.damaged(self.folder, "runs", column, str(error)) from error


def _decode(folder: Path, table: str, texts: pd.Series, shape: Any) -> pd.Series:
    name, values = str(texts.name), []
    try:
        for text in texts:
            is_null = name in NOTHING and not isinstance(text, str)
            values.append(NOTHING[name] if is_null else columns.decode(text, shape))
    except ValueError as error:
        raise columns.damaged(folder, table, name, str(error)) from error
    return pd.Series(values, index=texts.index, dtype=object)


def identity_of(head: Any) -> Identity:
    """The device of a run by its row of `runs`."""
    try:
        environment = columns.decode_facts(head.environment)
    except ValueError:
        environment = {}
    return Identity.of(str(head.device_kind), str(head.device_name), environment)


def empty(table: str) -> pd.DataFrame:
    """A table without rows."""
    return SCHEMAS[table].empty_table().to_pandas()
