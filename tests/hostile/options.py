"""A kind of attack on options and arguments: numbers, names and paths that are none."""

from pathlib import Path
from random import Random

from hostile import columns, shapes
from hostile.attack import REFUSED, Attack
from hostile.parts import file_name
from hostile.reading import COMPARE, GATE
from hostile.texts import text

HOLE = "HOLE"
COMMANDS = """
gate --baseline good --candidate slow --threshold HOLE
gate --baseline HOLE --candidate slow
gate --baseline good --candidate HOLE
gate --baseline good --candidate slow --metric HOLE
gate --baseline good --candidate slow --rules HOLE
gate --baseline good --candidate slow --confirm HOLE
gate --self-test --pairs HOLE
gate --self-test --candidate good --pairs 10 --threshold HOLE
gate --baseline label:HOLE --candidate good
gate --baseline label:main:HOLE --candidate good
gate --baseline good --candidate slow --output HOLE
gate HOLE
compare HOLE good
compare good HOLE --json
compare good slow --threshold HOLE
compare good slow --metric HOLE
compare good slow HOLE
report HOLE
report good --format HOLE
report good --figures figures --figure-format HOLE
report label:HOLE
report good --output HOLE
report good HOLE
summarize HOLE
summarize good --output HOLE
profile --diff good HOLE
profile --diff HOLE slow
import HOLE file.json
import pyperf HOLE
import hyperfine HOLE --name x
run gemm --set HOLE
run gemm --set n=HOLE
run gpt/train --set HOLE=1
run gemm --dtype HOLE
run gemm --processes HOLE
run gemm --max-processes HOLE
run gemm --precision HOLE
run gemm --budget HOLE
run gemm --min-time HOLE
run gemm --max-time HOLE
run gemm --min-samples HOLE
run gemm --timeout HOLE
run gemm --seed HOLE
run gemm --tdp HOLE
run gemm --suite HOLE
run gemm --workloads HOLE
run gemm --run-id HOLE
run gemm --name HOLE
run HOLE
run gemm --device HOLE
run gemm --output HOLE
run hf/train --set model=HOLE
noise gemm --processes HOLE
noise HOLE
profile HOLE
profile gemm --trace HOLE
ab gemm --pairs HOLE --a ./nonexistent
ab HOLE --a ./nonexistent
ab gemm --a HOLE
ab gemm --a-dir HOLE --a ./nonexistent
meter --tdp HOLE -- true
meter --name HOLE -- true
meter -- HOLE
info --device HOLE
completion HOLE
HOLE
--HOLE
list --workloads HOLE
""".strip().splitlines()

STATUSES = {
    "gate": {REFUSED, *GATE},
    "compare": {REFUSED, *COMPARE},
    "meter": set(range(256)),  # those of any command
}
WRITES = {
    "report": ["reports", "figures"],
    "summarize": ["results/good", "results/slow"],
}
NUMBERS = [
    *("0", "-1", "1", "3", "1e400", "-1e400", "nan", "inf", "-inf", "1e-400", "0x10", "1_000"),
    *("٣", "½", "\uff11", "1.5", "1e3", "99999999999999999999", shapes.DIGITS),
    *(f"0.{shapes.DIGITS}", "5%", "100%", "0%", "-5%", "1e400%", "nan%", "%", "5%%", "3m", "infm"),
    *("nanh", "1e400s", "m", "0.0000001", "1e308h", "1" * 400),
]
WORDS = [
    *("results", ".", "..", "/", "/dev/null", "/dev/zero", "/proc/self/mem", "good", "slow", "all"),
    *("label:main", "label:", "label:main:0", "results/good", "max", "auto", "a=b,c", "fp32,,bf16"),
]
LONGEST = 100_000
"""Characters of a word; a kernel takes no more than 128 KiB."""


def options(rng: Random, work: Path) -> Attack:
    """A number, a name or a path that is none, or somewhere else."""
    columns.lay(rng, work)
    parts, word = rng.choice(COMMANDS).split(), _word(rng)
    words = [part.encode().replace(HOLE.encode(), word) for part in parts]
    statuses = STATUSES.get(parts[0], {0, REFUSED})
    return Attack(words, frozenset(statuses), WRITES.get(parts[0], []))


def _word(rng: Random) -> bytes:
    """What may follow an option: no word holds a byte of zero."""
    roll = rng.random()
    if roll < 0.4:
        return rng.choice(NUMBERS).encode()
    if roll < 0.5:
        return file_name(rng)
    if roll < 0.6:
        return rng.choice(WORDS).encode()
    return text(rng).replace("\0", "").encode(errors="replace")[:LONGEST]
