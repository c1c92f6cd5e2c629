"""Record a run of workloads, as `hwbench run` does."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hwbench.api.runs import Run, warn
from hwbench.errors import UserError
from hwbench.files import atomic_write
from hwbench.recording.planning import plan_for
from hwbench.recording.policy import LIMITS
from hwbench.recording.runner import Progress
from hwbench.recording.session import RunRequest, open_session
from hwbench.tables import labels


def record(
    *workloads: str,
    suite: str | None = None,
    device: object = "auto",
    name: str = "",
    output: str | Path = "results",
    workload_files: str | Path | Sequence[str | Path] = (),
    on_progress: Callable[[Progress], None] | None = None,
    **settings: Any,
) -> Run:
    """Measure workloads on a device in fresh processes, store the run in `output`, and load it.

        run = hwbench.record("gpt/train", size="124m", batch=[1, 8], device="cuda", processes=5)

    Without a workload and a suite, the suite `quick` is measured. `settings` are values of axes,
    one or a list of them, and fields of the policy: processes, max_processes, precision,
    min_time_s, max_time_s, min_samples, timeout_s, seed, tdp_w, budget_s. `name` labels the run,
    for `load("label:NAME")`; `workload_files` declare more workloads. A case that fails is a row of
    the run, with its reason; the others go on. The run's page lies in its folder (report.html).

    Raises UserError for what is unknown or makes no sense, before anything is measured; what
    should be mended but does not stop the run is a warning. Ctrl-C passes through: what was stored
    before stays.
    """
    label = labels.checked(name)
    for workload in workloads:
        if not isinstance(workload, str):
            raise UserError(f"a workload is asked for by its name, not a {type(workload).__name__}")
    policy = {field: value for field, value in settings.items() if field in LIMITS}
    axes = {axis: _listed(value) for axis, value in settings.items() if axis not in LIMITS}
    files = [str(file) for file in _listed(workload_files)]
    plan = plan_for(
        workloads, suite=suite, settings=axes, policy=policy, files=files, may_search=True
    )
    request = RunRequest(
        plan, str(device), files, Path(output), label=label, argv=_spelled(workloads, settings)
    )
    session = open_session(request, tell=lambda text: None, warn=warn)
    session.measure(on_progress or (lambda progress: None))
    run = Run(session.close())
    with atomic_write(session.folder / "report.html") as file:
        file.write_text(run.to_html(), encoding="utf-8")
    return run


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _spelled(workloads: Sequence[str], settings: Mapping[str, Any]) -> list[str]:
    """The call as it is stored with the run, in place of a command line."""
    words = [repr(workload) for workload in workloads]
    words += [f"{name}={value!r}" for name, value in settings.items()]
    return ["hwbench.record", *words]
