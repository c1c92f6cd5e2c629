"""What the device allows, on the page. The run's ceilings are 1 MFLOP/s and 1 MB/s."""

import pytest
from html_page import Page
from runs import make_run, measured

from hwbench import tables as store
from hwbench.analysis import roofline
from hwbench.records import Case, Declared, Work
from hwbench.report.charts import roofline as charts
from hwbench.report.page.html import render
from hwbench.report.page.sections import roofline as tables
from hwbench.report.view import view_runs

TRAIN = Case("gpt/train", {"size": "nano"}, "bf16")
GEMM = Case("gemm", {"n": 64}, "bf16")
COPY = Case("copy", {"op": "copy"}, "fp32")
CACHED = Case("copy", {"op": "copy", "level": "l1"}, "fp32")
SPANS = {"forward": Work(flops=900, bytes=300), "backward": Work(flops=600, bytes=700)}
TOLD = Declared(SPANS, {"attention": "flash"}, 1030)


@pytest.fixture
def run(tmp_path):
    writer = make_run(tmp_path, "r", [TRAIN, GEMM, COPY, CACHED])
    work, memory = (
        Work(flops=1500, bytes=1000),
        {"memory_peak_bytes": 3000, "memory_base_bytes": 2000},
    )
    writer.add(TRAIN, 0, measured(0.003, work=work, declared=TOLD, **memory))
    writer.add(GEMM, 0, measured(0.001, work=Work(flops=1000)))
    writer.add(COPY, 0, measured(0.001, work=Work(bytes=1000)))
    writer.add(CACHED, 0, measured(0.001, work=Work(bytes=9000)))
    return store.read_run(writer.folder)


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_the_spans_against_the_measured_ceilings(run):
    (view,) = view_runs([run])
    assert texts(tables.parts(view, roofline.points(run))) == [
        ["gpt/train bf16", "forward", "1.000 ms", "900.0 kFLOP/s", "300.0 kB/s", "3.000",
        "compute", "900.0 µs",
         "90.0 %"],
        ["backward", "2.000 ms", "300.0 kFLOP/s", "350.0 kB/s", "0.8571", "memory", "700.0 µs",
        "35.0 %"],
        ["sum of 2 spans, 100 % of the step", "3.000 ms", "", "", "", "", "1.600 ms", "53.3 %"],
    ]  # fmt: skip


def test_a_case_without_spans_stands_with_its_step(run):
    silent = run.measurements.assign(span_work=None)
    run = store.RunTables(run.folder, run.runs, silent, run.samples, run.spans)
    (view,) = view_runs([run])
    (row,) = texts(tables.parts(view, roofline.points(run)))
    assert (row[1], row[6:]) == ("the step", ["compute", "1.500 ms", "50.0 %"])


def test_the_ceilings_say_where_they_are_from(run):
    assert texts(tables.ceilings(roofline.ceilings_of(run))) == [
        ["Arithmetic, bf16", "1.000 MFLOP/s", "measured", "gemm n=64 bf16"],
        ["Cache, L1", "9.000 MB/s", "measured", "copy op=copy level=l1 fp32"],
        ["Memory", "1.000 MB/s", "measured", "copy op=copy fp32"],
    ]


def test_choices_and_memory_against_its_prediction(run):
    (view,) = view_runs([run])
    assert texts(tables.declared(view)) == [
        ["gpt/train bf16", "attention: flash", "1.006 KiB", "1,000 B", "1.030× (+3.0 %)"]
    ]


def test_each_share_has_its_convention_and_its_source(run):
    (view,) = view_runs([run])
    rows = texts(tables.shares(view))
    assert ["mbu_achievable", "33.3 %", "–", "1.000 MB/s", "–"] in [row[:5] for row in rows]
    assert rows[0][:6] == [
        "gpt/train bf16",
        "mfu_achievable",
        "50.0 %",
        "–",
        "1.000 MFLOP/s",
        "bf16",
    ]
    assert rows[0][7] == "measured in this run: gemm n=64 bf16"


def test_a_roofline_is_drawn_for_each_dtype_with_its_points_told(run):
    (view,) = view_runs([run])
    (chart,) = charts.rooflines(view, roofline.ceilings_of(run), roofline.points(run))
    panel = tables.panel(chart, "p")
    assert panel.title == "Roofline, bf16"
    assert "forward gpt/train bf16: 3 FLOP/B, 900.0 kFLOP/s" in panel.svg
    assert panel.svg.count("stroke-dasharray") == 1  # the cache's


def test_the_page_has_a_roofline_section(run):
    page = Page(render([run]))
    assert "#roofline" in page.values("href")
    assert "Roofline, bf16" in page.text
    assert len(page.values("id")) == len(set(page.values("id")))


def test_a_page_without_ceilings_has_no_roofline_section(tmp_path):
    writer = make_run(tmp_path, "r", [TRAIN])
    writer.add(TRAIN, 0, measured())
    assert "#roofline" not in Page(render([store.read_run(writer.folder)])).values("href")
