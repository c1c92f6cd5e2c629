"""Why the steps of a run take as long as they do: what the page says of its profiled cases."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from hwbench.analysis.metrics.ceilings import MEMORY
from hwbench.analysis.profile.advice import MOST_MISSED, advice
from hwbench.analysis.profile.kinds import common_name
from hwbench.analysis.profile.operators import (
    ProfiledCase,
    by_name,
    computed_in,
    operators,
    profiled_cases,
)
from hwbench.analysis.profile.tables import HOLDERS, memory, thinned
from hwbench.analysis.profile.waterfall import NoWaterfall, Waterfall, waterfall
from hwbench.analysis.roofline import ceilings_of
from hwbench.report.numbers import count, quantity
from hwbench.report.page import figures
from hwbench.report.page.cells import Cell, Table
from hwbench.report.page.figures import Spot
from hwbench.report.page.figures import waterfall as waterfalls
from hwbench.report.page.figures.svg import inline_svg
from hwbench.report.page.figures.waterfall import Area, Bar
from hwbench.report.page.sections.results import MOST_SPOTS, Panel
from hwbench.report.page.sections.waterfall_tables import (
    gaps_table,
    kernels_table,
    modules_table,
    operators_table,
    peak_table,
    share,
    spans_table,
)
from hwbench.report.view import RunView
from hwbench.tables.reader import RunTables

MOST_POINTS = 120
"""Points of a memory timeline: each stands in the outlines of up to six areas, twice, and a page
may have 20 cases."""

PARTS = {
    "compute": "Compute, at the matmul ceiling",
    "memory": "Memory, at the measured bandwidth",
    "launch_and_idle": "Launches and idle gaps",
    "framework": "Framework",
    "rest": "The rest",
}
RESTS = {
    "matmul": "Products beyond their ceiling",
    "attention": "Attention beyond its ceiling",
    "memory": "Other operators beyond the bandwidth",
    "no_ceiling": "Operators without a known ceiling",
}
NOT_SMALL = 0.02
"""From this share of the step on it is said that the parts had to be scaled."""


@dataclass(frozen=True)
class ExplainedCase:
    """A profiled case. Of an invalid profile `invalid` says why, and all else is empty."""

    name: str
    invalid: str = ""
    sentences: Sequence[str] = ()
    lines: Sequence[str] = ()
    unknown: Sequence[str] = ()
    figures: Sequence[Panel] = ()
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Explained:
    cases: Sequence[ExplainedCase]


def explained(run: RunView) -> Explained | None:
    """What the page says of the run's profiles; None without any."""
    names = {case.case_id: case.short for case in run.cases}
    found = profiled_cases(run.tables)
    cases = [_case(run, case, names.get(case_id, case.label)) for case_id, case in found.items()]
    return Explained(cases) if cases else None


def lines(case: ProfiledCase, found: Waterfall | NoWaterfall) -> list[str]:
    """What the profiler itself cost, and what else a profile says in a number."""
    steps = count(max(case.steps.values(), default=0), "step")
    told = [
        f"{steps} profiled in {count(len(case.processes), 'process')}: {quantity(case.profiled_step_s, 's')} a step, "
        f"against {quantity(case.clean_step_s, 's')} without the profiler{_cost(case)}."
    ]
    if isinstance(found, Waterfall):
        missed = found.missed_s / found.clean_step_s
        if abs(missed) >= NOT_SMALL:
            told.append(
                f"Before they were scaled the parts came to {quantity(abs(missed), '1', 2)} "
                f"{'more' if missed > 0 else 'less'} than the clean step: trust them no further than that."
            )
        if abs(missed) > MOST_MISSED:
            told.append(
                "Something disturbed the clean steps or the profiled ones, so no loss is named; profile again."
            )
        told += [f"Not accounted for: {note}." for note in found.notes]
    if case.threads is not None:
        told.append(
            f"{count(int(case.threads), 'thread')} computed, busy {quantity(case.busy_share, '1', 3)} of the time."
        )
    if case.device_busy_s is not None:
        busy, launch, copy = (
            quantity(value, "s") for value in (case.device_busy_s, case.launch_s, case.copy_s)
        )
        told.append(
            f"The device was busy for {busy} of a step, {copy} of it copying; the host spent {launch} launching."
        )
    return told


def _cost(case: ProfiledCase) -> str:
    """What made the profiled step longer, in the words that end a sentence."""
    if case.overhead < -NOT_SMALL:
        return ", which cannot make a step faster: something disturbed the clean ones"
    if case.overhead <= 0:
        return ""
    own_s = case.event_s * case.events
    longer = f", {quantity(case.overhead, '1', 3)} more"
    if own_s < (1 - NOT_SMALL) * (case.profiled_step_s - case.clean_step_s):
        return f"{longer}, of which it can have cost {quantity(own_s, 's')} at most, which is taken off; the rest is noise"
    return f"{longer}, which is taken off by the events that it recorded"


def unknown(case: ProfiledCase, found: Waterfall | NoWaterfall) -> dict[str, str]:
    """What is not known of a profile, and why."""
    return ({"waterfall": found.reason} if isinstance(found, NoWaterfall) else {}) | dict(
        case.unknown
    )


def _case(run: RunView, case: ProfiledCase, name: str) -> ExplainedCase:
    if case.invalid:
        return ExplainedCase(name, case.invalid)
    tables = run.tables
    found = waterfall(tables, case)
    is_known = isinstance(found, Waterfall)
    rows = found.operators if isinstance(found, Waterfall) else operators(tables, case)
    held = memory(tables, case)
    prefix = f"{run.letter}-{case.case_id}"
    drawn = _waterfall(found, name, prefix) if isinstance(found, Waterfall) else []
    content = [
        operators_table(rows, case),
        spans_table(tables, case),
        modules_table(tables, case),
        kernels_table(tables, case),
        gaps_table(tables, case),
        peak_table(held),
    ]
    return ExplainedCase(
        name=name,
        sentences=[one.sentence for one in advice(tables, case, found)]
        if isinstance(found, Waterfall)
        else [],
        lines=lines(case, found),
        unknown=[f"{what}: {why}" for what, why in unknown(case, found).items()],
        figures=[
            *drawn,
            *(_rooflines(tables, case, rows, name, prefix) if is_known else []),
            *_memory(held, name, prefix),
        ],
        tables=[table for table in content if table.rows],
    )


def _waterfall(found: Waterfall, name: str, prefix: str) -> list[Panel]:
    whole = found.clean_step_s
    bars = [
        Bar(PARTS[part.part], part.seconds, _with_share(part.seconds, whole))
        for part in found.parts
    ]
    total = Bar("The clean step", whole, quantity(whole, "s", 3))
    title = f"From the least time to the step: {name}"
    told = "; ".join(f"{bar.label}: {bar.text}" for bar in [*bars, total])
    rows = [
        [Cell(bar.label, head=True), Cell(quantity(bar.value, "s")), share(bar.value, whole)]
        for bar in [*bars, total]
    ]
    rests = [
        [
            Cell(f"of the rest: {RESTS[cause]}", head=True),
            Cell(quantity(seconds, "s")),
            share(seconds, whole),
        ]
        for cause, seconds in found.rest_of.items()
    ]
    data = Table(f"Parts of a step of {name}", "lrr", ["Part", "Time", "Share"], [*rows, *rests])
    return [
        Panel(
            title,
            inline_svg(waterfalls.waterfall(bars, total, "s"), f"waterfall-{prefix}", title, told),
            data,
        )
    ]


def _rooflines(
    tables: RunTables, case: ProfiledCase, rows: pd.DataFrame, name: str, prefix: str
) -> list[Panel]:
    """A figure for each dtype of the products: operators by their common names, those with the most
    seconds."""
    ceilings = ceilings_of(tables)
    ceilings = ceilings[ceilings.basis == "measured"]
    levels = ceilings[ceilings.kind == "memory"].sort_values(
        "level", key=lambda level: level != MEMORY, kind="stable"
    )
    memories = {str(row.level): float(row.value) for row in levels.itertuples()}
    rows = rows.assign(
        name=rows.name.map(common_name),
        dtype=[computed_in(dtype, case.dtype) for dtype in rows.dtype],
    )
    standing = set(rows[rows.compute_ceiling.notna()].dtype)  # those that the case did not beat
    rows = by_name(rows[rows.flops.notna() & rows.bytes.notna()], ["name", "backward", "dtype"])
    panels = []
    for roof in ceilings[(ceilings.kind == "compute") & ceilings.dtype.isin(standing)].itertuples():
        own = rows[(rows.dtype == roof.dtype) & (rows.intensity > 0) & (rows.flops_per_s > 0)].head(
            MOST_SPOTS
        )
        spots = [
            Spot(_direction(row.name, row.backward), row.intensity, row.flops_per_s)
            for row in own.itertuples(index=False)
        ]
        if spots and MEMORY in memories:
            title = f"Operators on the roofline, {roof.dtype}: {name}"
            told = "; ".join(
                f"{s.label}: {s.intensity:.3g} FLOP/B, {quantity(s.flops_per_s, 'FLOP/s')}"
                for s in spots
            )
            drawn = figures.roofline(spots, float(roof.value), memories)
            panels.append(
                Panel(
                    title,
                    inline_svg(drawn, f"operators-{prefix}-{roof.dtype}", title, told),
                    _spots(title, spots),
                )
            )
    return panels


def _spots(title: str, spots: Sequence[Spot]) -> Table:
    rows = [
        [
            Cell(spot.label, head=True),
            Cell(quantity(spot.intensity, "")),
            Cell(quantity(spot.flops_per_s, "FLOP/s")),
        ]
        for spot in spots
    ]
    return Table(title, "lrr", ["Operator", "FLOP/B", "FLOP/s"], rows)


def _memory(held: pd.DataFrame, name: str, prefix: str) -> list[Panel]:
    if held.empty or not held.total_bytes.max() > 0:
        return []
    shown = thinned(held, MOST_POINTS)
    areas = [
        Area(holder.removesuffix("_bytes"), shown[holder].to_numpy("float64"))
        for holder in HOLDERS
        if held[holder].any()
    ]
    title = f"Memory over a step: {name}"
    told = "; ".join(
        f"{area.label}: at most {quantity(float(area.held.max()), 'B', 3)}" for area in areas
    )
    rows = [
        [
            Cell(area.label, head=True),
            *(
                Cell(quantity(float(value), "B"))
                for value in (area.held[0], area.held.max(), area.held[-1])
            ),
        ]
        for area in areas
    ]
    data = Table(title, "lrrr", ["Held for", "At first", "At most", "At the end"], rows)
    drawn = waterfalls.memory(shown.position.to_numpy("float64"), areas)
    return [Panel(title, inline_svg(drawn, f"memory-{prefix}", title, told), data)]


def _direction(name: str, backward: bool) -> str:
    return f"{name}, backward" if backward else name


def _with_share(seconds: float, whole: float) -> str:
    return f"{quantity(seconds, 's', 3)}, {seconds / whole:.0%}".replace("%", " %")
