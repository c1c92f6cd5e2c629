"""`hwbench run`: plan, measure, store, show."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

import click

from hwbench.cli import options
from hwbench.records import FAILED, Policy, UserError

DEFAULT_SUITE = "quick"


@click.command("run")
@click.argument("workloads", nargs=-1)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N, mps, xpu or tpu.")
@click.option("--suite", help="A suite's name or TOML file.  [default: quick, if no workload is named]")
@click.option("--set", "settings", multiple=True, metavar="AXIS=V[,V…]", help="Values of an axis; may be repeated.")
@click.option("--dtype", help="Short for --set dtype=V[,V…].")
@click.option("--processes", "processes", type=int, help="Fresh processes for each case.")
@click.option("--min-time", "min_time_s", type=float, metavar="S", help="Least seconds of a measured window.")
@click.option("--max-time", "max_time_s", type=float, metavar="S", help="Most seconds of a measured window.")
@click.option("--min-samples", "min_samples", type=int, metavar="N", help="Fewest timed steps of a window.")
@click.option("--timeout", "timeout_s", type=float, metavar="S", help="Most seconds of a process, building included.")
@click.option("--seed", type=int, help="Seed of all random data.  [default: 0]")
@click.option("--name", "label", default="", help="A label for the run; runs that belong together share it.")
@click.option("--run-id", help="The name of the run's folder.  [default: made of time, device and chance]")
@options.workload_files
@options.output
@options.as_json
def command(
    workloads: tuple[str, ...],
    device: str,
    suite: str | None,
    settings: tuple[str, ...],
    dtype: str | None,
    label: str,
    run_id: str | None,
    files: tuple[str, ...],
    output: Path,
    as_json: bool,
    **policy: Any,
) -> int:
    """Measure WORKLOADs, or a suite of them, on a device.

    Every timed step lands in OUTPUT/<run id>/ as Parquet, with a page report.html beside it. A case that fails is a
    row, and the run goes on; the exit status is then 1.
    """
    from hwbench import devices, environment, store
    from hwbench.cli.progress import reporter
    from hwbench.records import Run
    from hwbench.runner import describe_device, run_plan
    from hwbench.workload import discover

    if label and not store.RUN_ID.fullmatch(label):
        raise UserError(f"--name {label!r}: use up to 100 letters, digits, '.', '_' and '-'")
    settings = (*settings, *([f"dtype={dtype}"] if dtype is not None else []))
    changes = {name: value for name, value in policy.items() if value is not None}
    plan = _plan(discover(files), workloads, suite, settings, changes)
    spec = devices.resolve(device)
    found = describe_device(spec)
    now = datetime.now(UTC)
    kind = spec.partition(":")[0]
    run = Run(
        run_id=run_id if run_id is not None else f"{now:%Y%m%d-%H%M%S}-{kind}-{token_hex(2)}",
        started_at=now.isoformat(timespec="seconds"),
        label=label,
        device_kind=kind,
        device_name=found["name"],
        environment=environment.collect(found),
        argv=["hwbench", *sys.argv[1:]],
        plan=plan.as_json(),
    )
    writer = store.Writer(output, run)
    click.echo(f"{run.run_id}: {len(plan.cases)} cases × {plan.policy.processes} on {found['name']}", err=True)
    stopped: BaseException | None = None
    try:
        with reporter(plan) as progress:
            run_plan(plan, spec, files, writer, progress)
    except BaseException as error:  # noqa: BLE001 - whatever it is: first show what is stored, then say it
        stopped = error
    outcomes = _finish(writer.folder, as_json)
    if isinstance(stopped, OSError):
        raise UserError(f"{writer.folder}: {stopped.strerror}; what was stored before is kept") from stopped
    if stopped:
        raise stopped
    return 1 if FAILED & outcomes else 0


def _plan(
    known: dict[str, Any], names: tuple[str, ...], suite: str | None, settings: tuple[str, ...], changes: dict[str, Any]
) -> Any:
    from hwbench import plan

    wanted = plan.named(known, names)
    if suite is not None or not names:
        chosen = plan.load_suite(DEFAULT_SUITE if suite is None else suite)
        choices, policy = plan.from_suite(chosen, known, names), chosen.policy
    else:
        choices, policy = [(workload, {}) for workload in wanted], Policy()
    return plan.make_plan(choices, plan.parse_settings(settings), plan.checked_policy(policy, changes))


def _finish(folder: Path, as_json: bool) -> set[Any]:
    """Summarise what is stored, print it, write the page. Returns the outcomes of the cases."""
    from hwbench import metrics, store
    from hwbench.report import html, terminal

    run = store.read_run(folder)
    try:
        store.write_metrics(run, metrics.summarize(run))
        options.write_page(folder / "report.html", html.render([run]))
        click.echo(f"report: {folder / 'report.html'}", err=True)
    except (OSError, UserError) as error:
        click.echo(f"no report written: {error}", err=True)
    if as_json:
        options.print_json({"run_id": run.run_id, "folder": str(folder), "rows": terminal.summary_rows(run)})
    else:
        options.print_table(terminal.summary_table(run))
    return set(metrics.cases(run).outcome)
