"""The cost of the end of a run, when everything is measured: `hwbench run` reads the stored run,
derives its tables, writes the page and prints the summary. Each time is compared with one in which
no result is remembered (hwbench.analysis.once).

Run it as `python tests/bench/run_end.py [PAIRS]`.
"""

import inspect
import io
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from statistics import median
from unittest.mock import patch
from weakref import WeakKeyDictionary

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runs import run_of, window_of

from hwbench.analysis import once, outcomes, roofline
from hwbench.analysis.metrics import ceilings, energy, latency, spans, steps, summary
from hwbench.analysis.scaling import extrapolate, sweeps
from hwbench.cli import options, targets
from hwbench.recording.session import close_run
from hwbench.records import Case, Declared, Measurement, Work
from hwbench.report import terminal
from hwbench.report.page import html

PAIRS = 7

DERIVATIONS: list[Callable] = [
    outcomes.cases,
    summary.per_process,
    summary.summarize,
    spans.summarize_spans,
    spans.span_work,
    steps.timed_samples,
    steps.timed_spans,
    steps.spans_of_steps,
    latency.latencies,
    energy.energy_of,
    ceilings.matmul_ceilings,
    ceilings.memory_ceilings,
    ceilings.shares_of_ceilings,
    roofline.ceilings_of,
    roofline.points,
    sweeps.sweeps,
    extrapolate.extrapolate,
]
"""The functions of one run whose calls are counted."""


def store_run(folder: Path, batches: int = 10, processes: int = 5, n_steps: int = 100) -> Path:
    """Store a run like those of the suites: matmuls and copies, and a sweep of training in two
    dtypes, each step with two spans and declared work. Returns its folder."""
    generator = np.random.default_rng(1)

    def processes_of(seconds: float, work: Work) -> list[Measurement]:
        half = Work(flops=work.flops // 2 or None, bytes=work.bytes // 2 or None)
        declared = Declared(spans={"forward": half, "backward": half})
        measurements = []
        for _ in range(processes):
            times = list(seconds * generator.lognormal(0, 0.01, n_steps))
            window = window_of(times, [("forward", seconds * 0.3), ("backward", seconds * 0.6)])
            measurements.append(Measurement("ok", work=work, window=window, declared=declared))
        return measurements

    results = []
    for dtype in ("fp32", "bf16"):
        gemm, copy = Case("gemm", {"n": 64}, dtype), Case("copy", {"op": "copy", "mb": 256}, dtype)
        results.append((gemm, processes_of(0.001, Work(flops=10**9, bytes=10**5))))
        results.append((copy, processes_of(0.001, Work(flops=0, bytes=10**7))))
        for batch in range(1, batches + 1):
            case = Case("gpt/train", {"size": "124m", "batch": batch, "seq": 128}, dtype)
            work = Work(tokens=128 * batch, flops=10**9 * batch, bytes=10**7)
            results.append((case, processes_of(0.002 + 0.001 * batch, work)))
    return run_of(*results, folder=folder).folder


def seconds_of_the_end(folder: Path) -> float:
    """How long `hwbench run` takes after its last case: what hwbench.cli.run does then."""
    begin = time.perf_counter()
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        run = close_run(folder, options.warn)
        targets.write_page(folder / "report.html", html.render([run]))
        for table in (terminal.summary_table(run), *terminal.together_tables(run)):
            options.print_table(table)
        summary.summarize(run)
        outcomes.cases(run)
    return time.perf_counter() - begin


def derivations(folder: Path) -> Counter[str]:
    """How often the end of a run calls each of DERIVATIONS."""
    names = {inspect.unwrap(function).__code__: function.__name__ for function in DERIVATIONS}
    counts: Counter[str] = Counter()

    def count(frame, event: str, argument: object) -> None:
        if event == "call" and frame.f_code in names:
            counts[names[frame.f_code]] += 1

    sys.setprofile(count)
    try:
        seconds_of_the_end(folder)
    finally:
        sys.setprofile(None)
    return counts


class NothingRemembered(WeakKeyDictionary):
    """Replaces `once._results`: no result is remembered."""

    def setdefault(self, run, default):
        return default


@contextmanager
def forgetting() -> Iterator[None]:
    with patch.object(once, "_results", NothingRemembered()):
        yield


def pairs(folder: Path) -> Iterator[tuple[float, float]]:
    """The end of a run in seconds, as it is and with nothing remembered; which of the two is timed
    first changes from pair to pair."""
    while True:
        remembered = seconds_of_the_end(folder)
        with forgetting():
            forgotten = seconds_of_the_end(folder)
        yield remembered, forgotten
        with forgetting():
            forgotten = seconds_of_the_end(folder)
        yield seconds_of_the_end(folder), forgotten


def report(folder: Path, took: list[tuple[float, float]]) -> str:
    """The median times, the median ratio of the pairs, and the numbers of derivations."""
    remembered, forgotten = (median(side) for side in zip(*took, strict=True))
    ratio = median(without / with_ for with_, without in took)
    counts = derivations(folder)
    with forgetting():
        counts_without = derivations(folder)
    return (
        f"end of a run: {1e3 * remembered:.0f} ms with {counts.total()} derivations, "
        f"{1e3 * forgotten:.0f} ms with {counts_without.total()} where nothing is remembered: "
        f"{ratio:.2f} times as long, the median of {len(took)} pairs; most derived: "
        + ", ".join(f"{name} {n}" for name, n in counts_without.most_common(3))
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        folder = store_run(Path(scratch))
        seconds_of_the_end(folder)  # the first imports what it needs
        timed = pairs(folder)
        number = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
        print(report(folder, [next(timed) for _ in range(number)]))
