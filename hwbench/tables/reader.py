"""Finds stored runs, and reads and checks their tables."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa

from hwbench.inputs import shortened
from hwbench.printable import one_line
from hwbench.records import UserError
from hwbench.tables.integrity import check_run, check_table
from hwbench.tables.parts import Room, read_part
from hwbench.tables.run import RunTables, empty
from hwbench.tables.schema import KEY, RAW, REFERENCE, RUN_ID, SCHEMAS

Warn = Callable[[str], None]


def read_noise(results: Path, warn: Warn) -> pd.DataFrame:
    """The noise floors of all runs in `results` and its reference runs. `warn` gets a line for each
    run that cannot be read and is left out."""
    parts = []
    for folder in _run_folders(results):
        with _warn_of_errors(warn):
            parts.append(_read_table(folder, "noise", Room()))
    return pd.concat(parts, ignore_index=True) if parts else empty("noise")


def read_heads(results: Path, warn: Warn) -> pd.DataFrame:
    """The `runs` rows of all runs in `results` and its reference runs, with their `folder`, ordered
    by the folder's name. `warn` gets a line for each run that cannot be read and is left out."""
    heads = []
    for folder in _run_folders(results):
        with _warn_of_errors(warn):
            heads.append(_read_table(folder, "runs", Room()).assign(folder=folder))
    return pd.concat(heads, ignore_index=True) if heads else empty("runs").assign(folder=[])


def _run_folders(results: Path) -> list[Path]:
    paths = [*results.glob("*/runs"), *(results / REFERENCE).glob("*/runs")]
    return sorted(path.parent for path in paths)


@contextmanager
def _warn_of_errors(warn: Warn) -> Iterator[None]:
    """One damaged run must not stop the work on the others."""
    try:
        yield
    except UserError as error:
        warn(f"{error}; left out")


def find_run(name: str, results: Path) -> Path:
    """The folder that RUN names: a folder's path, or the id of a run in `results` or
    `results/reference`. UserError, which lists the latest runs, if there is none."""
    places = [Path(name)]
    if RUN_ID.fullmatch(name):
        places += [results / name, results / REFERENCE / name]
    try:
        for place in places:
            if (place / "runs").is_dir():
                return place
        is_folder = Path(name).is_dir()
    except OSError as error:  # a name that is too long for a path, say
        raise UserError(f"{shortened(name)}: {error.strerror}") from error
    if is_folder:
        raise UserError(f"{name}: no run in this folder (no runs/*.parquet in it)")
    latest = sorted((path.parent.name for path in results.glob("*/runs")), reverse=True)[:3]
    hint = "there is none yet; `hwbench run` makes one"
    if latest:
        hint = f"the latest there are {', '.join(latest)}"
    raise UserError(f"no run {shortened(name)!r}, neither a folder nor an id in {results}; {hint}")


def read_run(folder: Path) -> RunTables:
    """Read one run, finished or not. UserError, which names the file or the folder and the column,
    for what is cut short, damaged, of another run, not hwbench's or of a newer schema."""
    room = Room()
    runs, measurements, *rest = (_read_table(folder, table, room) for table in RAW)
    if runs.empty:
        raise UserError(f"{folder}: no run in this folder (no runs/*.parquet in it)")
    if len(runs) > 1:
        raise UserError(f"{folder}: more than one run in this folder")
    measured = measurements[KEY].drop_duplicates()
    own = {name: _own(table, measured) for name, table in zip(RAW[2:], rest, strict=True)}
    run = RunTables(folder, runs, measurements, **own, left_out=room.left_out)
    check_run(run)
    return run


def _own(table: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table whose process has a measurement."""
    return table if table.empty else table.merge(measured, on=KEY)


def _read_table(folder: Path, table: str, room: Room) -> pd.DataFrame:
    """A table of a run, its values checked. The run's id is the name of its folder, however that is
    spelt: rows of another id are another run's."""
    files, own = sorted((folder / table).glob("*.parquet")), folder.resolve().name
    if files and not RUN_ID.fullmatch(own):
        raise UserError(f"{folder}: not the id of a run; rename the folder to its run's id")
    parts = [read_part(file, table, room) for file in files]
    content: pd.DataFrame = pa.concat_tables(parts or [SCHEMAS[table].empty_table()]).to_pandas()
    if content.empty:
        return content
    if others := set(content.run_id.unique()) - {own}:
        raise _another_run(folder, table, min(others))
    check_table(folder, table, content)
    return content


def _another_run(folder: Path, table: str, run_id: str) -> UserError:
    """The error for a table whose rows are not of the run that the folder is named for."""
    whose = f"{folder}: table {table!r} has rows of another run, {one_line(shortened(run_id))}"
    if table == "runs" and RUN_ID.fullmatch(run_id):
        return UserError(f"{whose}; if the folder was renamed, name it {run_id} again")
    return UserError(whose)
