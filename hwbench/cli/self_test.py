"""`hwbench gate --self-test`: the gate on simulated processes, with the noise of the docs or of a measured run."""

from typing import TYPE_CHECKING

import click

from hwbench.cli import options
from hwbench.records import UserError

if TYPE_CHECKING:
    from hwbench.store import RunTables

THRESHOLD = 0.02
MOST_ALARMS = 0.025
"""What the method promises whatever the threshold: half its level, since only slow-downs alarm."""


def run_self_test(run: "RunTables | None", threshold: float | None, pairs: int, as_json: bool) -> int:
    """Print false alarms and power for the noise of each case of `run`, or for that of the docs.

    Exit status 1 if the share of false alarms is above what the method promises, beyond chance (Clopper–Pearson).
    """
    from hwbench import simulate
    from hwbench.report import power

    threshold = THRESHOLD if threshold is None else threshold
    noises = simulate.noise_of(run) if run else {"simulated": simulate.Noise()}
    if not noises:
        raise UserError(f"run {run.run_id if run else ''}: no case with two processes or more, so no noise to simulate")
    found = {label: simulate.power(noise, pairs, threshold) for label, noise in noises.items()}
    if as_json:
        tests = [
            {"label": label, "noise": vars(noises[label]), "rows": table.to_dict("records")}
            for label, table in found.items()
        ]
        options.print_json({"threshold": threshold, "pairs": pairs, "tests": tests})
    else:
        for label, table in found.items():
            click.echo(f"{label}: {noises[label]}; threshold {threshold:.1%}")
            options.print_table(power.as_table(table))
    return 1 if any(table.slower_low.iloc[0] > MOST_ALARMS for table in found.values()) else 0
