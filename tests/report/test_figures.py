"""Figures for papers: which files there are, what stands in them, and what cannot be drawn."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from browser.pages import faster, odd_texts, quick
from profiles import training
from runs import CASE, OTHER, around, frame, profiled, run_of, with_measurements

from hwbench.records import Case, UserError
from hwbench.report.charts.ticks import log_ticks, ratio_ticks
from hwbench.report.figures.export import export, pictures
from hwbench.report.figures.style import publication_style
from hwbench.report.view import view_runs

BATCHES = [Case("gpt/train", {"size": "nano", "batch": 2**n}, "fp32") for n in range(4)]


def swept():
    run = run_of(*((case, around(0.001, 0.02, processes=3)) for case in BATCHES))
    tokens = {case.case_id: 30 * int(case.params["batch"]) for case in BATCHES}
    return replace(
        run, measurements=run.measurements.assign(tokens=run.measurements.case_id.map(tokens))
    )


def texts(path: Path) -> str:
    """All words of an SVG."""
    return " ".join(ElementTree.parse(path).getroot().itertext())


def names(runs) -> list[str]:
    return [picture.name for picture in pictures(view_runs(runs))]


def test_each_figure_is_a_file_named_for_figure_and_case(tmp_path):
    paths = list(export([swept()], tmp_path / "new" / "folder", ["png", "pdf"]))
    assert [path.name for path in paths][:2] == [
        "throughput-tokens-per-s.png",
        "throughput-tokens-per-s.pdf",
    ]
    assert "steps-gpt-train-batch-1-fp32.png" in [path.name for path in paths]
    assert "sweep-gpt-train-size-nano-fp32-over-batch.pdf" in [path.name for path in paths]
    assert all(path.read_bytes()[:5] in (b"\x89PNG\r", b"%PDF-") for path in paths)


def test_an_svg_holds_its_texts_as_text(tmp_path):
    list(export([quick()], tmp_path, ["svg"]))
    assert "gpt/prefill bf16" in texts(tmp_path / "throughput-tokens-per-s.svg")
    assert "arithmetic intensity, FLOP per byte" in texts(tmp_path / "roofline-bf16.svg")
    assert "process 0" in texts(tmp_path / "steps-gemm-fp32.svg")


def test_several_runs_have_ratios_and_figures_of_their_own(tmp_path):
    runs = [quick(), faster(3, "Fast device")]
    list(export(runs, tmp_path, ["svg"]))
    assert "multiple of A: AMD EPYC" in texts(tmp_path / "throughput-ratios.svg")
    assert "B: Fast device" in texts(tmp_path / "throughput-tokens-per-s.svg")
    assert "Roofline, bf16, B: Fast device" in texts(tmp_path / "roofline-b-bf16.svg")


def test_a_profile_has_its_waterfall_and_its_memory():
    run = run_of((BATCHES[0], around(1.0)))
    assert f"memory-{BATCHES[0].workload} fp32" in names([profiled(run, BATCHES[0], training())])


def test_runs_of_one_label_have_their_history():
    runs = [
        run_of(
            (CASE, around(1.0 if n < 8 else 1.1, 0.01, processes=3)),
            run_id=f"r{n}",
            label="main",
            started_at=f"2026-11-24T08:{n:02}:00+00:00",
        )
        for n in range(16)
    ]
    assert names(runs)[-1] == "history-gpt/train fp32"


def test_power_is_drawn_where_it_was_read():
    rows = [
        {"run_id": "r", "case_id": CASE.case_id, "process": 0, "time_ns": 10**9 * second}
        | {"meter": "nvml", "scope": "gpu:0", "quantity": "power", "unit": "W", "value": 100.0}
        for second in range(3)
    ]
    run = replace(run_of((CASE, [[1.0] * 3])), telemetry=frame("telemetry", rows))
    assert "power-gpt/train fp32" in names([run])


def test_the_same_runs_give_the_same_files(tmp_path):
    for folder in "ab":
        list(export([swept()], tmp_path / folder, ["png", "svg", "pdf"]))
    files = sorted((tmp_path / "a").iterdir())
    assert all(file.read_bytes() == (tmp_path / "b" / file.name).read_bytes() for file in files)


def test_whatever_the_names_the_files_have_plain_names(tmp_path):
    paths = list(export([odd_texts()], tmp_path, ["svg"]))
    assert len({path.name for path in paths}) == len(paths)
    assert all(path.parent == tmp_path for path in paths)
    assert all(path.name.isascii() for path in paths)
    assert not {"<", "/", " "} & set("".join(path.name for path in paths))


@pytest.mark.parametrize("times", [[0.0, 0.0], [1e-300, 1.0], [1e300, 1e300], [5e-324]])
def test_extreme_times_are_drawn(times):
    run = with_measurements(run_of((CASE, [times]), (OTHER, [[1.0]])), CASE, tokens=30)
    with publication_style():
        for picture in pictures(view_runs([run])):
            picture.draw()


def test_nothing_to_draw_is_an_error(tmp_path):
    with pytest.raises(UserError, match="nothing to draw"):
        list(export([run_of(planned=[CASE])], tmp_path, ["png"]))
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match=str(place)):
            list(export([swept()], place, ["png"]))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.5, 2000, [1, 10, 100, 1000]),
        (1.5, 40, [2, 5, 10, 20]),
        (1e-12, 1e12, [1e-12, 1e-8, 1e-4, 1, 1e4, 1e8, 1e12]),
        (3, 3.5, [3.0, 3.2, 3.4]),
    ],
)
def test_logarithmic_ticks_are_round_and_few(low, high, expected):
    assert log_ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 0, [1]),
        (-0.3, 0.5, [1, 2]),
        (-0.5, 0.7, [0.5, 1, 2, 5]),
        (0, 2.3, [1, 10, 100]),
        (0, 0.1, [1, 1.1, 1.2]),
    ],
)
def test_ticks_of_ratios_have_their_one(low, high, expected):
    assert ratio_ticks(low, high) == pytest.approx(expected, abs=0.06)
