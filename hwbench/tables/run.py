"""The tables of one run, as they are read back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from hwbench.identity import Identity
from hwbench.tables.schema import SCHEMAS


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
        """The policy and the cases of the run, as they were before its first case started."""
        content: dict[str, Any] = json.loads(self.runs.plan.iloc[0])
        return content

    @cached_property
    def environment(self) -> Mapping[str, Any]:
        """The machine and its software."""
        content: dict[str, Any] = json.loads(self.runs.environment.iloc[0])
        return content

    @cached_property
    def argv(self) -> list[str]:
        """The command line that made the run."""
        words: list[str] = json.loads(self.runs.argv.iloc[0])
        return words

    @cached_property
    def measured(self) -> pd.DataFrame:
        """The measurements whose outcome is "ok"."""
        return self.measurements[self.measurements.outcome == "ok"]


def identity_of(head: Any) -> Identity:
    """The device of a run by its row of `runs`."""
    try:
        environment = json.loads(head.environment)
    except (TypeError, ValueError, RecursionError):
        environment = None
    known = environment if isinstance(environment, Mapping) else {}
    return Identity.of(str(head.device_kind), str(head.device_name), known)


def empty(table: str) -> pd.DataFrame:
    """A table without rows."""
    return SCHEMAS[table].empty_table().to_pandas()
