"""What the page says of profiles: sentences, figures and tables of a step of 1 s, and lines where
there are none."""

import re

import pytest
from html_page import Page
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import (
    COPY,
    GEMM,
    TRAIN,
    any_profile,
    gap,
    memory_row,
    module_row,
    op,
    profile_of,
    run_with,
    training,
)
from runs import profiled
from test_report_html import EVIL

from hwbench.records import Case
from hwbench.report.page.html import SECTIONS, render_section
from hwbench.report.page.section import PageRuns
from hwbench.report.page.sections.waterfall import explained
from hwbench.report.page.sections.waterfall_tables import MOST_ROWS
from hwbench.report.view import view_runs

(WATERFALL,) = [section for section in SECTIONS if section.anchor == "waterfall"]
OTHER = Case("gpt/forward", {"size": "nano"}, "fp32")


def of(*runs):
    return [explained(view) for view in view_runs(list(runs))]


def page_of(*runs):
    return str(render_section(WATERFALL, PageRuns(view_runs(list(runs)))).html)


def text_of(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_a_run_without_a_profile_has_no_waterfall_section():
    assert of(run_with()) == [None]


def test_a_case_has_its_sentences_figures_and_tables():
    ((case,),) = (found.cases for found in of(run_with(training())))
    assert case.name == "gpt/train fp32"
    assert len(case.sentences) == 3
    assert [panel.title for panel in case.figures] == [
        "From the least time to the step: gpt/train fp32",
        "Operators on the roofline, fp32: gpt/train fp32",
        "Memory over a step: gpt/train fp32",
    ]
    assert all(panel.data.rows for panel in case.figures)
    assert [table.caption for table in case.tables] == [
        "Operators of a step, without the profiler's cost",
        "Spans of the profiled step, on the host's clock",
        "Modules, with what lies within them, in the profiled step",
        "What holds the memory at its peak",
    ]
    assert case.unknown == []


def test_the_waterfalls_data_has_its_parts_and_what_the_rest_is():
    (found,) = of(run_with(training()))
    assert text_of(found.cases[0].figures[0].data) == [
        ["Compute, at the matmul ceiling", "390.0 ms", "39.0 %"],
        ["Memory, at the measured bandwidth", "210.0 ms", "21.0 %"],
        ["Launches and idle gaps", "0 ns", "0 %"],
        ["Framework", "100.0 ms", "10.0 %"],
        ["The rest", "300.0 ms", "30.0 %"],
        ["The clean step", "1.000 s", "100 %"],
        ["of the rest: Products beyond their ceiling", "150.0 ms", "15.0 %"],
        ["of the rest: Attention beyond its ceiling", "60.00 ms", "6.00 %"],
        ["of the rest: Other operators beyond the bandwidth", "70.00 ms", "7.00 %"],
        ["of the rest: Operators without a known ceiling", "20.00 ms", "2.00 %"],
    ]


def test_operators_spans_modules_and_the_peak_in_figures():
    (found,) = of(run_with(training()))
    operators, spans, modules, peak = map(text_of, found.cases[0].tables)
    row = [
        "aten::addmm",
        "matmul",
        "2",
        "300.0 ms",
        "30.0 %",
        "667 MFLOP/s",
        "167 MB/s",
        "compute",
        "200 ms",
    ]
    assert operators[0] == row
    assert operators[-1] == ["mystery::op", "other", "1", "20.00 ms", "2.00 %", "–", "–", "–", "–"]
    assert spans[-1] == ["(rest)", "30.00 ms", "3.00 %"]
    assert modules[1] == ["blocks.*.up", "1", "300 ms", "200 ms", "500 ms", "50.0 %"]
    assert peak[-1] == ["all", "800 B", "100 %"]


def test_operators_beyond_the_table_are_one_row():
    rows = [op(f"aten::x{number}", 0.01 * (30 - number), bytes=1e6) for number in range(25)]
    (found,) = of(run_with(profile_of(rows, clean=5.0)))
    table = text_of(found.cases[0].tables[0])
    assert len(table) == MOST_ROWS + 1
    assert table[-1] == ["the other 5", "–", "5", "400.0 ms", "8.00 %", "–", "–", "–", "–"]


def test_an_accelerator_has_kernels_gaps_and_what_its_host_did():
    profile = profile_of(
        [op("aten::mm", 0.5, 0.3e9, 0.1e9), op("nvjet", 0.5, level="kernel", bytes=None)],
        profiled_s=1.2, device_busy_s=0.5, launch_s=0.2, copy_s=0.01, gaps=[gap(0.6,
        "host_late"), gap(0.1, "other")],
    )  # fmt: skip
    (found,) = of(run_with(profile))
    case = found.cases[0]
    assert [table.caption for table in case.tables][1:] == [
        "Kernels of a step", "Idle gaps of the profiled step, by their cause",
    ]  # fmt: skip
    assert text_of(case.tables[1]) == [["nvjet", "1", "500.0 ms", "50.0 %"]]
    assert text_of(case.tables[2]) == [
        ["the host was late", "600.0 ms", "50.0 %"],
        ["cannot be told", "100.0 ms", "8.33 %"],
    ]
    assert "The device was busy for 500.0 ms of a step, 10.00 ms of it copying" in case.lines[-1]


def test_an_invalid_profile_is_a_line_and_nothing_drawn():
    (found,) = of(run_with(training(invalid="lost 3 events")))
    case = found.cases[0]
    assert (case.invalid, case.figures, case.tables, case.sentences) == (
        "lost 3 events",
        (),
        (),
        (),
    )
    page = Page(page_of(run_with(training(invalid="lost 3 events"))))
    assert "This profile is invalid, so nothing of it is drawn: lost 3 events." in page.text
    assert page.tags["svg"] == page.tags["table"] == 0


def test_unknown_parts_of_a_profile_give_their_reason():
    run = run_with(training(unknown={"modules": "the model is compiled"}), ceilings=(GEMM,))
    (found,) = of(run)
    case = found.cases[0]
    assert case.sentences == []
    assert [panel.title for panel in case.figures] == ["Memory over a step: gpt/train fp32"]
    assert case.unknown == [
        "waterfall: the least time of a step is not known: no ceiling was measured in this "
        "run; add `copy`",
        "modules: the model is compiled",
    ]
    assert "Not known: modules: the model is compiled." in Page(page_of(run)).text


def test_a_profiled_step_that_is_faster_is_reported_as_disturbed():
    (found,) = of(run_with(training(profiled_s=0.9)))
    assert (
        found.cases[0]
        .lines[0]
        .endswith("which cannot make a step faster: something disturbed the clean ones.")
    )


@pytest.mark.parametrize(
    ("profiled_s", "events", "says"),
    [
        (
            1.1,
            1e5,
            "without the profiler, 10.0 % more, which is taken off by the events that it recorded.",
        ),
        (
            1.1,
            1e3,
            ", 10.0 % more, of which it can have cost 20.00 ms at most, which is taken "
            "off; the rest is noise.",
        ),
        (1.0, 1e3, "1.000 s without the profiler."),
    ],
)
def test_the_cost_of_the_profiler_is_reported(profiled_s, events, says):
    (found,) = of(run_with(training(profiled_s=profiled_s, events=events)))
    assert found.cases[0].lines[0].endswith(says)


def test_scaled_parts_of_a_waterfall_are_reported():
    profile = profile_of([op("aten::mm", 1.25, 0.3e9, 0.1e9)], profiled_s=1.0)
    (found,) = of(run_with(profile))
    assert (
        "Before they were scaled the parts came to 25 % more than the clean step"
        in found.cases[0].lines[1]
    )


def test_several_cases_and_runs_stand_on_one_page_with_ids_of_their_own():
    both = profiled(run_with(training(), others=(OTHER,)), OTHER, training())
    page = page_of(both, both, run_with(run_id="x"))
    ids = re.findall(r'id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    parsed = Page(page)
    assert parsed.tags["svg"] == 12
    assert parsed.tags["h3"] == 2
    assert parsed.tags["h4"] == 4
    assert page.count("<desc") == 12
    assert page.count("<title") >= 12


def test_figures_take_the_colours_of_the_page_and_are_told_apart_by_hatches_too():
    page = page_of(run_with(training()))
    assert not re.search(r"#0000[0-9a-f]{2}\b", page)
    assert page.count("<pattern") >= 6


def test_the_same_run_gives_the_same_bytes_and_a_long_step_stays_small():
    rows = [
        memory_row(i, "x", weights=1 << 30, gradients=i, activations=i**2 % 1000, temporary=i % 7)
        for i in range(9000)
    ]
    rows[4000]["temporary_bytes"] = 1 << 31
    profile = profile_of([op(f"aten::x{i}", 1e-4) for i in range(2000)], memory=rows)
    page = page_of(run_with(profile))
    assert page == page_of(run_with(profile))
    assert len(page) < 50_000
    assert "2.000 GiB" in page


def test_names_of_a_profile_are_text():
    rows = [op(EVIL, 0.5, 1e8, 1e8, module=EVIL), op("aten::mm" + EVIL, 0.2, 1e8, 1e8, span=EVIL)]
    rows.append(op(EVIL, 0.5, level="span", span=EVIL))
    evil = profile_of(
        rows,
        memory=[memory_row(0, EVIL, weights=3)],
        modules=[module_row(EVIL, EVIL, 0.1, 0.1)],
        unknown={EVIL: EVIL},
    )
    for run in (run_with(evil), run_with(training(invalid=EVIL), case=TRAIN)):
        page = page_of(run)
        assert "<script" not in page
        assert "alert" in Page(page).text


@given(st.lists(any_profile, min_size=1, max_size=2))
@settings(max_examples=5, deadline=None)
def test_any_profile_gives_a_well_formed_section(several):
    assert Page(page_of(run_with(*several))).tags["section"] == 1


@pytest.mark.parametrize("ceilings", [(), (COPY,), (GEMM, COPY)])
def test_an_empty_profile_gives_a_section(ceilings):
    page = Page(page_of(run_with(profile_of(clean=0.0), profile_of(), ceilings=ceilings)))
    assert "profiled in 2 processes" in page.text
