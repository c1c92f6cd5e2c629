"""The largest losses of a step in three sentences, each with its known cures, from a closed table.

A loss is time that a step spends on anything but matrix products at their ceiling: products beyond
the ceiling, operators that memory bounds, the framework, idle time. No two losses count the same
time. A cure names an axis of hwbench's workloads only where the case has it and does not use it
already.
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
from hwbench.tables.run import RunTables

MOST = 3
MOST_MISSED = 0.5
"""A profile that differs from the clean step by a larger share is of another step: something else
ran beside one of the two."""

LEAST_SHARE = 0.01
"""Below this share of the step a loss is not worth a sentence."""

MOST_CURES = 2

FASTER = 1.2
"""Another dtype is a cure if its products reach so many times the FLOP/s of the case's dtype."""

OWN_LOSS = {
    "log_softmax": "cross_entropy",
    "nll_loss": "cross_entropy",
    "nll_loss2d": "cross_entropy",
    "cross_entropy_loss": "cross_entropy",
    "embedding": "embedding",
    "embedding_dense": "embedding",
}
"""The loss of operators that memory bounds and that have a cure of their own, by common name."""

KEEP_MEMORY = "MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000"


@dataclass(frozen=True)
class Situation:
    """What a cure depends on. `in_bf16` is how many times as fast as in the case's dtype products
    in bf16 were in this run, None if it did not measure both."""

    case: ProfiledCase
    environment: Mapping[str, Any]
    in_bf16: float | None
    names: frozenset[str]  # of the operators of the loss

    def has(self, axis: str) -> bool:
        return axis in self.case.params

    def leaves(self, axis: str) -> bool:
        """Whether the case has the axis, and it is off or left to the workload."""
        return self.has(axis) and self.case.params[axis] in (None, False)

    @property
    def trains(self) -> bool:
        return self.case.workload.endswith("/train")

    @property
    def can_grow(self) -> bool:
        """Whether the case can have a larger batch; `sgd` always learns from one sample."""
        params = self.case.params
        return isinstance(params.get("batch"), int) and params.get("optimizer") != "sgd"

    @property
    def twice(self) -> int:
        return 2 * int(self.case.params["batch"])


Cure = Callable[[Situation], str | None]
"""The cure in words that follow a colon; None where it does not apply."""


@dataclass(frozen=True)
class Loss:
    """The beginning of the sentence about a loss, and its cures, the most helpful first."""

    beginning: str
    cures: Sequence[Cure]


@dataclass(frozen=True)
class Advice:
    """A loss of a case in a sentence; `share` is of the clean step."""

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
    if at.case.dtype not in ("fp32", "tf32") or not computes:
        return None
    cure = f"bf16 instead of {at.case.dtype} (--dtype bf16)"
    if at.in_bf16 is None:
        return cure
    if at.in_bf16 < FASTER:
        return None
    return f"{cure}, whose products are {at.in_bf16:.2g} times as fast here"


def _longer_sequence(at: Situation) -> str | None:
    seq = at.case.params.get("seq")
    # a larger batch comes first: it has no limit, while a model has so many positions
    if at.can_grow or not isinstance(seq, int):
        return None
    return f"a longer sequence than seq={seq}, where the model has the positions, makes them larger"


def _fewer_parts(at: Situation) -> str | None:
    parts = at.case.params.get("accumulate")
    return f"fewer parts of a batch than accumulate={parts} make larger products" if parts else None


def _autotune(at: Situation) -> str | None:
    if not at.has("compile") or at.case.params["compile"] == "max-autotune":
        return None
    cure = "compile=max-autotune searches for faster kernels"
    return cure if at.case.on_accelerator else None


def _graphs(at: Situation) -> str | None:
    if not at.has("compile") or at.case.params["compile"] == "reduce-overhead":
        return None
    cure = "compile=reduce-overhead replays CUDA graphs, where the device has them"
    return f"{cure}, without the host" if at.case.on_accelerator else None


def _other_backend(at: Situation) -> str | None:
    if not at.has("attention"):
        return None
    now = at.case.choices.get("attention")
    return "--set attention= tries another backend" + (f" than {now}" if now else "")


def _keep_memory(at: Situation) -> str | None:
    is_set = "MALLOC_MMAP_MAX_" in (at.environment.get("variables") or {})
    is_glibc = str(at.environment.get("os", "")).startswith("Linux")
    if at.case.on_accelerator or is_set or not is_glibc or not at.trains:
        return None
    page_faults = "the page faults of memory that glibc gives back in each step"
    return f"{KEEP_MEMORY} before the command spares {page_faults}"


def _weights_in_bf16(at: Situation) -> str | None:
    casts = at.trains and at.case.dtype == "bf16"
    return "weights held in bf16 need no cast in each step" if casts else None


def _loss_in_chunks(at: Situation) -> str | None:
    cure = "loss_chunks=8 never holds all logits, which saves memory more than time"
    return cure if at.leaves("loss_chunks") else None


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


@dataclass(frozen=True)
class _Lost:
    """The seconds of a loss, the least of them that memory needs (None: not said), and the names of
    its operators."""

    seconds: float
    least_s: float | None = None
    names: frozenset[str] = frozenset()


def advice(run: RunTables, case: ProfiledCase, waterfall: Waterfall) -> list[Advice]:
    """The MOST largest losses above LEAST_SHARE of the step, the largest first; none where the
    profile is of another step (MOST_MISSED)."""
    if abs(waterfall.missed_s) > MOST_MISSED * waterfall.clean_step_s:
        return []
    ceilings = matmul_ceilings(run)
    own, other = ceilings.get(case.dtype), ceilings.get("bf16")
    in_bf16 = other.typical / own.typical if own and other else None
    advice = []
    for code, lost in _losses(case, waterfall).items():
        share = lost.seconds / waterfall.clean_step_s
        if share > LEAST_SHARE:
            at = Situation(case, run.environment, in_bf16, lost.names)
            sentence = _sentence(LOSSES[code], lost, share, at)
            advice.append(Advice(code, lost.seconds, share, sentence))
    return sorted(advice, key=lambda one: -round(one.share, 9))[:MOST]


def _losses(case: ProfiledCase, waterfall: Waterfall) -> dict[str, _Lost]:
    """By code."""
    working = waterfall.operators[~only_looks(waterfall.operators)]
    table = working.assign(common=working.name.map(common_name))
    table = table.assign(code=[_code(row) for row in table.to_dict("records")])
    at_ceiling = table.least_s.where(table.code.isin(("products", "attention")), 0.0)
    table = table.assign(lost=table.seconds - at_ceiling)
    losses = {}
    for code, rows in table.groupby("code", sort=False):
        memory_bound = code not in ("products", "attention", "others")
        is_known = memory_bound and rows.least_s.notna().all()
        least_s = float(rows.least_s.sum()) if is_known else None
        names = frozenset(map(short_name, rows.name))
        losses[str(code)] = _Lost(float(rows.lost.sum()), least_s, names)
    if case.copy_s and "casts" in losses:
        both = losses["casts"]
        moved = min(both.seconds, case.copy_s)
        losses["casts"] = _Lost(both.seconds - moved, None, both.names)
        losses["transfers"] = _Lost(moved, None, both.names)
    late = "host_late" if case.on_accelerator else "framework"
    losses[late] = _Lost(waterfall.seconds("framework"))
    losses["idle"] = _Lost(waterfall.seconds("launch_and_idle"))
    return losses


def _code(row: Mapping[str, Any]) -> str:
    """The code of the loss that an operator's time belongs to."""
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


def _sentence(loss: Loss, lost: _Lost, share: float, at: Situation) -> str:
    applicable = list(filter(None, (cure(at) for cure in loss.cures)))
    cures = "; or ".join(applicable[:MOST_CURES]) or "no cure is known here"
    needs = "" if lost.least_s is None else f", of which memory needs {_time(lost.least_s)}"
    taken = f"{_time(lost.seconds)}, {100 * share:.3g} % of the step{needs}"
    return f"{loss.beginning} {taken}: {cures}."


def _time(seconds: float) -> str:
    for scale, unit in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} \N{MICRO SIGN}s"
