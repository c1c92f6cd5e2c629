"""What the commands that measure share: the options that say what and how long, the plan, a run's
description."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwbench.cli import options
from hwbench.records import Policy, UserError

if TYPE_CHECKING:
    from hwbench.recording.matrix import Plan

DEFAULT_SUITE = "quick"
POLICY = (
    "processes",
    "max_processes",
    "precision",
    "min_time_s",
    "max_time_s",
    "min_samples",
    "timeout_s",
    "seed",
    "tdp_w",
    "budget_s",
)

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
        help="Most seconds of a process, with building.",
    ),
    click.option("--seed", type=int, help="Seed of all random data.  [default: 0]"),
    options.tdp,
    options.workload_files,
    options.output,
    options.as_json,
]


def measuring(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options above; it takes them as keywords and hands them to `plan_of` as
    they are."""
    return given(command, WORKLOADS, DEVICE, SUITE, *OPTIONS)


def given(command: Callable[..., int], *parameters: Callable[[Any], Any]) -> Callable[..., int]:
    """The command with parameters, which `--help` shows in this order."""
    for parameter in reversed(parameters):
        command = parameter(command)
    return command


def plan_of(asked: Mapping[str, Any], may_search: bool = False) -> "Plan":
    """The plan that the options ask for. UserError names what is unknown or makes no sense, such as
    a `max` where nothing will search for it."""
    from hwbench.discovery import discover
    from hwbench.recording import matrix
    from hwbench.recording.policy import checked_policy
    from hwbench.recording.suites import from_suite, load_suite

    names, suite = asked["workloads"], asked["suite"]
    known = discover(asked["files"], names if suite is None else ())
    words = [
        *asked["settings"],
        *([f"dtype={asked['dtype']}"] if asked["dtype"] is not None else []),
    ]
    changes = {name: asked[name] for name in POLICY if asked.get(name) is not None}
    wanted = matrix.named(known, names)
    if suite is not None or not names:
        chosen = load_suite(DEFAULT_SUITE if suite is None else suite)
        choices, policy = from_suite(chosen, known, names), chosen.policy
    else:
        choices, policy = [(workload, {}) for workload in wanted], Policy()
    made = matrix.make_plan(choices, matrix.parse_settings(words), checked_policy(policy, changes))
    if made.searched and not may_search:
        axis = next(iter(made.searched.values()))[0]
        raise UserError(
            f"{axis}=max is for `hwbench run`, which says what fits; give that number here"
        )
    return made


def command_line() -> list[str]:
    """What was typed, as it is stored with a run."""
    return ["hwbench", *sys.argv[1:]]


def tell(text: str) -> None:
    """A line on standard error."""
    click.echo(text, err=True)


@contextmanager
def kept(*folders: Path) -> Iterator[None]:
    """If what happens inside is cut short, tell where the part that is stored lies."""
    try:
        yield
    except BaseException:
        click.echo(f"not complete; kept: {', '.join(map(str, folders))}", err=True)
        raise


def warn_of(facts: Mapping[str, Any]) -> None:
    """Tell what the environment checks found that has a cure, a line each."""
    for check in facts["checks"]:
        if check["severity"] == "warning":
            options.warn(f"{check['finding']}. Cure: {check['cure']}")
