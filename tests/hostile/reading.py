"""The commands that read stored runs, each with how it may end and what it may write."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from hostile.attack import REFUSED, Attack
from hostile.stored import GOOD

RESULTS = "results"
"""Where the runs lie that an attack lays."""

GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "summary.md"}


@dataclass(frozen=True)
class Reader:
    """A command line in which RUN stands for the run and BASE for a sound one, how it may end if it
    is not refused, and what it may write."""

    words: str
    statuses: tuple[int, ...] = (0,)
    writes: Sequence[str] = ()
    on_github: bool = False
    derives: bool = False


GATE = (0, 1, 3)
COMPARE = (0, 3)
READERS = [
    Reader("report RUN", writes=["reports"]),
    Reader("report RUN -o page.html", writes=["page.html"]),
    Reader("report BASE RUN -o page.html", writes=["page.html"]),
    Reader("report RUN --format markdown"),
    Reader("report RUN --format markdown -o report.md", writes=["report.md"]),
    Reader("report RUN older old BASE --format markdown"),
    Reader("report RUN --format csv"),
    Reader("report RUN --format json"),
    Reader("compare BASE RUN", COMPARE),
    Reader("compare RUN BASE --json", COMPARE),
    Reader("compare BASE RUN --allow-cross-device", COMPARE),
    Reader("gate --baseline BASE --candidate RUN", GATE),
    Reader("gate --baseline RUN --candidate BASE --json", GATE),
    Reader(
        "gate --baseline BASE --candidate RUN --junit junit.xml --markdown gate.md",
        GATE,
        ["junit.xml", "gate.md"],
        on_github=True,
    ),
    Reader("gate --baseline older --baseline BASE --candidate RUN --strict", GATE),
    Reader("gate --self-test --candidate RUN --pairs 10"),
    Reader("summarize RUN", derives=True),
    Reader("summarize RUN --json", derives=True),
    Reader("profile --diff BASE RUN"),
    Reader("profile --diff RUN BASE --json"),
    Reader("api RUN"),
    Reader("api BASE RUN"),
]
BY_LABEL = [
    Reader("report label:main -o page.html", (0, 2), ["page.html"]),
    Reader("report label:main --format markdown"),
    Reader("report label:main:3 --format csv"),
    Reader("gate --baseline label:main --candidate BASE", GATE),
    Reader("gate --baseline results --candidate BASE", GATE),
    Reader("gate --self-test --pairs 10", (0,)),
    Reader("api label:main"),
]
FIGURES = [Reader("report RUN --figures figures --figure-format svg", writes=["figures"])]
SAYS_ALL = Reader("summarize RUN --json", derives=True)
"""Whose output holds every figure of a run."""


def read(
    reader: Reader, run: str, base: str = GOOD, is_damaged: bool = False, folder: str = ""
) -> Attack:
    """An attack by this reader on a run; a damaged run must be refused. `folder` is where the run
    lies, if that is not in the results under its name."""
    places = {"RUN": f"{RESULTS}/{run}" if "api" in reader.words else run, "BASE": base}
    if "api" in reader.words:
        places["BASE"] = f"{RESULTS}/{base}"
    words = [places.get(word, word) for word in reader.words.split()]
    writes = [*reader.writes]
    if reader.derives:
        folder = folder or f"{RESULTS}/{run}"
        writes += [f"{folder}/metrics", f"{folder}/span_metrics"]
    if reader.on_github:
        writes.append("summary.md")
    return Attack(
        words,
        frozenset({REFUSED} if is_damaged else {REFUSED, *reader.statuses}),
        writes,
        GITHUB if reader.on_github else {},
    )


def any_reader(rng: Random, run: str, base: str = GOOD, is_damaged: bool = False) -> Attack:
    """Any command that reads the run by its name."""
    readers = FIGURES if rng.random() < 0.01 else READERS
    attack = read(rng.choice(readers), run, base, is_damaged)
    if rng.random() < 0.15 and "api" not in attack.words:
        more = {"TERM": "xterm-256color", "COLUMNS": "120"}
        return replace(attack, stdout="terminal", environment={**attack.environment, **more})
    return attack
