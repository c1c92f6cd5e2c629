"""What the commands that measure share: their options, the plan that these ask for, messages."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwbench.cli import options, streams
from hwbench.printable import storable

if TYPE_CHECKING:
    from hwbench.recording.matrix import Plan

WORKLOADS = click.argument("workloads", nargs=-1)
DEVICE = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N, mps, xpu or tpu."
)
SUITE = click.option(
    "--suite", help="A suite's name or TOML file.  [default: quick, if no workload is named]"
)
OPTIONS: list[Callable[[Any], Any]] = [
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="AXIS=V[,V…]",
        help="Values of an axis; may be repeated.",
    ),
    click.option("--dtype", help="Short for --set dtype=V[,V…]."),
    click.option(
        "--min-time",
        "min_time_s",
        type=float,
        metavar="S",
        help="Least seconds of a measured window.",
    ),
    click.option(
        "--max-time",
        "max_time_s",
        type=float,
        metavar="S",
        help="Most seconds of a measured window.",
    ),
    click.option(
        "--min-samples",
        "min_samples",
        type=int,
        metavar="N",
        help="Fewest timed steps of a window.",
    ),
    click.option(
        "--timeout",
        "timeout_s",
        type=float,
        metavar="S",
        help="Most seconds of a process, building included.",
    ),
    click.option("--seed", type=int, help="Seed of all random data.  [default: 0]"),
    options.tdp,
    options.workload_files,
    options.output,
    options.as_json,
]


def measuring(command: Callable[..., int]) -> Callable[..., int]:
    """Add the parameters above to a command, which takes them as keywords and passes them to
    `plan_of`."""
    return add_parameters(command, WORKLOADS, DEVICE, SUITE, *OPTIONS)


def add_parameters(
    command: Callable[..., int], *parameters: Callable[[Any], Any]
) -> Callable[..., int]:
    """Add parameters to a command, in the order in which `--help` shows them."""
    for parameter in reversed(parameters):
        command = parameter(command)
    return command


def plan_of(asked: Mapping[str, Any], may_search: bool = False) -> "Plan":
    """The plan that the options ask for. UserError names what is unknown or out of its limits.

    From here on lost output is dropped: what is measured is stored.
    """
    streams.drop_lost_output()
    from hwbench.recording.matrix import parse_settings
    from hwbench.recording.planning import plan_for
    from hwbench.recording.policy import LIMITS

    words = list(asked["settings"])
    if asked["dtype"] is not None:
        words.append(f"dtype={asked['dtype']}")
    return plan_for(
        asked["workloads"],
        suite=asked["suite"],
        settings=parse_settings(words),
        policy={name: asked[name] for name in LIMITS if asked.get(name) is not None},
        files=asked["files"],
        may_search=may_search,
    )


def command_line() -> list[str]:
    """The command line as it is stored with a run."""
    return ["hwbench", *map(storable, sys.argv[1:])]


def tell(text: str) -> None:
    """Print a line on standard error."""
    options.print_line(text, err=True)


@contextmanager
def report_partial(*folders: Path) -> Iterator[None]:
    """If the block is cut short, print where the part that was stored lies."""
    try:
        yield
    except BaseException:
        tell(f"not complete; what was measured is kept in {', '.join(map(str, folders))}")
        raise


def warn_of_checks(environment: Mapping[str, Any]) -> None:
    """Print the warnings of the environment's checks with their cures, a line each."""
    for check in environment["checks"]:
        if check["severity"] == "warning":
            options.warn(f"{check['finding']}. Cure: {check['cure']}")
