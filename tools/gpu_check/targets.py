"""Hold the figures against the targets: value, target, held or missed, or why there is no value."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from figures import Figures, Row

State = Literal["held", "missed", "not measured"]


@dataclass(frozen=True)
class Target:
    """A figure that a stage measures, and the bound that it must keep. `find` gives all values; the
    best one counts."""

    name: str
    stage: str
    bound: float
    at_least: bool
    unit: str
    find: Callable[[Figures], list[float]]


@dataclass(frozen=True)
class Judgement:
    """A target and what came of it. `value` is None where it is not measured, and `reason` says
    why."""

    name: str
    target: str
    value: float | None
    state: State
    reason: str = ""

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def in_rows(
    metric: str, workloads: tuple[str, ...], dtype: str, **params: object
) -> Callable[[Figures], list[float]]:
    """The metric of every case of these workloads that has this dtype and these parameters."""

    def find(figures: Figures) -> list[float]:
        return [row[metric] for row in figures.rows if _is_of(row) and row.get(metric) is not None]

    def _is_of(row: Row) -> bool:
        is_sound = row["outcome"] == "ok" and row.get("validity") != "invalid"
        is_it = row["workload"] in workloads and row["dtype"] == dtype
        return (
            is_sound
            and is_it
            and all(row["params"].get(name) == value for name, value in params.items())
        )

    return find


def in_numbers(name: str) -> Callable[[Figures], list[float]]:
    return lambda figures: [figures.numbers[name]] if name in figures.numbers else []


TARGETS = (
    Target(
        "gpt 1.5b bf16, causal MFU",
        "training",
        0.55,
        True,
        "",
        in_rows("mfu", ("gpt/train",), "bf16", size="1.5b"),
    ),
    Target(
        "gemm bf16",
        "products",
        790e12,
        True,
        "FLOP/s",
        in_rows("flops_per_s", ("gemm", "gemm/best"), "bf16"),
    ),
    Target(
        "decode of 7b, batch 1, MBU",
        "decode",
        0.75,
        True,
        "",
        in_rows("mbu", ("gpt/decode",), "bf16", size="llama-2-7b", batch=1),
    ),
    Target("harness over bare loop", "costs", 1.005, False, "", in_numbers("harness_ratio")),
    Target("meters on over off", "costs", 1.005, False, "", in_numbers("meters_ratio")),
    Target(
        "energy: |counter − integral| over its uncertainty",
        "probes",
        1.0,
        False,
        "",
        in_numbers("energy_residual_ratio"),
    ),
)


def judge(
    figures: Figures,
    stages: Mapping[str, str],
    dry: bool = False,
    targets: Sequence[Target] = TARGETS,
) -> list[Judgement]:
    """A judgement for each target. `stages` says, by name, what became of the stages that are
    over."""
    return [_judge_one(target, figures, stages, dry) for target in targets]


def _judge_one(target: Target, figures: Figures, stages: Mapping[str, str], dry: bool) -> Judgement:
    bound = f"{'≥' if target.at_least else '≤'} {target.bound:.4g} {target.unit}".rstrip()
    values = [] if dry else target.find(figures)
    if not values:
        stage = stages.get(target.stage, "not run yet")
        why = f"stage {target.stage}: {'no such figure came out' if stage == 'passed' else stage}"
        why = "a dry run measures nothing" if dry else why
        return Judgement(target.name, bound, None, "not measured", why)
    best, holds = (max(values), operator.ge) if target.at_least else (min(values), operator.le)
    return Judgement(target.name, bound, best, "held" if holds(best, target.bound) else "missed")


def as_text(judgements: Sequence[Judgement]) -> str:
    """The judgements as a table of four columns, which ends in a line feed."""
    rows = [("target", "bound", "value", "")]
    for one in judgements:
        value = "–" if one.value is None else f"{one.value:.4g}"
        rows.append(
            (one.name, one.target, value, f"{one.state}{f' ({one.reason})' if one.reason else ''}")
        )
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    padded = [
        "  ".join([*(row[i].ljust(widths[i]) for i in range(3)), row[3]]).rstrip() for row in rows
    ]
    return "\n".join(padded) + "\n"
