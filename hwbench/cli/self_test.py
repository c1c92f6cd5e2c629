"""`hwbench gate --self-test`: the gate on a run's own processes and on simulated ones with their
noise or the docs'."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from hwbench.cli import options
from hwbench.records import UserError

if TYPE_CHECKING:
    from hwbench.analysis.verdict.simulate import Noise
    from hwbench.tables.reader import RunTables

THRESHOLD = 0.02
MOST_ALARMS = 0.025
"""What the method promises whatever the threshold: half its level, since only slow-downs alarm."""


def run_self_test(
    run: "RunTables | None",
    floors: Mapping[tuple[str, str], float],
    threshold: float | None,
    pairs: int,
    as_json: bool,
) -> int:
    """Print false alarms and power for the processes of each case of `run` and their noise, or for
    that of the docs.

    `floors` count as they do in the gate. Exit status 1 if the share of false alarms is above what
    the method promises, beyond chance (Clopper–Pearson).
    """
    from hwbench.report.terminal import self_test

    threshold = THRESHOLD if threshold is None else threshold
    tests = _of_run(run, floors, threshold, pairs) if run else [_of_docs(threshold, pairs)]
    if as_json:
        plain = [test | {"rows": test["rows"].to_dict("records")} for test in tests]
        options.print_json({"threshold": threshold, "pairs": pairs, "tests": plain})
    else:
        for test in tests:
            floor = f", noise floor {test['floor']:.1%}" if test["floor"] else ""
            click.echo(
                f"{test['label']}: {test['kind']}, {test['noise']}; threshold {threshold:.1%}{floor}"
            )
            options.print_table(self_test.as_table(test["rows"]))
    return 1 if any(test["rows"].slower_low.iloc[0] > MOST_ALARMS for test in tests) else 0


def _of_docs(threshold: float, pairs: int) -> dict[str, Any]:
    """A test: label, kind (simulated or measured), noise in words, floor, rows (simulate.power)."""
    from hwbench.analysis.verdict import simulate

    return _simulated("any case", simulate.Noise(), threshold, pairs)


def _simulated(
    label: str, noise: "Noise", threshold: float, pairs: int, floor: float = 0.0
) -> dict[str, Any]:
    from hwbench.analysis.verdict import simulate

    rows = simulate.power(noise, pairs, threshold, floor=floor)
    return {
        "label": label,
        "kind": "simulated",
        "noise": f"step_s_p50 of {noise}",
        "floor": floor,
        "rows": rows,
    }


def _of_run(
    run: "RunTables", floors: Mapping[tuple[str, str], float], threshold: float, pairs: int
) -> list[dict[str, Any]]:
    """The tests of a run: each case's processes themselves where there are enough, and processes
    with their noise."""
    from hwbench.analysis import metrics
    from hwbench.analysis.verdict import simulate

    noises, times = simulate.noise_of(run), simulate.times_of(run)
    if not noises:
        raise UserError(
            f"run {run.run_id}: no case with two processes of two steps or more, so no noise to simulate"
        )
    tests: list[dict[str, Any]] = []
    for case in metrics.cases(run).itertuples():
        if case.case_id in times:
            metric, own = times[case.case_id]
            floor = floors.get((case.case_id, metric), 0.0)
            rows = simulate.dealt_power(own, pairs, threshold, floor=floor)
            words = f"{metric} of its own {len(own)} processes dealt out to halves"
            tests.append(
                {
                    "label": case.label,
                    "kind": "measured",
                    "noise": words,
                    "floor": floor,
                    "rows": rows,
                }
            )
        if case.label in noises:
            floor = floors.get((case.case_id, "step_s_p50"), 0.0)
            tests.append(_simulated(case.label, noises[case.label], threshold, pairs, floor))
    return tests
