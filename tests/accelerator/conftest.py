"""A torch accelerator that is no GPU: the stand-in `torch_tpu` beside this file, which hwbench
opens as `--device tpu`.

torch has one accelerator in a process, so these tests run in processes of their own, as `make test`
starts them; beside other tests they are skipped.
"""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    own = [item for item in items if HERE in item.path.parents]
    if len(own) < len(items):
        reason = "torch has one accelerator in a process: run these by themselves, `pytest tests/accelerator`"
        for item in own:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def torch_tpu() -> None:
    """Has the stand-in built; skips where there is no compiler to do it with."""
    sys.path.insert(0, str(HERE))
    from torch_tpu.library import NoCompiler, built_library

    try:
        built_library()
    except NoCompiler as why:
        pytest.skip(str(why))
