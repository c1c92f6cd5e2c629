"""`make bench`: our tokens/s over those of Transformers, printed and recorded. A shared machine
fails no test by it.

`make test` takes a pair of a model of two layers, to see that the contests run.
"""

from dataclasses import replace
from importlib.util import find_spec

import gpt_against_transformers as contest
import pytest

from hwbench import devices

SMALL = {"gpt/train": {"batch": 1, "seq": 8}, "gpt/decode": {"batch": 1, "prompt": 4, "new": 2}}

pytestmark = [
    pytest.mark.skipif(
        find_spec("transformers") is None, reason="needs Transformers: pip install 'hwbench[hf]'"
    ),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),  # as inductor is imported
]


@pytest.mark.parametrize("name", contest.CONTESTS)
def test_tokens_a_second_beside_transformers(benchmark, name):
    asked = contest.CONTESTS[name]
    if not benchmark.enabled:
        if asked.compile:
            pytest.skip("compiles for a minute; make bench does")
        asked = replace(asked, pairs=1, size="nano", shape=SMALL[asked.workload])
    device = devices.open_device(devices.resolve("auto"))
    pairs, found = contest.pairs_of_steps(asked, device), []
    benchmark.pedantic(lambda: found.append(next(pairs)), rounds=asked.pairs)
    benchmark.extra_info["ratio"] = contest.ratio(found).value
    assert len(found) == asked.pairs
    print("\n" + contest.report(asked, device, found))
