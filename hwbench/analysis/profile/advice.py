"""The largest losses of a step in three sentences, each with what is known to cure it: a closed
table, as `reasons` is.

A loss is time that a step spends on anything but products at their ceiling: what products take
beyond it, what memory bounds, what is framework's, and what stands idle. No two losses count the
same time. A cure that names an axis is one of hwbench's own, and none is named that the case does
already or cannot do.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hwbench.analysis.metrics.ceilings import matmul_ceilings
from hwbench.analysis.profile.kinds import ARITHMETIC, common_name, short_name
from hwbench.analysis.profile.operators import ProfiledCase
from hwbench.analysis.profile.waterfall import Waterfall, only_looks
from hwbench.records.profile import COMPILED_CODE
from hwbench.tables.reader import RunTables

MOST = 3
MOST_MISSED = 0.5
"""Where a profile misses so much of the clean step, something else ran beside one of the two, and
what was lost says nothing of the step."""

LEAST_SHARE = 0.01
"""Below this share of the step a loss is not worth a sentence."""

MOST_CURES = 2

FASTER = 1.2
"""How many times the FLOP/s of its own dtype another's products must reach for it to be a cure."""

OWN_LOSS = dict.fromkeys(
    ("log_softmax", "nll_loss", "nll_loss2d", "cross_entropy_loss"), "cross_entropy"
) | {
    "embedding": "embedding",
    "embedding_dense": "embedding",
}
"""Operators by their common names that are a loss of their own among those of memory."""

"""The operator that stands in a profile for all that a compiled graph does itself."""

KEEP_MEMORY = "MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000"


@dataclass(frozen=True)
class Situation:
    """What a cure depends on. `in_bf16` is how many times as fast as in the case's dtype the run's
    own products were, None if it did not measure both."""

    case: ProfiledCase
    environment: Mapping[str, Any]
    in_bf16: float | None
    names: frozenset[str]  # of the operators of the loss

    def has(self, axis: str) -> bool:
        return axis in self.case.params

    def leaves(self, axis: str) -> bool:
        """Whether the case has the axis, and has it off or left to the workload."""
        return self.has(axis) and self.case.params[axis] in (None, False)

    @property
    def trains(self) -> bool:
        return self.case.workload.endswith("/train")

    @property
    def can_grow(self) -> bool:
        """Whether a larger batch would be one: `sgd` learns from one sample, whatever was asked
        for."""
        return (
            isinstance(self.case.params.get("batch"), int)
            and self.case.params.get("optimizer") != "sgd"
        )

    @property
    def twice(self) -> int:
        return 2 * int(self.case.params["batch"])


Cure = Callable[[Situation], str | None]
"""What to do, in words that follow a colon; None where it does not apply."""


@dataclass(frozen=True)
class Loss:
    """What is lost, as the beginning of a sentence, and its cures, the one that helps most
    first."""

    beginning: str
    cures: Sequence[Cure]


@dataclass(frozen=True)
class Advice:
    """A loss of a case: `share` is of the clean step."""

    code: str
    seconds: float
    share: float
    sentence: str


def _larger_batch(why: str) -> Cure:
    return lambda at: f"a larger batch (batch={at.twice}) {why}" if at.can_grow else None


def _compile(why: str) -> Cure:
    return lambda at: f"compile=true {why}" if at.leaves("compile") else None


def _bf16(at: Situation) -> str | None:
    computes = at.has("batch") or at.case.workload.startswith("attention")
    if (
        at.case.dtype not in ("fp32", "tf32")
        or not computes
        or (at.in_bf16 is not None and at.in_bf16 < FASTER)
    ):
        return None
    seen = (
        f", whose products are {at.in_bf16:.2g} times as fast here"
        if at.in_bf16 is not None
        else ""
    )
    return f"bf16 instead of {at.case.dtype} (--dtype bf16){seen}"


def _longer_sequence(at: Situation) -> str | None:
    seq = at.case.params.get("seq")
    # a batch may always be larger, a model has so many positions
    if at.can_grow or not isinstance(seq, int):
        return None
    return f"a longer sequence than seq={seq}, where the model has the positions, makes them larger"


def _fewer_parts(at: Situation) -> str | None:
    parts = at.case.params.get("accumulate")
    return f"fewer parts of a batch than accumulate={parts} make larger products" if parts else None


def _autotune(at: Situation) -> str | None:
    tried = not at.has("compile") or at.case.params["compile"] == "max-autotune"
    return (
        None
        if tried or not at.case.on_accelerator
        else "compile=max-autotune searches for faster kernels"
    )


def _graphs(at: Situation) -> str | None:
    replayed = not at.has("compile") or at.case.params["compile"] == "reduce-overhead"
    if replayed or not at.case.on_accelerator:
        return None
    return (
        "compile=reduce-overhead replays CUDA graphs, where the device has them, without the host"
    )


def _other_backend(at: Situation) -> str | None:
    now = at.case.choices.get("attention")
    return (
        f"--set attention= tries another backend{f' than {now}' if now else ''}"
        if at.has("attention")
        else None
    )


def _keep_memory(at: Situation) -> str | None:
    is_set = "MALLOC_MMAP_MAX_" in at.environment.get("variables", {})
    is_glibcs = str(at.environment.get("os", "")).startswith("Linux")
    if at.case.on_accelerator or is_set or not is_glibcs or not at.trains:
        return None
    return f"{KEEP_MEMORY} before the command spares the page faults of memory that glibc gives back in each step"


def _weights_in_bf16(at: Situation) -> str | None:
    return (
        "weights held in bf16 need no cast in each step"
        if at.trains and at.case.dtype == "bf16"
        else None
    )


def _loss_in_chunks(at: Situation) -> str | None:
    return (
        "loss_chunks=8 never holds all logits, which saves memory more than time"
        if at.leaves("loss_chunks")
        else None
    )


def _fused(at: Situation) -> str | None:
    one_by_one = at.names and not any(name.startswith("fused") for name in at.names)
    return "a fused optimizer updates in one pass" if one_by_one else None


def _always(text: str) -> Cure:
    return lambda at: text


LOSSES: dict[str, Loss] = {
    "products": Loss(
        "Products beyond the matmul ceiling take",
        (
            _bf16,
            _larger_batch("makes them larger"),
            _fewer_parts,
            _longer_sequence,
            _autotune,
            _keep_memory,
        ),
    ),
    "thin_products": Loss(
        "Products bound by memory, which read a matrix for few rows, take",
        (_larger_batch("shares each reading"), _fewer_parts, _bf16),
    ),
    "attention": Loss(
        "Attention beyond the matmul ceiling takes", (_other_backend, _bf16, _longer_sequence)
    ),
    "elementwise": Loss(
        "Elementwise operators, norms and reductions take",
        (_compile("fuses them, so that each tensor is read and written once"), _keep_memory, _bf16),
    ),
    "embedding": Loss(
        "The embedding, whose gradient is a whole table in each pass, takes",
        (_larger_batch("spreads it over more tokens"), _fewer_parts, _keep_memory),
    ),
    "optimizer": Loss(
        "The optimizer's update takes", (_fused, _larger_batch("spreads it over more tokens"))
    ),
    "cross_entropy": Loss(
        "Cross-entropy over the vocabulary takes",
        (_compile("fuses its passes over the logits"), _keep_memory, _loss_in_chunks),
    ),
    "casts": Loss(
        "Casts and copies take", (_compile("fuses them with their neighbours"), _weights_in_bf16)
    ),
    "transfers": Loss(
        "Copies between host and device take",
        (_always("pinned memory and non_blocking=True let them run beside the kernels"),),
    ),
    "framework": Loss(
        "The framework, outside of all operators, takes",
        (
            _compile("calls fewer operators"),
            _larger_batch("makes each call longer and not more of them"),
        ),
    ),
    "host_late": Loss(
        "Waiting for a host that launches too late takes",
        (
            _graphs,
            _compile("launches fewer kernels"),
            _larger_batch("makes each kernel longer and not more of them"),
        ),
    ),
    "idle": Loss(
        "Launches and idle gaps between kernels take",
        (
            _compile("launches fewer kernels"),
            _larger_batch("makes each kernel longer and not more of them"),
            _graphs,
        ),
    ),
    "compiled": Loss(
        "Compiled code, whose single operators are not seen, takes",
        (
            _larger_batch("gives it more to do at a time"),
            _always("a profile without `compile` shows what it is made of"),
        ),
    ),
    "others": Loss(
        "Operators of other kinds, or without a known ceiling, take",
        (_always("`hwbench profile --trace FILE.json.gz` shows what they do"),),
    ),
}
"""By code."""


def advice(run: RunTables, case: ProfiledCase, found: Waterfall) -> list[Advice]:
    """The MOST largest losses above LEAST_SHARE of the step, the largest first; none where the
    profile is not of such a step (MOST_MISSED)."""
    if abs(found.missed_s) > MOST_MISSED * found.clean_step_s:
        return []
    ceilings = matmul_ceilings(run)
    own, other = ceilings.get(case.dtype), ceilings.get("bf16")
    in_bf16 = other.typical / own.typical if own and other else None
    told = []
    for code, (seconds, least_s, names) in _losses(case, found).items():
        share = seconds / found.clean_step_s
        if share > LEAST_SHARE:
            at = Situation(case, run.environment, in_bf16, names)
            told.append(
                Advice(code, seconds, share, _sentence(LOSSES[code], seconds, share, least_s, at))
            )
    return sorted(told, key=lambda one: -round(one.share, 9))[:MOST]


def _losses(
    case: ProfiledCase, found: Waterfall
) -> dict[str, tuple[float, float | None, frozenset[str]]]:
    """For each code its seconds, what of them memory needs at least (None: not said), and its
    operators' names."""
    working = found.operators[~only_looks(found.operators)]
    table = working.assign(common=working.name.map(common_name))
    table = table.assign(code=[_code(row) for row in table.to_dict("records")])
    at_ceiling = table.least_s.where(table.code.isin(("products", "attention")), 0.0)
    lost = table.assign(lost=table.seconds - at_ceiling)
    losses: dict[str, tuple[float, float | None, frozenset[str]]] = {}
    for code, rows in lost.groupby("code", sort=False):
        is_memorys = code not in ("products", "attention", "others") and rows.least_s.notna().all()
        least_s = float(rows.least_s.sum()) if is_memorys else None
        losses[str(code)] = float(rows.lost.sum()), least_s, frozenset(map(short_name, rows.name))
    if case.copy_s and "casts" in losses:
        seconds, _, names = losses["casts"]
        moved = min(seconds, case.copy_s)
        losses |= {"casts": (seconds - moved, None, names), "transfers": (moved, None, names)}
    late = "host_late" if case.on_accelerator else "framework"
    nobody: frozenset[str] = frozenset()
    outside = {late: found.seconds("framework"), "idle": found.seconds("launch_and_idle")}
    return losses | {code: (seconds, None, nobody) for code, seconds in outside.items()}


def _code(row: Mapping[str, Any]) -> str:
    """The loss that an operator's time is counted to."""
    if row["name"] == COMPILED_CODE:
        return "compiled"
    if row["kind"] in ARITHMETIC or row["kind"] == "other":
        if pd.isna(row["least_s"]) or row["kind"] == "other":
            return "others"
        if row["kind"] == "attention":
            return "attention"
        return "products" if row["bound"] == "compute" else "thin_products"
    by_kind = {"optimizer": "optimizer", "copy": "casts"}
    return OWN_LOSS.get(row["common"]) or by_kind.get(row["kind"], "elementwise")


def _sentence(
    loss: Loss, seconds: float, share: float, least_s: float | None, at: Situation
) -> str:
    cures = [text for cure in loss.cures if (text := cure(at))][:MOST_CURES]
    needs = "" if least_s is None else f", of which memory needs {_time(least_s)}"
    known = "; or ".join(cures) or "no cure is known here"
    return f"{loss.beginning} {_time(seconds)}, {100 * share:.3g} % of the step{needs}: {known}."


def _time(seconds: float) -> str:
    scale, unit = next(
        ((s, u) for s, u in ((1.0, "s"), (1e-3, "ms")) if seconds >= s), (1e-6, "\N{MICRO SIGN}s")
    )
    return f"{seconds / scale:.3g} {unit}"
