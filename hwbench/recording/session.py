"""A run from its request to its tables.

open_session → Session.measure (or single cases by Session.runner) → Session.close → the tables
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

from hwbench import __version__
from hwbench.files import require_folder
from hwbench.machine import environment
from hwbench.recording import sizing
from hwbench.recording.launch.exchange import describe_device
from hwbench.recording.matrix import Plan, settle
from hwbench.recording.rounds import Rounds
from hwbench.recording.runner import CaseRunner, Progress, run_plan
from hwbench.records import Run, UserError
from hwbench.tables.reader import read_run
from hwbench.tables.run import RunTables
from hwbench.tables.writer import Writer, require_free, write_derived

Listener = Callable[[str], None]
Settle = Callable[[Plan, Mapping[str, Any]], Plan]
"""Fits a plan to a device, given what the device says of itself."""


@dataclass(frozen=True)
class RunRequest:
    """A run that is asked for: what to measure, on which device, and how to store it.

    `device` is a name such as `auto` or `cuda:1`; `files` declare workloads; `output` is the folder
    of the results; `run_id` None stands for a new one; `argv` is stored as the command line.
    """

    plan: Plan
    device: str = "auto"
    files: Sequence[str] = ()
    output: Path = Path("results")
    label: str = ""
    run_id: str | None = None
    argv: Sequence[str] = ()


@dataclass(frozen=True)
class Session:
    """A run whose folder is open. `device` names the one device, `device_info` is what that says of
    itself, `environment` is stored with the run."""

    device: str
    device_info: Mapping[str, Any]
    environment: Mapping[str, Any]
    plan: Plan
    files: Sequence[str]
    writer: Writer
    warn: Listener

    @property
    def folder(self) -> Path:
        return self.writer.folder

    def runner(self, on_progress: Callable[[Progress], None]) -> CaseRunner:
        """What measures single cases of this run."""
        return CaseRunner(
            self.device,
            self.files,
            vars(self.plan.policy),
            self.writer,
            on_progress,
            self.device_info.get("formats"),
        )

    def measure(self, on_progress: Callable[[Progress], None], spent_s: float = 0.0) -> Rounds:
        """Carry out the plan (see runner.run_plan). Results that were stored stay, whatever
        interrupts it."""
        return run_plan(self.plan, self.runner(on_progress), spent_s)

    def close(self) -> RunTables:
        """The run as it is stored, with its derived tables beside it. If these cannot be written,
        `warn` is called and the run is as good as ever."""
        return close_run(self.folder, self.warn)


def require_output(output: Path) -> None:
    """UserError if no run can be written into this folder, which need not be there yet. Known
    before a measurement, it costs none."""
    try:
        require_folder(output)
    except OSError as error:
        raise UserError(
            f"cannot write to {output}: {error.strerror}; name another folder"
        ) from error


def open_session(
    request: RunRequest, tell: Listener, warn: Listener, settle_for: Settle = settle
) -> Session:
    """Find the device, settle the plan for it, search for sizes, and open the run's folder.

    `tell` is called with what the plan takes instead of a default and with each try of a size,
    `warn` with what the user should mend. UserError if there is no such device, or a run of that id
    already.
    """
    require_output(request.output)
    if request.run_id is not None:  # before a search for sizes, which may take minutes
        require_free(request.output, request.run_id)
    device, device_info = describe_device(request.device, warn)
    for remark in request.plan.remarks:
        tell(remark)
    plan = settle_for(request.plan, device_info)
    facts = environment.collect(device_info)
    if plan.searched:
        versions = {name: facts["packages"].get(name) for name in ("torch", "triton")}
        versions["hwbench"] = __version__
        sizes = sizing.remembered_sizes(
            request.output, device_info, versions, plan.policy.timeout_s, warn
        )
        plan = sizing.Searcher(device, request.files, device_info, sizes, tell).resolve(plan)
    run = describe_run(replace(request, plan=plan), device, device_info, facts)
    writer = Writer(request.output, run)
    return Session(device, device_info, facts, plan, request.files, writer, warn)


def new_run_id(device: str) -> str:
    """A name made of time, the kind of device and chance."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{device.partition(':')[0]}-{token_hex(2)}"


def describe_run(
    request: RunRequest,
    device: str,
    device_info: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> Run:
    """The run that starts now on `device`, which says `device_info` of itself. `facts` are its
    environment; the request's plan is stored as it is."""
    return Run(
        run_id=new_run_id(device) if request.run_id is None else request.run_id,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        label=request.label,
        device_kind=device.partition(":")[0],
        device_name=device_info["name"],
        environment=facts,
        argv=list(request.argv),
        plan=request.plan.as_json(),
    )


def close_run(folder: Path, warn: Listener) -> RunTables:
    """The run in `folder` as it is stored, after its derived tables were made; `warn` is called if
    these cannot be written."""
    run = read_run(folder)
    try:
        derive(run)
    except OSError as error:
        cure = f"`hwbench summarize {folder}` makes it anew"
        warn(f"{folder}: no metrics table written: {error.strerror}; {cure}")
    return run


def derive(run: RunTables) -> Any:
    """Derive the metrics of a run and of its spans, store both tables beside its raw ones, and
    return the metrics, a DataFrame."""
    from hwbench.analysis.metrics.spans import summarize_spans
    from hwbench.analysis.metrics.summary import summarize

    metrics = summarize(run)
    write_derived(run.folder, "metrics", metrics)
    write_derived(run.folder, "span_metrics", summarize_spans(run))
    return metrics
