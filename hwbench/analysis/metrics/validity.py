"""The validity of figures: the closed list of reasons against one, what each means and its cure.

A measurement carries reasons as notes, `code: what happened`. The validity of a case is that of its
worst reason.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from hwbench import stats
from hwbench.analysis.metrics.rates import RATES
from hwbench.tables.run import RunTables

Severity = Literal["wide", "suspect", "invalid"]
Validity = Literal["valid", "wide", "suspect", "invalid"]

VALIDITIES: tuple[Validity, ...] = ("valid", "wide", "suspect", "invalid")
"""From the best to the worst."""


@dataclass(frozen=True)
class Reason:
    """What a code means, in one line, and the cure, in another.

    `wide`: the value is good, its interval is wider than asked for. `suspect`: the value is in
    doubt. `invalid`: the value means nothing.
    """

    severity: Severity
    meaning: str
    cure: str


REASONS: dict[str, Reason] = {
    "not_converged": Reason(
        "wide",
        "The interval is wider than the precision asked for.",
        "Allow more time or processes (--budget, --max-time, --max-processes), quiet the machine, "
        "or ask for less precision (--precision).",
    ),
    "no_steady_state": Reason(
        "suspect",
        "The steps of a window drifted: later steps differ from earlier ones by more than noise.",
        "Measure longer (--min-time); look for clocks that fall with heat and memory that grows.",
    ),
    "few_processes": Reason(
        "wide",
        "Only 2 processes: their interval is wide, or narrow by chance.",
        "Measure in 3 processes or more (--processes, or files to import); 5 make it narrow.",
    ),
    "no_interval": Reason(
        "suspect",
        "No interval over processes, as there are fewer than 2: how processes differ is unknown.",
        "Measure in 3 processes or more (--processes, or files to import); 5 make it narrow.",
    ),
    "high_variation": Reason(
        "suspect",
        "The slowest process took 1.5 times as long as the fastest, or longer: something disturbed "
        "some of them.",
        "Stop other programs, fix the clocks, pin the processes; `hwbench noise` measures the "
        "remaining noise.",
    ),
    "throttled": Reason(
        "suspect",
        "The device lowered its clocks because of heat or an alarm of its power supply.",
        "Cool it: airflow, fans, a longer pause between runs; check its power cables.",
    ),
    "power_capped": Reason(
        "suspect",
        "The device lowered its clocks to stay within its power limit.",
        "Compare runs under the same limit; raise it (nvidia-smi -pl), or fix the clocks below it "
        "(nvidia-smi -lgc).",
    ),
    "energy_disagreement": Reason(
        "suspect",
        "The energy counter and the power sensor of a device cannot both be right; "
        "its times are not affected.",
        "Update the driver; until then the energy is known only to its uncertainty, "
        "which holds the difference.",
    ),
    "foreign_load": Reason(
        "suspect",
        "Other processes, or other virtual machines, used the processors during a window.",
        "Stop them and measure again; on a shared host use `hwbench ab`, which measures in turns.",
    ),
    "cut_short": Reason(
        "suspect",
        "The time limit of a process ended its window early, with fewer steps or less warm-up than "
        "requested.",
        "Allow more time (--timeout), or make the case smaller.",
    ),
    "emulated_dtype": Reason(
        "suspect",
        "The device has no hardware arithmetic in this dtype: torch converts, or computes element "
        "by element.",
        "Use a dtype that the device has (--dtype auto); `hwbench info` shows the rates of all.",
    ),
    "gpu_shared": Reason(
        "suspect",
        "Another process computes on the same GPU.",
        "End it (nvidia-smi lists it), or choose another GPU with --device cuda:N.",
    ),
    "clock_drift": Reason(
        "suspect",
        "The device's clock at the end of a window differed from that at the beginning.",
        "Measure longer, until it has settled (--min-time); cool the device; or fix its clocks.",
    ),
    "clock_disagreement": Reason(
        "suspect",
        "The device's event clock and the host's disagreed, so each step was timed by the host, "
        "which waits for it.",
        "Update the driver; until then compare only with runs that were timed by the host too.",
    ),
    "clock_jump": Reason(
        "suspect",
        "The device's event clock jumped, or changed its rate, during a window.",
        "Measure again; update the driver. The rates are by the host's clock and are valid.",
    ),
    "mixed_timers": Reason(
        "suspect",
        "Some processes of the case were timed by the device's events, others by the host, which "
        "waits for each step.",
        "Quiet the machine and measure again: in some processes the events disagreed with the "
        "host's clock.",
    ),
    "fp32_rounded": Reason(
        "suspect",
        "The device rounds the factors of fp32 products to fewer bits, although full precision was "
        "set.",
        "Unset the variable that overrides it (NVIDIA_TF32_OVERRIDE); else measure the format that "
        "it uses (tf32, bf16).",
    ),
    "clock_fallback": Reason(
        "suspect",
        "The device has no event clock, so each step was timed by the host, which waits for it.",
        "Compare only with runs that were timed by the host too.",
    ),
    "loadgen_invalid": Reason(
        "invalid",
        "MLPerf's load generator called its test INVALID: the objective was missed, or the test "
        "was too short to tell.",
        "Ask for a lower rate or a looser objective (ttft_ms, tpot_ms), or for a longer test "
        "(duration_s, queries).",
    ),
    "not_linear": Reason(
        "suspect",
        "The slices lie off a line by more than their own noise: what is extrapolated from them "
        "may be far off.",
        "Measure larger slices, or ones further apart; leave out those that fit into a cache.",
    ),
    "loss_not_finite": Reason(
        "invalid",
        "The loss of the last step was not a number or infinite: arithmetic on such values may "
        "take another time.",
        "Check the dtype and the workload; lower the learning rate.",
    ),
}

INVALIDATING = frozenset(code for code, reason in REASONS.items() if reason.severity == "invalid")
"""The codes that make a figure invalid."""


def severity_of(code: str) -> Severity:
    """The severity of a code; `suspect` for one that is not in the list, as in a run of a newer
    hwbench."""
    return REASONS[code].severity if code in REASONS else "suspect"


def validity_of(codes: Iterable[str]) -> Validity:
    """The validity of a figure with these codes against it: that of the worst, `valid` without
    any."""
    return max((severity_of(code) for code in codes), key=VALIDITIES.index, default="valid")


FEW_PROCESSES = 3
"""With fewer, an interval over processes is wide, or narrow by chance."""

HIGH_VARIATION = 1.5
"""The most that the slowest of a case's processes may take, over the fastest."""

PRECISION = 0.01
"""The relative half-width of intervals that a run asked for, where its plan does not say."""


def precision_of(run: RunTables) -> float:
    """The relative half-width of intervals that the run asked for."""
    return run.planned.policy.precision or PRECISION


def validity(
    run: RunTables, processes: pd.DataFrame, values: pd.DataFrame
) -> tuple[Validity, list[str]]:
    """The validity of a case and the codes against it.

    `processes` are the case's rows of `run.measured`, `values` the table of summary.per_process.
    """
    notes = [note for row in processes.notes for note in row]
    codes = list(dict.fromkeys(note.partition(":")[0] for note in notes))
    own = values[values.case_id == processes.case_id.iloc[0]]
    rate = next((metric for metric in RATES if metric in set(own.metric)), "step_s_p50")
    judged = ("step_s_p50", rate)
    intervals = [stats.median_interval(own[own.metric == metric].value) for metric in judged]
    widest = max(interval.relative_half_width for interval in intervals)
    if math.isinf(widest):
        codes.append("no_interval")
    elif min(interval.n for interval in intervals) < FEW_PROCESSES:
        codes.append("few_processes")
    elif widest > precision_of(run):
        codes.append("not_converged")
    if processes.timer_kind.nunique() > 1:
        codes.append("mixed_timers")
    steps = own[own.metric == "step_s_p50"].value
    if steps.max() > HIGH_VARIATION * steps.min():
        codes.append("high_variation")
    return validity_of(codes), codes
