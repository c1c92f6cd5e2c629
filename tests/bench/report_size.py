"""How large a page is and how long it takes to render once the data is loaded: many samples, many
cases, many runs.

Run it as `python tests/bench/report_size.py [NAME…]`; without names every page of `pages()` is
made.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runs import frame, run_of, with_measurements

from hwbench.records import Case
from hwbench.report.page.html import render
from hwbench.tables.reader import RunTables

MOST_BYTES, MOST_SECONDS = 2_000_000, 5.0
"""What the first page, of 1,000,000 samples and 20 cases, may take."""

TIMES = 2


def run(cases: int, processes: int, steps: int, run_id: str = "r", spans: bool = True) -> RunTables:
    """A run with drifting, noisy steps and two spans in each."""
    generator = np.random.default_rng(1)
    measured = []
    for position in range(cases):
        case = Case("gpt/train", {"size": "nano", "batch": position + 1}, "fp32")
        drift = np.linspace(1, 1.05, steps)
        times = [
            0.01 * (position + 1) * drift * generator.lognormal(0, 0.02, steps)
            for _ in range(processes)
        ]
        measured.append((case, times))
    made = run_of(*measured, run_id=run_id)
    for case, _ in measured:
        made = with_measurements(
            made, case, tokens=1000 * case.params["batch"], flops=10**9, bytes=10**7
        )
    if not spans:
        return made
    rows = made.samples[["run_id", "case_id", "process", "step"]]
    halves = [
        rows.assign(name=name, position=position, span_s=made.samples.step_s * share)
        for position, (name, share) in enumerate((("forward", 0.3), ("backward", 0.6)))
    ]
    columns = frame("spans", []).columns
    return RunTables(
        made.folder, made.runs, made.measurements, made.samples, pd.concat(halves)[columns]
    )


def pages() -> dict[str, Callable[[], list[RunTables]]]:
    """What is rendered: the runs of each page, made when called."""
    return {
        "1,000,000 samples, 20 cases": lambda: [run(20, 5, 10_000)],
        "the same, without spans": lambda: [run(20, 5, 10_000, spans=False)],
        "500 cases": lambda: [run(500, 3, 20)],
        "20 runs of 10 cases": lambda: [run(10, 3, 30, f"r{number}") for number in range(20)],
        "2 runs of 20 cases": lambda: [run(20, 5, 200, f"r{number}") for number in range(2)],
    }


def report(names: list[str]) -> Iterator[str]:
    """A line a page: its size, and the least that rendering took of TIMES, on the clock and of the
    processor."""
    for name, make in pages().items():
        if not names or name in names:
            runs, took = make(), []
            for _ in range(TIMES):
                start, used = time.perf_counter(), time.process_time()
                page = render(runs)
                took.append((time.perf_counter() - start, time.process_time() - used))
            size, seconds, processor = len(page.encode()), *map(min, zip(*took, strict=True))
            told = "" if size <= MOST_BYTES and seconds <= MOST_SECONDS else "  OVER"
            yield f"  {name:32} {size:>10,} bytes {seconds:6.2f} s ({processor:.2f} s of the processor){told}"


if __name__ == "__main__":
    print(f"pages (the first may take {MOST_BYTES:,} bytes and {MOST_SECONDS:.0f} s)")
    for line in report(sys.argv[1:]):
        print(line, flush=True)
