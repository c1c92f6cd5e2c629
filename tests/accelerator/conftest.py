"""Tests on a torch accelerator without hardware: the stand-in `torch_tpu` beside this file, which
hwbench opens as `--device tpu`.

torch has one accelerator in a process, so these tests run in a pytest of their own, which `make
test` starts; together with other tests they are skipped.
"""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    own = [item for item in items if HERE in item.path.parents]
    if len(own) < len(items):
        reason = "torch has one accelerator in a process: run `pytest tests/accelerator` alone"
        for item in own:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def torch_tpu() -> None:
    """The stand-in, built; skips without a compiler."""
    sys.path.insert(0, str(HERE))
    from torch_tpu.library import NoCompiler, build_library

    try:
        build_library()
    except NoCompiler as why:
        pytest.skip(str(why))
