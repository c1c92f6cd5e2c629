"""`hwbench gate --self-test`: test the gate on the processes of a run, and on simulated ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwbench.cli import options
from hwbench.records import UserError

if TYPE_CHECKING:
    import pandas as pd

    from hwbench.analysis.verdict.simulate import Noise
    from hwbench.tables.run import RunTables

THRESHOLD = 0.02
MOST_ALARMS = 0.025
"""The share of false alarms that the method promises at any threshold: half its level of 5 %, since
only slow-downs raise an alarm."""


@dataclass(frozen=True)
class Trial:
    """The gate tried on one kind of noise: a case's label, `simulated` or `measured`, the noise in
    words, its floor, and a row for each size of a change (simulate.power)."""

    label: str
    kind: str
    noise: str
    floor: float
    rows: "pd.DataFrame"

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "rows": self.rows.to_dict("records")}


def run_self_test(
    run: "RunTables | None",
    floors: Mapping[tuple[str, str], float],
    threshold: float | None,
    pairs: int,
    as_json: bool,
) -> int:
    """Print the false alarms and the power of the gate for each case of `run`, or for the noise in
    the docs.

    `floors` count as they do in the gate. Returns exit status 1 if the share of false alarms
    exceeds what the method promises by more than chance (Clopper–Pearson), else 0.
    """
    from hwbench.report.terminal import self_test

    threshold = THRESHOLD if threshold is None else threshold
    trials = _of_run(run, floors, threshold, pairs) if run else _of_docs(threshold, pairs)
    if as_json:
        tests = [trial.as_json() for trial in trials]
        options.print_json({"threshold": threshold, "pairs": pairs, "tests": tests})
    else:
        for trial in trials:
            floor = f", noise floor {trial.floor:.1%}" if trial.floor else ""
            head = f"{trial.label}: {trial.kind}, {trial.noise}"
            options.print_line(f"{head}; threshold {threshold:.1%}{floor}")
            options.print_table(self_test.self_test_table(trial.rows))
    return 1 if any(trial.rows.slower_low.iloc[0] > MOST_ALARMS for trial in trials) else 0


def _of_docs(threshold: float, pairs: int) -> list[Trial]:
    """The gate on simulated processes with the noise in the docs."""
    from hwbench.analysis.verdict import simulate

    return [_simulated("any case", simulate.Noise(), threshold, pairs)]


def _simulated(
    label: str, noise: "Noise", threshold: float, pairs: int, floor: float = 0.0
) -> Trial:
    from hwbench.analysis.verdict import simulate

    rows = simulate.power(noise, pairs, threshold, floor=floor)
    return Trial(label, "simulated", f"step_s_p50 of {noise}", floor, rows)


def _of_run(
    run: "RunTables", floors: Mapping[tuple[str, str], float], threshold: float, pairs: int
) -> list[Trial]:
    """The gate on the processes of each case, if there are enough, and on simulated processes with
    their noise. UserError if no case has noise to simulate."""
    from hwbench.analysis import metrics
    from hwbench.analysis.verdict import simulate

    noises, times = simulate.noise_of(run), simulate.times_of(run)
    if not noises:
        raise UserError(
            f"run {run.run_id}: no case has two processes of two steps, so there is no noise to "
            "simulate; measure with --processes 5"
        )
    trials: list[Trial] = []
    for case in metrics.cases(run).itertuples():
        if case.case_id in times:
            metric, own = times[case.case_id]
            floor = floors.get((case.case_id, metric), 0.0)
            rows = simulate.dealt_power(own, pairs, threshold, floor=floor)
            noise = f"{metric} of its own {len(own)} processes dealt out to halves"
            trials.append(Trial(case.label, "measured", noise, floor, rows))
        if case.label in noises:
            floor = floors.get((case.case_id, "step_s_p50"), 0.0)
            trials.append(_simulated(case.label, noises[case.label], threshold, pairs, floor))
    return trials
