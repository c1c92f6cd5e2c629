"""Files of other tools for the tests of `hwbench import`: real ones (see data/README.md), and the
same with one place changed."""

import copy
import json
import shutil
from pathlib import Path

import pytest

from hwbench.records import UserError
from hwbench.tables import importers

DATA = Path(__file__).with_name("data")
FILES = {tool: DATA / f"{tool}.json" for tool in importers.TOOLS}
SOURCES = {tool: json.loads(file.read_text()) for tool, file in FILES.items()}
DROP = object()


def changed(tool, *path, to):
    """The text of the real file with one place changed, or taken out if `to` is DROP; without a
    path, that of `to`."""
    if not path:
        return json.dumps(to)
    content = copy.deepcopy(SOURCES[tool])
    place = content
    for key in path[:-1]:
        place = place[key]
    if to is DROP:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return json.dumps(content)


def written(folder, text):
    """The text as a file, with the samples of nvbench beside it."""
    if not (folder / "nvbench.json-bin").exists():
        shutil.copytree(DATA / "nvbench.json-bin", folder / "nvbench.json-bin")
    file = folder / "file.json"
    file.write_text(text)
    return file


def read_changed(folder, tool, *path, to):
    """What comes out of the real file with one place changed."""
    return importers.read(tool, [written(folder, changed(tool, *path, to=to))])


def refusal(folder, tool, *path, to):
    """Why the real file with one place changed is refused."""
    with pytest.raises(UserError) as caught:
        read_changed(folder, tool, *path, to=to)
    head = f"{folder}/file.json: not a result of {tool}: "
    assert str(caught.value).startswith(head)
    return str(caught.value).removeprefix(head)


def steps_of(measurement, warmup=False):
    samples = measurement.window.samples
    return [
        step for step, warm in zip(samples.step_s, samples.warmup, strict=True) if warm == warmup
    ]


def reason_among_others(found):
    """Why the times of a process cannot be imported; all others of the file are."""
    (unusable,) = {process.reason for _, process in found.measured if process.outcome != "ok"}
    assert any(process.outcome == "ok" for _, process in found.measured)
    return unusable.removeprefix("cannot be imported: ")
