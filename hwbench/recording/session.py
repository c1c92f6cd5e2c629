"""A run that is recorded: its device found, its plan settled for that, its folder open, its tables
derived.

open_session → Session.measure (or cases one by one) → Session.close → the run's tables
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

from hwbench import __version__
from hwbench.machine import environment
from hwbench.recording import sizing
from hwbench.recording.launch.local import describe_device
from hwbench.recording.matrix import Plan, settle
from hwbench.recording.rounds import Rounds
from hwbench.recording.runner import Progress, run_plan
from hwbench.records import Run
from hwbench.tables.reader import RunTables, read_run
from hwbench.tables.writer import Writer, write_derived

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Session:
    """A run with its folder open. `spec` names the one device, `found` is what that says of itself,
    `facts` are the run's environment, `files` those that declare workloads."""

    spec: str
    found: Mapping[str, Any]
    facts: Mapping[str, Any]
    plan: Plan
    files: Sequence[str]
    writer: Writer

    @property
    def folder(self) -> Path:
        return self.writer.folder

    def measure(self, on_progress: Callable[[Progress], None], spent_s: float = 0.0) -> Rounds:
        """Carry out the plan (see runner.run_plan). What is stored stays, whatever interrupts
        it."""
        formats = self.found.get("formats")
        return run_plan(
            self.plan, self.spec, self.files, self.writer, on_progress, formats, spent_s
        )

    def close(self) -> RunTables:
        """The run as it is stored, its derived tables beside it."""
        run = read_run(self.folder)
        derive(run)
        return run


def open_session(
    plan: Plan,
    device: str,
    files: Sequence[str],
    output: Path,
    named: tuple[str, str | None],
    argv: Sequence[str],
    tell: Tell,
    warn: Tell,
    settle_for: Callable[[Plan, Mapping[str, Any]], Plan] = settle,
) -> Session:
    """Find the device that `device` means, settle the plan for it, and open a folder for the run in
    `output`.

    `named` are the run's label and id, None for one that is made here; `argv` the command line that
    is stored with it. `tell` hears what the plan takes instead of a default and of the search for
    sizes, `warn` what should be cured. UserError if there is no such device, or a run of that id
    already.
    """
    spec, found = describe_device(device, warn)
    for remark in plan.remarks:
        tell(remark)
    plan = settle_for(plan, found)
    facts = environment.collect(found)
    versions = {name: facts["packages"].get(name) for name in ("torch", "triton")} | {
        "hwbench": __version__
    }
    plan = sizing.resolve(plan, spec, files, found, versions, output, tell, warn)
    label, run_id = named
    run = describe_run(
        plan, new_run_id(spec) if run_id is None else run_id, label, spec, found, facts, argv
    )
    return Session(spec, found, facts, plan, files, Writer(output, run))


def new_run_id(spec: str) -> str:
    """A name made of time, the kind of device and chance."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{spec.partition(':')[0]}-{token_hex(2)}"


def describe_run(
    plan: Plan,
    run_id: str,
    label: str,
    spec: str,
    found: Mapping[str, Any],
    facts: Mapping[str, Any],
    argv: Sequence[str],
) -> Run:
    """A run of `plan` that starts now on the device `spec`, which says `found` of itself; `facts`:
    its environment."""
    return Run(
        run_id=run_id,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        label=label,
        device_kind=spec.partition(":")[0],
        device_name=found["name"],
        environment=facts,
        argv=list(argv),
        plan=plan.as_json(),
    )


def derive(run: RunTables) -> Any:
    """Make the derived tables of a run and store them beside its raw ones; returns its metrics, a
    DataFrame."""
    from hwbench.analysis.metrics.spans import summarize_spans
    from hwbench.analysis.metrics.summary import summarize

    found = summarize(run)
    write_derived(run.folder, "metrics", found)
    write_derived(run.folder, "span_metrics", summarize_spans(run))
    return found
