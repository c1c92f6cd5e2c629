import pytest
from profiles import memory_row, module_row, op, profile_of, run_with, training

from hwbench.analysis.profile.operators import profiled_case
from hwbench.analysis.profile.tables import HOLDERS, memory, modules, spans, thinned


def of(function, *profiles):
    run = run_with(*profiles)
    return function(run, profiled_case(run))


def test_spans_are_without_the_profilers_cost_and_keep_their_order():
    """0.2 s for 100,000 events: 2 µs each."""
    rows = [
        op("forward", 0.7, level="span", span="forward", events=5e4),
        op("", 0.1, level="span", span="", events=6e4),
        op("backward", 0.4, level="span", span="backward", events=0.0),
    ]
    found = of(spans, profile_of(rows, profiled_s=1.2, events=1e5))
    assert found.span.tolist() == ["forward", "", "backward"]
    assert found.seconds.tolist() == pytest.approx([0.6, 0.0, 0.4])
    assert found.share.tolist() == pytest.approx([0.6, 0.0, 0.4])


def test_modules_that_differ_only_in_numbers_are_one_row():
    rows = [
        module_row("GPT", "GPT", 0.3, 0.3),
        module_row("blocks.0", "Block", 0.1, 0.1),
        module_row("blocks.11", "Block", 0.1, 0.2),
        module_row("blocks.0.norm_1", "LayerNorm", 0.01, 0.0),
        module_row("blocks.1.norm_1", "LayerNorm", 0.02, 0.0),
        module_row("blocks.1.norm_2", "LayerNorm", 0.04, 0.0),
    ]
    found = of(modules, profile_of(modules=rows, profiled_s=2.0))
    assert found.module.tolist() == ["GPT", "blocks.*", "blocks.*.norm_2", "blocks.*.norm_1"]
    assert found.modules.tolist() == [1, 2, 1, 2]
    assert found.seconds.tolist() == pytest.approx([0.6, 0.5, 0.04, 0.03])
    assert found.share.tolist() == pytest.approx([0.3, 0.25, 0.02, 0.015])
    assert found.calls.tolist() == [1, 2, 1, 2]


def test_modules_are_medians_over_processes():
    several = [
        profile_of(modules=[module_row("GPT", "GPT", seconds, 0.0)]) for seconds in (0.1, 0.2, 0.9)
    ]
    assert of(modules, *several).seconds.tolist() == [0.2]


def test_memory_is_of_one_process_and_has_a_total():
    rows = [memory_row(1, "b", weights=4, temporary=3), memory_row(0, "a", weights=4, other=1)]
    found = of(memory, profile_of(), profile_of(memory=rows))
    assert found["name"].tolist() == ["a", "b"]
    assert found.total_bytes.tolist() == [5, 7]
    assert len(HOLDERS) == 6
    assert of(memory, profile_of()).empty


@pytest.mark.parametrize("rows", [1, 7, 8, 1000])
def test_a_long_step_is_thinned_and_keeps_its_peak(rows):
    held = [
        memory_row(i, "x", weights=1, temporary=5 if i == rows * 2 // 3 else 0) for i in range(rows)
    ]
    found = thinned(of(memory, profile_of(memory=held)), 7)
    assert len(found) == min(rows, 7)
    assert found.total_bytes.max() == 6
    assert found.position.is_monotonic_increasing


def test_a_profile_without_modules_and_memory_has_empty_tables():
    assert of(spans, profile_of()).empty
    assert of(modules, profile_of()).empty
    assert not of(spans, training()).empty
