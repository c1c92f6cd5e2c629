"""Kinds of attack on the TOML files that a user writes: a gate's rules, and suites."""

import json
from pathlib import Path
from random import Random

from hostile import columns, shapes
from hostile.attack import REFUSED, Attack
from hostile.parts import NO_FILES
from hostile.reading import GATE
from hostile.stored import GOOD, SLOW
from hostile.texts import text

RULES = """
[default]
threshold = "5%"
metrics = ["tokens_per_s", "step_s_p50"]

[[rules]]
workload = "gpt/*"
metric = "memory_peak_bytes"
threshold = 0.02
"""
SUITE = """
description = "A suite."

[policy]
processes = 3
precision = 0.01
max_time_s = 2.0

[[cases]]
workload = "gemm"
n = [64, 128]
dtype = "fp32"

[[cases]]
workload = "gpt/train"
size = "nano"
batch = 1
"""

VALUES = [
    *("0", "-1", "1e400", "-inf", "nan", "true", "1_000_000_000_000_000_000_000"),
    *("0x7fffffffffffffffff", shapes.DIGITS, f'"{shapes.DIGITS}"', f'"{shapes.DIGITS}%"'),
    *('"1e400%"', '"nan"', '"inf%"', '"100%"', "2026-11-24", "08:00:00", "2026-11-24T08:00:00Z"),
    *(
        "''",
        '""',
        "[]",
        "{}",
        "[[]]",
        "[1, 'a']",
        "[nan, inf]",
        "[[1], [2]]",
        '["tokens_per_s", 1]',
    ),
    *('"[z-a]"', '"[]"', f'"{"*a" * 500}b"', f'"{"[!" * 500}]"', "[" + "1, " * 20_000 + "]"),
    *('["gemm", "gemm"]', f'["{"x" * 50_000}"]', '"/etc/passwd"', '"hf/train"', '"label:main"'),
    *('"max"', '"auto"'),
]
NAMES = ["x" * 10_000, '""', "policy", "cases", "default", "workload", "n"]
DEPTHS = [100, 2000, 100_000]
DOTS = [100, 3000]


def rules(rng: Random, work: Path) -> Attack:
    """A gate.toml that is none."""
    columns.lay(rng, work)
    _write(rng, work / "gate.toml", RULES)
    words = ["gate", "--baseline", GOOD, "--candidate", SLOW, "--rules", "gate.toml"]
    return Attack(words, frozenset({REFUSED, *GATE}))


def suites(rng: Random, work: Path) -> Attack:
    """A suite that is none."""
    _write(rng, work / "suite.toml", SUITE)
    return Attack(["run", "--suite", "suite.toml"], frozenset({REFUSED}))


def _write(rng: Random, file: Path, whole: str) -> None:
    """A TOML file with one value or name that is something else, or that is damaged."""
    if rng.random() < 0.1:
        rng.choice(NO_FILES)(file)
        return
    lines = whole.strip().split("\n")
    at = rng.choice([n for n, line in enumerate(lines) if "=" in line])
    name, _, value = lines[at].partition(" = ")
    way = rng.randrange(6)
    if way < 3:
        lines[at] = f"{name} = {_value(rng)}"
    elif way == 3:
        lines[at] = f"{_name(rng)} = {value}"
    elif way == 4:
        lines.insert(
            at,
            rng.choice(
                [lines[at], f"[{_name(rng)}]", f"[[{_name(rng)}]]", f"{_name(rng)} = {_value(rng)}"]
            ),
        )
    else:
        lines = [shapes.broken(rng, "\n".join(lines))]
    content = "\n".join(lines).encode(errors="replace")
    file.write_bytes(
        rng.choice([content] * 8 + [b"\xef\xbb\xbf" + content, content.decode().encode("utf-16")])
    )


def _value(rng: Random) -> str:
    roll = rng.random()
    if roll < 0.3:
        return json.dumps(text(rng))
    if roll < 0.5:
        depth = rng.choice(DEPTHS)
        deep = "[" * depth + "]" * depth, "{a = " * depth + "1" + "}" * depth
        return rng.choice([*deep, f'"{"[" * depth}"', f'"{"*" * depth}"'])
    return rng.choice(VALUES)


def _name(rng: Random) -> str:
    if rng.random() < 0.5:
        return json.dumps(text(rng))
    return rng.choice([*NAMES, "a." * rng.choice(DOTS) + "b"])
