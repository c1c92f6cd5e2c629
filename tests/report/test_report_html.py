import base64
import hashlib
import json
import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from html_page import Page
from runs import around, make_run, measured, profiled, run_of, with_measurements

from hwbench import stats
from hwbench.printable import printable
from hwbench.records import Case, Measurement, Policy, Run, Samples, Spans, Window, Work
from hwbench.records.profile import Profile
from hwbench.report.page import embedded
from hwbench.report.page.html import render
from hwbench.report.page.sections import validity
from hwbench.report.ratios import ratio_intervals
from hwbench.report.view import view_runs
from hwbench.tables.reader import read_run
from hwbench.tables.writer import Writer

GEMM = Case("gemm", {"n": 64}, "fp32")
TRAIN = Case("gpt/train", {"size": "nano", "batch": 1}, "fp32")
COPY = Case("copy", {"mib": 1}, "fp32")
EVIL = "<script>alert('x')</script>\"&{{7*7}}$x_1$"


def stored(folder, name, *outcomes, processes=3):
    """A run of (case, measurement) pairs, with the same measurement in every process."""
    writer = make_run(
        folder, name, [case for case, _ in outcomes], policy=Policy(processes=processes)
    )
    for process in range(processes):
        for case, measurement in outcomes:
            writer.add(case, process, measurement)
    return read_run(writer.folder)


def full(folder, name="r1", step_s=0.003):
    work = ((GEMM, Work(flops=24_000)), (COPY, Work(bytes=9_000_000)), (TRAIN, None))
    return stored(folder, name, *((case, measured(step_s, work=done)) for case, done in work))


def timed(step_s: np.ndarray) -> Measurement:
    """A measurement of these step times, each with one span over the whole step."""
    steps = list(range(len(step_s)))
    samples = Samples(steps, [False] * len(steps), steps, step_s.tolist(), [""] * len(steps))
    window = Window(
        "host",
        samples,
        Spans(steps, ["all"] * len(steps), [0] * len(steps), step_s.tolist()),
        1.0,
        True,
    )
    return Measurement("ok", work=Work(tokens=1), window=window)


def test_exact_figures_reach_the_page(tmp_path):
    page = Page(render([full(tmp_path)]))
    rows = {row[0]: row for row in page.rows if len(row) == 11}
    train = [
        "10,000 tokens/s",
        "2.000 MFLOP/s",
        "25.0 %",
        "300.0 kB/s",
        "0.0100 %",
        "3.000 ms",
        "\N{EN DASH}",
        "0 %",
        "3 of 3",
        "ok",
    ]
    assert rows["gpt/train fp32size=nano batch=1"][1:] == train
    assert rows["gemm fp32n=64"][2:4] == ["8.000 MFLOP/s", "100 %"]
    assert rows["copy fp32mib=1"][1:5] == ["\N{EN DASH}"] * 3 + ["3.000 GB/s"]
    assert ["forward", "1.000 ms", "33.3 %"] in [row[-3:] for row in page.rows]
    assert [
        "gpt/train fp32",
        "3",
        "30",
        *["3.000 ms"] * 3,
        *["\N{EN DASH}"] * 2,
        "3.000 ms",
    ] in page.rows


def test_a_device_with_a_known_peak_has_its_mfu_and_the_peak_on_the_page():
    run = run_of((TRAIN, [[1.0] * 10] * 3), device="NVIDIA A100-SXM4-80GB")
    page = Page(render([with_measurements(run, TRAIN, flops=39 * 10**11)]))
    peak = "peak 19.5 TFLOP/s fp32 dense, NVIDIA A100 datasheet 2021"
    assert ["Held against", peak] in page.rows
    (row,) = (row for row in page.rows if "3.900 TFLOP/s" in row)
    assert row[3] == "20.0 %"


def test_the_page_names_cases_device_time_and_command(tmp_path):
    text = Page(render([full(tmp_path)])).text
    assert (
        "3 cases measured on Fake device, started 2026-11-24 08:00 UTC. Workloads: gemm, "
        "copy, gpt/train." in text
    )
    assert "The command that repeats the run: hwbench run" in text
    assert "3 fresh processes a case; 9 of 9 stored" in text
    assert "Every case came out ok, and nothing speaks against its figures." in text


def test_one_file_without_requests(tmp_path):
    source = render([full(tmp_path, "a"), full(tmp_path, "b", 0.001)])
    page = Page(source)
    assert "http:" not in source
    assert "https:" not in source
    assert not {"link", "iframe", "object", "img"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert all(
        address.startswith("#") for address in page.values("href") + page.values("xlink:href")
    )
    assert set(re.findall(r"url\((.)", source)) == {"#"}
    assert page.values("lang") == ["en"]
    assert "width=device-width, initial-scale=1" in page.values("content")


def test_the_content_policy_allows_only_the_pages_own_style_and_script(tmp_path):
    source = render([full(tmp_path)])
    page = Page(source)
    (policy,) = [
        content for content in page.values("content") if content.startswith("default-src 'none'")
    ]
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", source, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}';" in policy
    assert "unsafe" not in policy
    assert page.tags["style"] == 1
    assert page.values("style") == []  # neither in figures nor elsewhere
    assert page.tags["script"] == 2
    assert sorted(page.values("type")) == ["application/json"]


def test_the_page_holds_its_data_as_json(tmp_path):
    source = render([full(tmp_path)])
    (run,) = Page(source).data["runs"]
    assert run["run_id"] == "r1"
    assert (run["metrics"]["left_out"], run["measurements"]["left_out"]) == (0, 0)
    rows = [
        dict(zip(run["metrics"]["columns"], row, strict=True)) for row in run["metrics"]["rows"]
    ]
    (rate,) = (row for row in rows if row["metric"] == "tokens_per_s")
    assert (rate["value"], rate["case_id"], rate["unit"]) == (
        pytest.approx(10_000),
        TRAIN.case_id,
        "tokens/s",
    )
    assert len(run["measurements"]["rows"]) == 9
    assert run["cases"][TRAIN.case_id] == "gpt/train fp32"


def test_embedded_data_are_bounded_and_left_out_rows_counted(tmp_path):
    views = view_runs([full(tmp_path)])
    every = json.loads(embedded.data(views))["runs"][0]["measurements"]["rows"]
    (run,) = json.loads(embedded.data(views, most_bytes=1200))["runs"]
    assert 0 < len(run["measurements"]["rows"]) < 9
    assert run["measurements"]["rows"] == every[: len(run["measurements"]["rows"])]
    assert len(run["measurements"]["rows"]) + run["measurements"]["left_out"] == 9


def test_ids_are_unique_and_every_reference_has_its_target(tmp_path):
    source = render([full(tmp_path, "a"), full(tmp_path, "b", 0.001)])
    page = Page(source)
    ids = page.values("id")
    assert [name for name, times in Counter(ids).items() if times > 1] == []
    named = {name for names in page.values("aria-labelledby") for name in names.split()}
    targets = {
        *(address[1:] for address in page.values("href")),
        *re.findall(r"url\(#([^)]+)\)", source),
        *named,
    }
    assert targets <= set(ids)


def test_figures_are_named_and_take_the_colours_of_the_page(tmp_path):
    source = render([full(tmp_path)])
    page = Page(source)
    assert page.tags["svg"] == page.tags["figure"] == page.values("role").count("img") == 11
    drawings = "".join(page.drawings)
    assert not re.search(r"#0000[0-9a-f]{2}\b", drawings)
    assert drawings.count("<title id=") == drawings.count("<desc") == 11
    colours = set(re.findall(r"var\(--([\w-]+), (#\w{6})\)", drawings))
    root = re.search(r":root \{(.*?)\}", source, re.DOTALL)[1]
    assert colours <= set(re.findall(r"--([\w-]+): (#\w{6});", root))  # as in the light theme
    assert len(colours) > 5
    assert source.count("The figure's data") == 11
    assert "prefers-color-scheme: dark" in source
    assert "@media print" in source


def test_sections_and_navigation_have_the_same_order(tmp_path):
    source = render([full(tmp_path, "a"), full(tmp_path, "b")])
    order = [
        "validity",
        "machine",
        "comparison",
        "results",
        "steps",
        "spans",
        "roofline",
        "energy",
        "method",
    ]
    assert Page(source).sections == order
    assert Page(source).navigation == order


def test_a_profile_and_a_history_have_sections(tmp_path):
    runs = [full(tmp_path, name) for name in "abc"]
    runs = [replace(run, runs=run.runs.assign(label="nightly")) for run in runs]
    runs[2] = profiled(runs[2], GEMM, Profile(1, 1.0, 1.1, 10.0, "events were lost"))
    source = render(runs)
    found = Page(source).sections
    order = [
        "validity",
        "machine",
        "comparison",
        "results",
        "steps",
        "spans",
        "roofline",
        "waterfall",
        "energy",
    ]
    assert found == [*order, "history", "method"]
    assert Page(source).navigation == found
    assert "events were lost" in source


def test_of_many_cases_only_those_not_valid_have_badges(tmp_path):
    good, failed = measured(steps=10), Measurement("oom", "no memory left")
    few = stored(tmp_path, "few", (GEMM, good), (COPY, failed))
    assert "1 valid, 1 oom. valid gemm fp32 oom copy fp32" in Page(render([few])).text
    many = stored(
        tmp_path,
        "many",
        *((Case("gemm", {"n": n}, "fp32"), good) for n in range(41)),
        (COPY, failed),
    )
    (view,) = view_runs([many])
    assert validity.trust(view) == "41 valid, 1 oom"
    assert validity.badges(view) == [validity.Badge("copy fp32", "oom", "bad")]


def test_headings_descend_one_level_at_a_time(tmp_path):
    source = render([full(tmp_path, "a"), full(tmp_path, "b")])
    levels = Page(source).headings
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_same_runs_give_the_same_bytes(tmp_path):
    run = full(tmp_path)
    assert render([run, run]) == render([run, run])


def test_two_runs_stand_side_by_side_with_the_exact_ratio(tmp_path):
    page = Page(render([full(tmp_path, "cpu"), full(tmp_path, "gpu", step_s=0.001)]))
    faster, slower = "3.00\N{MULTIPLICATION SIGN}", "0.333\N{MULTIPLICATION SIGN}"
    # nothing varies, so the intervals have no width
    twice = (f"{faster} to {faster}", f"{slower} to {slower}")
    row = [
        "gpt/train fp32",
        "Tokens per second",
        "10,000 tokens/s",
        "30,000 tokens/s",
        faster + twice[0],
    ]
    assert row in page.rows
    assert ["Step, p50", "3.000 ms", "1.000 ms", slower + twice[1]] in page.rows
    assert f"B has {faster} the throughput of A in the 3 cases they share" in page.text
    assert "In 3 of them the 95 % interval excludes 1×." in page.text
    assert "A: Fake device (cpu)" in page.rows[0]  # the same device twice: told apart by their ids


def test_ratios_have_their_interval_where_both_sides_have_processes():
    slow, fast = (
        [[step_s] * 4 for step_s in times] for times in ((1.0, 1.1, 0.9), (0.5, 0.55, 0.45))
    )
    runs = [
        run_of((TRAIN, times), run_id=name)
        for name, times in (("a", slow), ("b", fast), ("c", fast[:1]))
    ]
    found = ratio_intervals(view_runs(runs))
    change = stats.change([1.0, 1.1, 0.9], [0.5, 0.55, 0.45])
    assert found == {
        (1, TRAIN.case_id, "step_s_p50"): (pytest.approx(change.low), pytest.approx(change.high))
    }
    page = Page(render(runs[:2]))
    low, high = (f"{end:.3f}\N{MULTIPLICATION SIGN}" for end in (change.low, change.high))
    assert [
        "gpt/train fp32",
        "Step, p50",
        "1.000 s",
        "500.0 ms",
        f"0.500\N{MULTIPLICATION SIGN}{low} to {high}",
    ] in page.rows


def test_many_runs_make_a_page_with_a_verdict_in_a_sentence():
    runs = [
        with_measurements(
            run_of((TRAIN, around(1 + i / 100, processes=2)), run_id=f"r{i}"), TRAIN, tokens=100
        )
        for i in range(12)
    ]
    source = render(runs)
    page = Page(source)
    assert (
        "Of 11 runs beside A, B has the highest throughput, 0.990\N{MULTIPLICATION SIGN} "
        "that of A, and L the" in page.text
    )
    assert "A has" not in page.text
    assert page.text.count("the throughput of A in the 1 case they share") == 11
    (row,) = (row for row in page.rows if row[:2] == ["gpt/train fp32", "Tokens per second"])
    assert len(row) == 14
    assert row[3].startswith("99.0")
    assert max(map(len, page.rows)) == 14  # ratios stand under the values
    assert len(source.encode()) < 1_000_000


def test_cases_that_only_one_run_has_are_listed(tmp_path):
    first = stored(tmp_path, "a", (TRAIN, measured()), (GEMM, measured()))
    second = stored(
        tmp_path, "b", (TRAIN, measured()), (COPY, Measurement("oom", "no memory left"))
    )
    page = Page(render([first, second]))
    assert ["gemm fp32", "ok", "not in this run"] in page.rows
    assert ["copy fp32", "not in this run", "oom"] in page.rows
    assert ["copy fp32", "No figures", "not in this run", "oom", "n.a."] in page.rows
    assert ["copy fp32", "oom", "no memory left"] in page.rows


def test_runs_without_a_common_case_say_so(tmp_path):
    page = Page(
        render(
            [stored(tmp_path, "a", (GEMM, measured())), stored(tmp_path, "b", (COPY, measured()))]
        )
    )
    assert "These runs have no case in common that was measured in two of them" in page.text
    assert "B and A have no case whose throughput can be compared." in page.text
    assert ["gemm fp32", "ok", "not in this run"] in page.rows


def test_failures_are_listed_with_their_reason(tmp_path):
    unsupported, failed = Measurement("unsupported", "no fp8 here"), Measurement("error", "boom")
    page = Page(
        render([stored(tmp_path, "r1", (GEMM, measured()), (COPY, unsupported), (TRAIN, failed))])
    )
    assert ["copy fp32", "unsupported", "no fp8 here"] in page.rows
    assert ["gpt/train fp32", "error", "boom"] in page.rows
    assert "1 case failed: gpt/train fp32." in page.text
    assert "1 case could not run here: copy fp32." in page.text
    assert "not complete" not in page.text


def test_a_loss_that_is_not_finite_is_shown_as_invalid(tmp_path):
    broken = measured(notes=["loss_not_finite: the loss was nan after 12 steps"])
    page = Page(
        render([stored(tmp_path, "a", (TRAIN, broken)), stored(tmp_path, "b", (TRAIN, measured()))])
    )
    assert "1 case gave invalid figures: gpt/train fp32." in page.text
    assert ["the loss was nan after 12 stepsloss_not_finite", "invalid", "gpt/train fp32"] in [
        row[:3] for row in page.rows
    ]
    assert "void" in page.values("class")
    assert "n.a." in page.text


def test_doubts_without_a_note_are_put_in_words(tmp_path):
    measurement = measured(steps=10)
    cut = Measurement(
        "ok",
        work=measurement.work,
        window=Window(**vars(measurement.window) | {"converged": False}),
    )
    page = Page(render([stored(tmp_path, "r1", (TRAIN, cut), processes=2)]))
    assert "Measure in 3 processes or more" in page.text
    assert "Only 2 processes" in page.text
    assert (
        "1 case is wide (± 0 %, asked for ± 1.0 %): gpt/train fp32. Measure in 3 processes or more"
        in page.text
    )


def run_of_widths(tmp_path, *notes):
    """A run of 3 processes: gemm valid, copy wide, gpt/train wide with these notes."""
    writer = make_run(tmp_path, "widths", [GEMM, COPY, TRAIN], policy=Policy(processes=3))
    for process, factor in enumerate([0.98, 1.0, 1.02]):
        writer.add(GEMM, process, measured(steps=10))
        writer.add(COPY, process, measured(step_s=0.003 * factor**2, steps=10))
        writer.add(TRAIN, process, measured(step_s=0.003 * factor, steps=10, notes=list(notes)))
    return read_run(writer.folder)


def test_wide_cases_have_their_half_width_and_its_cure_at_the_top(tmp_path):
    page = Page(render([run_of_widths(tmp_path)]))
    assert "1 valid, 2 wide (± 5.0–10 %)." in page.text
    assert (
        "2 cases are wide (± 5.0–10 %, asked for ± 1.0 %): copy fp32; gpt/train fp32. "
        "Allow more time or processes" in page.text
    )
    assert "read with care" not in page.text
    assert "valid gemm fp32 wide ± 10 % copy fp32 wide ± 5.0 % gpt/train fp32" in page.text
    assert [
        "The interval is wider than the precision asked for.not_converged",
        "wide± 5.0–10 %",
    ] in [row[:2] for row in page.rows]


def test_a_wide_case_is_neither_good_nor_a_warning(tmp_path):
    page = Page(render([run_of_widths(tmp_path)]))
    tones = [
        name
        for value in page.values("class")
        for name in value.split()
        if name in ("good", "note", "warn", "bad")
    ]
    assert set(tones) == {"good", "note"}


def test_a_doubt_of_the_value_comes_before_a_wide_interval(tmp_path):
    run = run_of_widths(tmp_path, "foreign_load: others used 20% of the CPU")
    page = Page(render([run]))
    assert "1 valid, 1 wide (± 10 %), 1 suspect." in page.text
    assert "1 case gave figures to be read with care: gpt/train fp32." in page.text
    assert "1 case is wide (± 10 %, asked for ± 1.0 %): copy fp32." in page.text
    (view,) = view_runs([run])
    doubts = {row[0].sub: (row[1].text, row[1].sub) for row in validity.notes(view).rows}
    assert doubts == {"foreign_load": ("suspect", ""), "not_converged": ("wide", "± 5.0–10 %")}


def test_of_many_cases_the_worst_badges_come_first(tmp_path):
    shapes = [Case("gemm", {"n": n}, "fp32") for n in range(40)]
    writer = make_run(tmp_path, "many", [COPY, *shapes, TRAIN], policy=Policy(processes=2))
    for process in range(2):
        for case in (COPY, *shapes):
            writer.add(case, process, measured(steps=10))
        writer.add(TRAIN, process, measured(notes=["throttled: hot"]))
    (view,) = view_runs([read_run(writer.folder)])
    assert [badge.word for badge in validity.badges(view)][:2] == ["suspect", "wide ± 0 %"]


@pytest.mark.parametrize("processes", [0, 1])
def test_a_killed_run_still_gives_a_page(tmp_path, processes):
    writer = make_run(tmp_path, "r1", [GEMM, TRAIN])
    for process in range(processes):
        writer.add(GEMM, process, measured())
    run = read_run(writer.folder)
    page = Page(render([run]))
    assert f"This run is not complete: {processes} of 4 processes stored." in page.text
    assert [
        "gpt/train fp32",
        "missing",
        "Nothing stored: the run ended before its turn.",
    ] in page.rows
    assert "no case in common" in Page(render([run, run])).text or processes


def test_one_step_makes_a_page(tmp_path):
    page = Page(render([stored(tmp_path, "r1", (TRAIN, measured(steps=1)), processes=1)]))
    assert [
        "gpt/train fp32",
        "1",
        "1",
        "3.000 ms",
        "3.000 ms",
        *["\N{EN DASH}"] * 3,
        "3.000 ms",
    ] in page.rows


@pytest.mark.parametrize("samples", [50_000, pytest.param(500_000, marks=pytest.mark.slow)])
def test_many_samples_make_a_small_page(samples, tmp_path):
    times = np.random.default_rng(0).lognormal(-6, 0.1, samples)
    page = render([stored(tmp_path, "r1", (TRAIN, timed(times)), processes=2)])
    assert f"{2 * samples:,}" in page
    assert len(page.encode()) < 150_000


def test_many_cases_and_processes_stay_below_two_megabytes(tmp_path):
    cases = [
        Case("gemm", {"n": n, "layout": "a rather long word to say"}, "fp32") for n in range(50)
    ]
    run = stored(
        tmp_path,
        "r1",
        *((case, timed(np.linspace(0.001, 0.002, 300))) for case in cases),
        processes=2,
    )
    source = render([run])
    assert "Drawn for the first 40 cases; the table has all 50." in Page(source).text
    assert len(source.encode()) < 2_000_000


def test_nothing_that_comes_from_data_is_markup(tmp_path):
    case = Case(EVIL, {EVIL: EVIL, "other": 1}, EVIL)
    twin = Case(EVIL, {EVIL: EVIL, "other": 2}, EVIL)
    environment = {
        EVIL: {EVIL: [EVIL, {EVIL: None}]},
        "os": EVIL,
        "git": {"commit": EVIL, "dirty": True},
    }
    plan = {
        "policy": vars(Policy(processes=1)),
        "cases": [vars(c) | {"case_id": c.case_id} for c in (case, twin)],
    }
    started_at = "2026-11-24T08:00:00+00:00"
    argv = ["hwbench", EVIL, "\udcff"]
    run = Run("evil", started_at, EVIL, EVIL, EVIL, environment, argv, plan)
    writer = Writer(tmp_path, run)
    spans = Spans(
        [0, 0], [EVIL, "_hidden \N{SNOWMAN} \N{CJK UNIFIED IDEOGRAPH-4E2D}"], [0, 1], [0.5, 0.4]
    )
    window = Window("host", Samples([0], [False], [0], [1.0], [""]), spans, 1.0, True)
    writer.add(
        case, 0, Measurement("ok", work=Work(1, 1, 1), window=window, notes=[f"{EVIL}: {EVIL}"])
    )
    writer.add(twin, 0, Measurement("error", EVIL))
    run = read_run(writer.folder)
    for source in (render([run]), render([run, run])):
        page = Page(source)
        assert page.tags["script"] == 2  # the page's data and its own
        assert Page(source).data["runs"][0]["argv"][1] == EVIL
        assert not {"<", ">", "&"} & set(embedded.data(view_runs([run])))
        assert not [name for name, _ in page.attributes if name.startswith("on")]
        assert "{{7*7}}" in page.text
        assert "49" not in page.text
        assert len(re.findall(re.escape(EVIL), page.text)) > 20
        source.encode()  # a lone surrogate could not be


def test_nothing_in_the_page_is_invisible_and_its_data_are_exact():
    hidden = "a\x1b[2J\x9b\x7f\u202e\u200b##[add-mask]"
    run = run_of((Case(hidden, {}, "fp32"), around(1.0)), device=hidden, label=hidden)
    source = render([run])
    assert printable(source, keep="\n") == source
    assert printable(hidden) in Page(source).text
    assert Page(source).data["runs"][0]["device_name"] == hidden


def test_a_partition_says_why_it_has_no_peak():
    run = run_of((TRAIN, [[1.0] * 10] * 3), device="NVIDIA A100-SXM4-40GB MIG 3g.20gb")
    ((told,),) = [row[1:] for row in Page(render([run])).rows if row[0] == "Held against"]
    assert told.startswith("no known peak: NVIDIA A100-SXM4-40GB MIG 3g.20gb")


def test_every_key_of_the_environment_is_shown(tmp_path):
    environment = {
        "cpu": {"name": "A CPU", "cores": 2, "logical_cores": 4},
        "memory_bytes": 2**34,
        "nvidia": None,
        "packages": {"torch": "2.13.0"},
        "git": {"commit": "abc", "dirty": True},
        "novel": {"list": [1, 2], "flag": False, "empty": {}},
    }
    plan = {"policy": vars(Policy()), "cases": []}
    writer = Writer(
        tmp_path,
        Run("r1", "2026-11-24T08:00:00Z", "", "cpu", "A CPU", environment, ["hwbench"], plan),
    )
    page = Page(render([read_run(writer.folder)]))
    for row in (
        ["CPU", "A CPU"],
        ["Cores", "2 (4 logical)"],
        ["Memory", "16.00 GiB (17,179,869,184 bytes)"],
        ["PyTorch", "2.13.0"],
        ["Git", "abc, with uncommitted changes"],
        ["Driver", "unknown"],
        ["nvidia", "unknown"],
        ["novel.list", "1, 2"],
        ["novel.flag", "no"],
        ["novel.empty", "none"],
    ):
        assert row in page.rows


def test_machines_show_where_they_differ(tmp_path):
    page = Page(render([full(tmp_path, "a"), full(tmp_path, "b")]))
    assert ["Rundiffers", "a", "b"] in page.rows
    assert ["Device", "Fake device (fake)", "Fake device (fake)"] in page.rows


def test_a_page_without_runs_raises_value_error():
    with pytest.raises(ValueError, match="at least one run"):
        render([])
