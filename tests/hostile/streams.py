"""A kind of attack on standard output and standard error."""

from dataclasses import replace
from pathlib import Path
from random import Random

from hostile import columns, imports, stored
from hostile.attack import REFUSED, Attack
from hostile.stored import CALM, CALMER, GOOD

COMMANDS: list[tuple[str, int, list[str]]] = [
    ("gate --baseline calm --candidate calmer", 0, []),
    ("gate --baseline good --candidate slow", 1, []),
    ("gate --baseline good --candidate slow --json", 1, []),
    ("gate --baseline nothing --candidate slow", 3, []),
    ("compare good slow", 0, []),
    ("compare good slow --json", 0, []),
    ("compare good nothing", REFUSED, []),
    ("summarize slow", 0, ["results/slow"]),
    ("summarize slow --json", 0, ["results/slow"]),
    ("report slow -o page.html", 0, ["page.html"]),
    ("report slow --format markdown", 0, []),
    ("report slow --format csv", 0, []),
    ("report slow --format json", 0, []),
    ("report nothing", REFUSED, []),
    ("profile --diff good slow", 0, []),
    ("import pyperf file.json", 0, ["results"]),
    ("import pyperf nothing.json", REFUSED, []),
    ("meter -- sh EXIT7", 7, []),
    ("meter --list", 0, []),
    ("--help", 0, []),
    ("--version", 0, []),
    ("gate --help", 0, []),
    ("completion bash", 0, []),
    ("nothing", REFUSED, []),
]
"""Each with the exit status of its work, and what it writes."""

STDOUT = ["closed", "full", "broken", "ascii", "latin-1", "file"]
STDERR = ["closed", "full", "broken", "file"]
NAMES = ["Fake device", "Gerät – ×", "名前 🚀", "a\u202eb"]


def streams(rng: Random, work: Path) -> Attack:
    """A stream that is closed, full, read by nobody, or of few characters: the exit status is that
    of the work."""
    run = columns.lay(rng, work)
    imports.lay(work, "pyperf")
    (work / "EXIT7").write_text("exit 7\n")
    name = rng.choice(NAMES)
    for folder in (run, run.with_name(GOOD)):
        columns.change(folder / "runs" / "run.parquet", "device_name", lambda values: [name])
    stored.lay(run.parent, CALM, CALMER)
    words, status, writes = rng.choice(COMMANDS)
    stdout, stderr = rng.choice(STDOUT), rng.choice(STDERR)
    statuses = {status}
    if stdout in ("full", "closed"):  # what was asked for cannot be given
        statuses.add(REFUSED)
    attack = Attack(words.split(), frozenset(statuses), writes)
    return replace(attack, stdout=stdout, stderr=stderr, locale_c=rng.random() < 0.2)
