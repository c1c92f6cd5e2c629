"""The size of a page and the time to render it from loaded runs: many samples, many cases, many
runs.

Run it as `python tests/bench/report_size.py [NAME…]`; without names every page of `pages()` is
made.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runs import run_of, with_measurements

from hwbench.records import Case
from hwbench.report.page.html import render
from hwbench.tables.run import RunTables

MOST_BYTES, MOST_SECONDS = 2_000_000, 5.0
"""The limits of the first page, of 1,000,000 samples and 20 cases."""

TIMES = 2


def drifting_run(
    cases: int, processes: int, steps: int, run_id: str = "r", spans: bool = True
) -> RunTables:
    """A run with drifting, noisy steps and two spans in each."""
    generator = np.random.default_rng(1)
    measured = []
    for position in range(cases):
        case = Case("gpt/train", {"size": "nano", "batch": position + 1}, "fp32")
        drift = 0.01 * (position + 1) * np.linspace(1, 1.05, steps)
        times = [drift * generator.lognormal(0, 0.02, steps) for _ in range(processes)]
        measured.append((case, times))
    run = run_of(*measured, run_id=run_id)
    for case, _ in measured:
        tokens = 1000 * case.params["batch"]
        run = with_measurements(run, case, tokens=tokens, flops=10**9, bytes=10**7)
    if not spans:
        return run
    rows = run.samples[["run_id", "case_id", "process", "step"]]
    forward = rows.assign(name="forward", position=0, span_s=run.samples.step_s * 0.3)
    backward = rows.assign(name="backward", position=1, span_s=run.samples.step_s * 0.6)
    return replace(run, spans=pd.concat([forward, backward])[run.spans.columns])


def pages() -> dict[str, Callable[[], list[RunTables]]]:
    """The runs of each page, made when called."""
    return {
        "1,000,000 samples, 20 cases": lambda: [drifting_run(20, 5, 10_000)],
        "the same, without spans": lambda: [drifting_run(20, 5, 10_000, spans=False)],
        "500 cases": lambda: [drifting_run(500, 3, 20)],
        "20 runs of 10 cases": lambda: [drifting_run(10, 3, 30, f"r{i}") for i in range(20)],
        "2 runs of 20 cases": lambda: [drifting_run(20, 5, 200, f"r{i}") for i in range(2)],
    }


def report(names: list[str]) -> Iterator[str]:
    """A line a page: its size, and the least time of TIMES renderings, by the clock and of the
    processor."""
    for name, make in pages().items():
        if not names or name in names:
            runs, took = make(), []
            for _ in range(TIMES):
                fresh = [replace(run) for run in runs]  # of which nothing is derived yet
                start, used = time.perf_counter(), time.process_time()
                page = render(fresh)
                took.append((time.perf_counter() - start, time.process_time() - used))
            size, seconds, processor = len(page.encode()), *map(min, zip(*took, strict=True))
            over = "" if size <= MOST_BYTES and seconds <= MOST_SECONDS else "  OVER"
            figures = f"{size:>10,} bytes {seconds:6.2f} s ({processor:.2f} s of the processor)"
            yield f"  {name:32} {figures}{over}"


if __name__ == "__main__":
    print(f"pages (the first may take {MOST_BYTES:,} bytes and {MOST_SECONDS:.0f} s)")
    for line in report(sys.argv[1:]):
        print(line, flush=True)
