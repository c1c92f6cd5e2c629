"""Compare the figures with the targets: held, missed, or the reason why there is no value."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from figures import Figures, Row

State = Literal["held", "missed", "not measured"]


@dataclass(frozen=True)
class Target:
    """A figure that a stage measures, and its bound. `find` gives all values; the best one
    counts."""

    name: str
    stage: str
    bound: float
    at_least: bool
    unit: str
    find: Callable[[Figures], list[float]]


@dataclass(frozen=True)
class Judgement:
    """The result for a target. `value` is None if it is not measured, with the reason."""

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
    """Finds the metric of all cases of these workloads with this dtype and these parameters."""

    def find(figures: Figures) -> list[float]:
        return [row[metric] for row in figures.rows if _is_of(row) and row.get(metric) is not None]

    def _is_of(row: Row) -> bool:
        if row["outcome"] != "ok" or row.get("validity") == "invalid":
            return False
        if row["workload"] not in workloads or row["dtype"] != dtype:
            return False
        return all(row["params"].get(name) == value for name, value in params.items())

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
    """A judgement for each target. `stages` has the results of the stages so far, by name."""
    return [_judge_one(target, figures, stages, dry) for target in targets]


def _judge_one(target: Target, figures: Figures, stages: Mapping[str, str], dry: bool) -> Judgement:
    bound = f"{'≥' if target.at_least else '≤'} {target.bound:.4g} {target.unit}".rstrip()
    values = [] if dry else target.find(figures)
    if not values:
        reason = _missing_reason(stages.get(target.stage, "not run yet"))
        reason = "a dry run measures nothing" if dry else f"stage {target.stage}: {reason}"
        return Judgement(target.name, bound, None, "not measured", reason)
    best, holds = (max(values), operator.ge) if target.at_least else (min(values), operator.le)
    return Judgement(target.name, bound, best, "held" if holds(best, target.bound) else "missed")


def _missing_reason(result: str) -> str:
    return "no such figure came out" if result == "passed" else result


def as_text(judgements: Sequence[Judgement]) -> str:
    """The judgements as a table of four columns, ending with a line feed."""
    rows = [("target", "bound", "value", "")]
    for one in judgements:
        value = "–" if one.value is None else f"{one.value:.4g}"
        state = f"{one.state} ({one.reason})" if one.reason else one.state
        rows.append((one.name, one.target, value, state))
    first, second, third = (max(len(row[column]) for row in rows) for column in range(3))
    lines = [f"{a:<{first}}  {b:<{second}}  {c:<{third}}  {d}".rstrip() for a, b, c, d in rows]
    return "\n".join(lines) + "\n"
