"""`hwbench gate --self-test`: the gate on a run's own processes and on simulated ones with their noise or the docs'."""

from typing import TYPE_CHECKING, Any

import click

from hwbench.cli import options
from hwbench.records import UserError

if TYPE_CHECKING:
    from hwbench.store import RunTables

THRESHOLD = 0.02
MOST_ALARMS = 0.025
"""What the method promises whatever the threshold: half its level, since only slow-downs alarm."""


def run_self_test(run: "RunTables | None", threshold: float | None, pairs: int, as_json: bool) -> int:
    """Print false alarms and power for the processes of each case of `run` and their noise, or for that of the docs.

    Exit status 1 if the share of false alarms is above what the method promises, beyond chance (Clopper–Pearson).
    """
    from hwbench.report import power

    threshold = THRESHOLD if threshold is None else threshold
    tests = _tests(run, pairs, threshold)
    if as_json:
        plain = [test | {"rows": test["rows"].to_dict("records")} for test in tests]
        options.print_json({"threshold": threshold, "pairs": pairs, "tests": plain})
    else:
        for test in tests:
            click.echo(f"{test['label']}: {test['kind']}, {test['noise']}; threshold {threshold:.1%}")
            options.print_table(power.as_table(test["rows"]))
    return 1 if any(test["rows"].slower_low.iloc[0] > MOST_ALARMS for test in tests) else 0


def _tests(run: "RunTables | None", pairs: int, threshold: float) -> list[dict[str, Any]]:
    """What is tested: label, kind, noise in words, rows (simulate.power)."""
    from hwbench import simulate

    noises = simulate.noise_of(run) if run else {"the docs' noise": simulate.Noise()}
    if not noises:
        raise UserError(f"run {run.run_id if run else ''}: no case with two processes or more, so no noise to simulate")
    tests: list[dict[str, Any]] = []
    for label, noise in noises.items():
        rows = simulate.power(noise, pairs, threshold)
        tests.append({"label": label, "kind": "simulated", "noise": str(noise), "rows": rows})
    for label, medians in (simulate.medians_of(run) if run else {}).items():
        rows = simulate.dealt_power(medians, pairs, threshold)
        noise_words = f"its own {len(medians)} processes dealt out to two halves"
        tests.append({"label": label, "kind": "measured", "noise": noise_words, "rows": rows})
    return tests
