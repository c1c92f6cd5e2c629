"""The kinds of pages that the browser is shown, each rendered once a session."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from runs import CASE, OTHER, around, frame, run_of, with_measurements

from hwbench.records import Case
from hwbench.report.page.html import render
from hwbench.tables.reader import read_run
from hwbench.tables.run import RunTables

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
ODD = "<b id=pwn>\N{CJK UNIFIED IDEOGRAPH-8A9E}\u05d0\u05d1 \N{FIRE}</script></style>{{7*7}}"


def quick() -> RunTables:
    return read_run(REFERENCE / "cpu-quick")


def faster(times: float, name: str) -> RunTables:
    """The quick run as another device would have done it, all steps so many times as fast."""
    run = quick()
    columns = {"samples": "step_s", "spans": "span_s", "measurements": "window_s"}
    changed = {table: getattr(run, table).copy() for table in ("runs", *columns)}
    for table, column in columns.items():
        changed[table][column] /= times
    for table in changed:
        changed[table]["run_id"] = name
    changed["runs"]["device_name"] = name
    return replace(run, **changed)


def with_spans(
    run: RunTables, names: tuple[str, ...] = ("forward", "backward", "optimizer")
) -> RunTables:
    """The run with every step cut into equal parts of these names."""
    rows = [
        {"run_id": run.run_id, "case_id": s.case_id, "process": s.process, "step": s.step}
        | {"name": name, "position": position, "span_s": s.step_s / (len(names) + 1)}
        for s in run.samples.itertuples()
        for position, name in enumerate(names)
    ]
    return replace(run, spans=frame("spans", rows))


def failures() -> RunTables:
    """Cases of every outcome, doubtful and void figures, a process that is missing, and a case that
    never began."""
    cases = [
        Case("gpt/train", {"size": "nano", "batch": batch}, "fp32")
        for batch in (1, 2, 4, 8, 16, 32)
    ]
    run = run_of(*((case, around(0.003)) for case in cases), planned=[*cases, OTHER])
    for case, outcome in zip(cases[2:], ("oom", "timeout", "error", "unsupported"), strict=True):
        run = with_measurements(
            run, case, outcome=outcome, reason=f"{outcome}: no more than 2 GiB of 4 GiB"
        )
    run = with_measurements(
        run, cases[0], notes='["loss_not_finite: the loss was nan after 12 steps"]', tokens=30
    )
    return with_measurements(run, cases[1], notes='["throttled: at 92 degrees"]', tokens=30)


def many(cases: int, processes: int = 1) -> RunTables:
    """So many cases of one workload, which are no sweep."""
    every = [
        Case("gemm", {"n": n % 50, "layout": f"layout {n // 50}"}, "fp32") for n in range(cases)
    ]
    run = run_of(
        *((case, around(0.001 + 1e-6 * n, processes=processes)) for n, case in enumerate(every))
    )
    return replace(run, measurements=run.measurements.assign(flops=24_000))


def being_written() -> RunTables:
    """Half the processes of half the cases are there."""
    cases = [Case("gpt/train", {"size": "nano", "batch": batch}, "fp32") for batch in (1, 2, 4, 8)]
    run = run_of(*((case, around(0.003, processes=2)) for case in cases[:2]), planned=cases)
    return replace(run, measurements=run.measurements.assign(tokens=30))


def odd_texts() -> RunTables:
    """Text in any language, and markup, wherever a run holds text."""
    cases = [Case(f"{ODD}/{n}", {ODD: f"{ODD}{n}"}, ODD) for n in range(3)]
    head = {
        "label": ODD,
        "environment": json.dumps({"os": ODD, ODD: [ODD]}),
        "argv": json.dumps(["hwbench", ODD]),
    }
    run = with_spans(
        run_of(*((case, around(0.003, processes=3)) for case in cases), device=ODD, **head),
        (ODD, "rest"),
    )
    run = with_measurements(run, cases[2], outcome="error", reason=ODD)
    return replace(run, measurements=run.measurements.assign(tokens=30))


def drifting() -> RunTables:
    """Long windows whose steps drift and scatter, with spans."""
    noise = np.random.default_rng(0).lognormal(0, 0.05, (3, 400)) * np.linspace(1, 1.2, 400)
    run = run_of((CASE, 0.003 * noise), (OTHER, 0.001 * noise))
    return with_spans(
        replace(run, measurements=run.measurements.assign(tokens=30, flops=10**9, bytes=10**6))
    )


KINDS: dict[str, Callable[[], str]] = {
    "one": lambda: render([quick()]),
    "two": lambda: render([quick(), faster(3, "Fast device")]),
    "three": lambda: render([quick(), faster(3, "Fast device"), faster(0.5, "Slow device")]),
    "failures": lambda: render([failures()]),
    "drifting": lambda: render([drifting()]),
    "being-written": lambda: render([being_written()]),
    "nothing-in-common": lambda: render(
        [run_of((CASE, around(0.003))), run_of((OTHER, around(0.001)), run_id="s")]
    ),
    "odd": lambda: render([odd_texts()]),
    "many": lambda: render([many(100)]),
}
SOME = ["one", "two", "three", "failures", "odd"]
"""Those that differ enough for every test; the rest are only read."""
