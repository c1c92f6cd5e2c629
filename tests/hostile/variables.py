"""Kinds of attack on environment variables: those that a run records, and those that say how a
command looks and where it is."""

from dataclasses import replace
from pathlib import Path
from random import Random

from foreign import FILES

from hostile import columns
from hostile.attack import REFUSED, Attack
from hostile.stored import GOOD, SLOW
from hostile.texts import text

RECORDED = [
    *("OMP_PLACES", "CUDA_VISIBLE_DEVICES", "MALLOC_CONF", "TORCH_LOGS", "NCCL_DEBUG"),
    *("MKL_VERBOSE", "PYTORCH_CUDA_ALLOC_CONF", "ATEN_CPU_CAPABILITY", "KMP_AFFINITY"),
    *("TRITON_CACHE", "ONEDNN_VERBOSE"),
]
SECRET = "hunter2-s3cret"
SECRETS = [
    *("TORCH_PASSWORD", "NCCL_SECRET", "OMP_AUTH", "CUDA_API", "MKL_CREDENTIALS", "NCCL_PWD"),
    "TORCH_LICENSE",
]
SURROUNDING = [
    *(
        "COLUMNS",
        "LINES",
        "TERM",
        "NO_COLOR",
        "COLORTERM",
        "LANG",
        "LC_ALL",
        "TZ",
        "HOME",
        "TMPDIR",
    ),
    *("PYTHONIOENCODING", "HWBENCH_CACHE", "XDG_CACHE_HOME", "CLICOLOR", "TTY_COMPATIBLE"),
    *("JUPYTER_COLUMNS", "SOURCE_DATE_EPOCH", "_HWBENCH_COMPLETE", "COMP_WORDS", "COMP_CWORD"),
    *("GITHUB_ACTIONS", "HWBENCH_DEBUG", "MPLBACKEND", "TMPDIR"),
]
VALUES = [b"0", b"-1", b"1", b"99999999999", b"abc", b"", b"bash_complete", b"/dev/null", b"1e400"]
NO_TEXTS = [b"\xff\xfe", b"caf\xe9", b"\xed\xa0\x80", b"x" * 100_000]
COMMANDS: list[tuple[list[str], int]] = [
    (["compare", GOOD, SLOW], 0),
    (["summarize", SLOW], 0),
    (["report", SLOW, "-o", "page.html"], 0),
    (["gate", "--baseline", GOOD, "--candidate", SLOW], 1),
    (["meter", "--list"], 0),
    (["import", "pyperf", str(FILES["pyperf"])], 0),
]


def variables(rng: Random, work: Path) -> Attack:
    """Hostile values, and secrets, in variables that a run records."""
    environment: dict[str, str | bytes | None] = {
        name: _value(rng) for name in rng.sample(RECORDED, 3)
    }
    environment |= dict.fromkeys(rng.sample(SECRETS, 2), f"x={SECRET}")
    environment["MALLOC_CONF"] = f"prof_prefix:/home/{SECRET}/prof"
    attack = Attack(
        ["meter", "--name", "metered", "--output", "results", "--", "true"],
        frozenset({0}),
        ["results"],
    )
    then = [
        ["report", "label:metered", "-o", "page.html"],
        ["report", "label:metered", "--format", "json"],
    ]
    return replace(attack, environment=environment, then=then, secrets=[SECRET])


def surroundings(rng: Random, work: Path) -> Attack:
    """Hostile values in the variables that say where a command is, and how it may look."""
    columns.lay(rng, work)
    name = rng.choice(SURROUNDING)
    words, status = rng.choice(COMMANDS)
    # the shell that asks for words to complete needs none
    statuses = {0, 1, REFUSED} if name == "_HWBENCH_COMPLETE" else {status}
    value = rng.choice(VALUES) if rng.random() < 0.7 else _value(rng)
    return Attack(words, frozenset(statuses), ["page.html", "results"], {name: value})


def _value(rng: Random) -> bytes:
    if rng.random() < 0.3:
        return rng.choice(NO_TEXTS)
    return text(rng).replace("\0", "").encode(errors="replace")[:5000]
