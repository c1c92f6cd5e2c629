"""Bytes of number formats, against torch's own; accounts without torch."""

import subprocess
import sys

import pytest

from hwbench.accounts.elements import ITEM_BYTES, item_bytes
from hwbench.accounts.matmul import RESULTS, Shape
from hwbench.records import Unsupported
from hwbench.workload import DTYPES
from workloads.ceilings.products import FORMATS
from workloads.tensors import TORCH_DTYPES


def test_item_bytes_equal_torchs():
    stored = {name: dtype.itemsize for name, dtype in TORCH_DTYPES.items()}
    stored |= {name: known.stored.itemsize for name, known in FORMATS.items()}
    assert stored == {name: ITEM_BYTES[name] for name in stored}
    assert set(DTYPES) == set(stored)


@pytest.mark.parametrize("dtype", FORMATS)
def test_product_bytes_equal_its_stored_matrices(dtype):
    known = FORMATS[dtype]
    assert item_bytes(RESULTS.get(dtype, dtype)) == known.result.itemsize
    operands = (8 * 32 + 32 * 16) * known.stored.itemsize
    assert Shape(8, 16, 32).bytes(dtype) == operands + 8 * 16 * known.result.itemsize


def test_unknown_format_is_unsupported():
    with pytest.raises(Unsupported, match="unknown number format fp4; use one of fp32, tf32, bf16"):
        item_bytes("fp4")


def test_accounts_load_neither_torch_nor_pandas():
    """As their docstring's example uses them."""
    code = (
        "import sys\n"
        "from hwbench.accounts.sizes import gpt_config\n"
        "from hwbench.accounts.memory import gpt_training\n"
        "from hwbench.accounts.steps import training_work\n"
        "model = gpt_config('124m')\n"
        "assert model.parameters == 124_439_808\n"
        "step, spans = training_work(model, batch=4, seq=512, optimizer='adamw')\n"
        "assert step.tokens == 2048 and list(spans) == ['forward', 'backward', 'optimizer']\n"
        "assert gpt_training(model, 4, 512, 'bf16', 'adamw').peak > step.tokens\n"
        "print([name for name in ('torch', 'pandas', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
