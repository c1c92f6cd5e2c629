"""Hostile input of every kind. A command exits as documented, with three lines at most where it
refuses, within ten seconds and a gigabyte; it shows no error of Python's, writes nothing elsewhere,
and carries nothing out that stands in data.

`pytest tests/hostile -k values-17` repeats one; HWBENCH_HOSTILE=10000 runs as many.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile.attack import Kind, count_of
from hostile.kinds import KINDS
from hostile.named import NAMED, NAMED_LONG
from hostile.runner import Runner, try_attack

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")

QUICK = 220
"""With those that have a name, 300."""

ALL = int(os.environ.get("HWBENCH_HOSTILE", "3000"))


def attacks() -> Iterator[object]:
    for kind in NAMED:
        yield pytest.param(kind, 0, id=f"named-{kind.name}")
    for kind in NAMED_LONG:
        yield pytest.param(kind, 0, id=f"named-{kind.name}", marks=pytest.mark.slow)
    for kind in KINDS:
        quick = count_of(kind, KINDS, QUICK)
        for seed in range(count_of(kind, KINDS, ALL)):
            marks = [] if seed < quick else [pytest.mark.slow]
            yield pytest.param(kind, seed, id=f"{kind.name}-{seed}", marks=marks)


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.close()


@pytest.mark.parametrize(("kind", "seed"), list(attacks()))
def test_hwbench_withstands(kind: Kind, seed: int, runner: Runner, tmp_path: Path) -> None:
    found, done, attack = try_attack(runner, kind, seed, tmp_path)
    told = done.stderr.decode(errors="backslashreplace")[-2000:]
    assert not found, f"hwbench {attack.words}: {found}\n{done}\n{told}"
