"""Time a step of one's own script, under the harness that measures workloads."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from hwbench.api.runs import Run
from hwbench.recording.collected import store
from hwbench.recording.in_process import DTYPE, InProcess, case_named
from hwbench.recording.session import require_output
from hwbench.records import Param, Work
from hwbench.tables import labels


def measure(
    step: Callable[..., object],
    *,
    device: object = "auto",
    work: Work | None = None,
    name: str = "",
    params: Mapping[str, Param] | None = None,
    dtype: str = DTYPE,
    label: str = "",
    output: str | Path | None = None,
    **limits: float | int | None,
) -> Run:
    """Time `step` in this process: warm up, then steps back to back until their median is known.

        def step(mark):
            loss = model(x)
            mark("forward")
            loss.backward()
            mark("backward")

        run = hwbench.measure(step, device="cuda", work=hwbench.Work(tokens=4096))
        print(run.metrics, run.span_metrics)

    `step` takes nothing, or `mark`: `mark(name)` ends the span `name` and never waits for the
    device. `work` is what one step does (tokens, flops, bytes); rates and shares follow from it.
    `limits` are fields of the policy: precision (0.01), min_time_s (2), max_time_s (30),
    min_samples (10), timeout_s (900), tdp_w. `name`, `params` and `dtype` identify the case, so
    that later runs compare with it; the name is by default the step's own. With `output`, a
    folder, the run is stored there under `label`.

    A process is one sample of a machine: its run has the steps' own spread, and no interval over
    processes. For that use `record`, or run the script several times with one label.

    Raises whatever the step raises; and UserError, before the first step, for what does not exist
    or cannot be stored.
    """
    labels.checked(label)
    case = case_named(name or getattr(step, "__name__", "step"), params or {}, dtype)
    if output is not None:
        require_output(Path(output))
    here = InProcess(device)
    here.measure(case, step, work or Work(), limits)
    if output is not None:
        return Run(store(here.collected("measure"), Path(output), label, ["hwbench.measure"]))
    with tempfile.TemporaryDirectory() as folder:
        return Run(store(here.collected("measure"), Path(folder), label, ["hwbench.measure"]))
