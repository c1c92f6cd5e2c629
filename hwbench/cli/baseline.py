"""The runs that `hwbench gate --baseline` names."""

from pathlib import Path
from typing import TYPE_CHECKING

from hwbench.cli import options
from hwbench.records import UserError
from hwbench.tables import labels

if TYPE_CHECKING:
    from hwbench.tables.run import RunTables

ROLLING = 5
"""How many runs of a label make a baseline if no number is given."""


def read_baseline(
    names: tuple[str, ...], candidate: "RunTables", output: Path
) -> tuple[list["RunTables"], str]:
    """The runs of the baseline, each once; if there is none, an empty list and the reason.

    A name is a run's folder or id, a folder of runs, or label:NAME[:N]. UserError if one of the
    runs is the candidate itself, or a `label:` is misspelt.
    """
    from hwbench import tables

    folders, message = _folders(names, candidate, output)
    runs = {run.run_id: run for run in map(tables.read_run, folders)}
    if candidate.run_id in runs:
        raise UserError(f"the baseline {candidate.run_id} is the candidate itself")
    return list(runs.values()), message


def _folders(
    names: tuple[str, ...], candidate: "RunTables", output: Path
) -> tuple[list[Path], str]:
    from hwbench import tables
    from hwbench.analysis.verdict import gate

    folders: list[Path] = []
    for name in names:
        if label := labels.parse(name, "--baseline "):
            heads = tables.read_heads(output, options.warn)
            rolling = gate.rolling(heads, label.name, label.count or ROLLING, candidate)
            if not rolling:
                missing = f"no other run in {output} has the label {label.name!r}"
                return [], f"no baseline: {missing} (hwbench run --name)"
            folders += rolling
        elif runs_inside := sorted(runs.parent for runs in Path(name).glob("*/runs")):
            folders += [folder for folder in runs_inside if folder.name != candidate.run_id]
        else:
            try:
                folders.append(tables.find_run(name, output))
            except UserError as error:
                return [], f"no baseline: {error}"
    if not folders:
        return [], f"no baseline: nothing but the candidate in {', '.join(names)}"
    return folders, ""
