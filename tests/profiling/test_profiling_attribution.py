"""A step of 100 µs made by hand: a linear layer forward, its backward on another thread, an
update."""

import json
from dataclasses import replace

import pytest

from hwbench.profiling.attribution import Steps, find_calls
from hwbench.profiling.events import AUTOGRAD, MARK, MODULE, STEP, Event
from hwbench.profiling.tables import add_spans, tabulate_modules, tabulate_operators

US = 1_000


def at(start, end, name, **columns):
    return Event(name, start * US, end * US, **columns)


def annotation(start, end, name):
    return at(start, end, name, activity="user_annotation")


EVENTS = [
    annotation(0, 100, STEP),
    annotation(1, 39, MODULE + "block"),
    at(2, 6, "aten::add", sequence=10, shapes=((4, 4),), dtype="fp32"),
    annotation(7, 38, MODULE + "block.up"),
    at(8, 36, "aten::linear", composite=True, sequence=11),
    at(9, 10, "aten::t", sequence=11),
    at(11, 35, "aten::addmm", sequence=12, shapes=((8,), (4, 4), (4, 8)), dtype="fp32"),
    at(12, 13, "aten::copy_"),
    annotation(40, 40, MARK + "forward"),
    at(42, 58, AUTOGRAD + "AddmmBackward0", thread=2, forward_thread=1, sequence=12),
    at(43, 57, "AddmmBackward0", thread=2, forward_thread=1, sequence=12),
    at(44, 56, "aten::mm", thread=2, shapes=((4, 8), (8, 4)), dtype="fp32"),
    annotation(60, 60, MARK + "backward"),
    at(61, 90, "aten::_fused_adamw_", shapes=((4, 8),) * 20),
    annotation(95, 95, MARK + "optimizer"),
]
KINDS = {"Model": "Model", "block": "Block", "block.up": "Linear"}


def rows(table):
    columns = vars(table)
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def profiled(events=EVENTS, count=1, cost=lambda event: (2.0, 3.0), device_s=None):
    steps = Steps(events)
    called = find_calls(events, steps)
    return called, tabulate_operators(called, count, cost, device_s)


def test_working_operators_have_span_module_and_direction():
    _, found = profiled()
    assert [(r["name"], r["span"], r["module"], r["backward"]) for r in rows(found)] == [
        ("aten::add", "forward", "block", False),
        ("aten::t", "forward", "block.up", False),
        ("aten::addmm", "forward", "block.up", False),
        ("aten::_fused_adamw_", "optimizer", "", False),
        ("aten::mm", "backward", "block.up", True),
    ]


def test_operator_includes_time_and_events_of_what_it_calls():
    _, found = profiled()
    addmm = rows(found)[2]
    assert addmm["seconds"] == pytest.approx(24e-6)
    assert (addmm["calls"], addmm["events"], addmm["flops"], addmm["bytes"]) == (1, 2, 2, 3)
    assert addmm["shapes"] == "[[8], [4, 4], [4, 8]]"


def test_long_list_of_shapes_is_cut():
    assert json.loads(rows(profiled()[1])[3]["shapes"])[-1] == "and 12 more"


def test_like_calls_of_all_steps_become_one_row_per_step():
    later = []
    for event in EVENTS:
        times = {"start_ns": event.start_ns + 100 * US, "end_ns": event.end_ns + 100 * US}
        number = event.sequence + 90 if event.sequence >= 0 else event.sequence
        later.append(replace(event, **times, sequence=number))
    once, twice = rows(profiled()[1]), rows(profiled([*EVENTS, *later], count=2)[1])
    assert [row["name"] for row in twice] == [row["name"] for row in once]
    for before, after in zip(once, twice, strict=True):
        assert after["seconds"] == pytest.approx(before["seconds"])
        assert (after["calls"], after["flops"]) == (before["calls"], before["flops"])


def test_unknown_cost_stays_none():
    assert rows(profiled(cost=lambda event: (None, None))[1])[0]["flops"] is None


def test_seconds_on_accelerator_are_those_of_kernels():
    _, found = profiled(device_s=lambda call: 5e-6)
    assert (rows(found)[2]["seconds"], rows(found)[2]["host_s"]) == (5e-6, pytest.approx(24e-6))


def test_spans_end_at_marks_and_the_rest_has_no_name():
    _, found = profiled()
    before = len(found.level)
    add_spans(EVENTS, Steps(EVENTS), found)
    added = rows(found)[before:]
    assert {r["name"]: round(r["seconds"] * 1e6, 6) for r in added} == {
        "forward": 40, "backward": 20, "optimizer": 35, "": 5,
    }  # fmt: skip
    assert sum(r["events"] for r in added) == len(EVENTS) - 1


def test_module_has_its_own_time_and_that_of_its_children():
    _, found = profiled()
    events = [annotation(0.5, 39.5, MODULE + "Model"), *EVENTS]
    by_name = {r["module"]: r for r in rows(tabulate_modules(events, found, KINDS, 1))}
    columns = ("self_forward_s", "forward_s", "backward_s")
    micro = {name: [round(row[c] * 1e6, 6) for c in columns] for name, row in by_name.items()}
    assert micro == {"Model": [0, 29, 12], "block": [4, 29, 12], "block.up": [25, 25, 12]}
    block = by_name["block"]
    assert (block["kind"], block["calls"], block["flops"]) == ("Block", 1, 8)


def test_compiled_graph_excludes_operators_that_it_calls():
    events = [
        annotation(0, 100, STEP),
        at(5, 90, "CompiledFunction"),
        annotation(10, 80, "## Call CompiledFxGraph fynp ##"),
        at(20, 50, "aten::addmm"),
        at(21, 22, "aten::copy_"),
    ]
    found = {row["name"]: row for row in rows(profiled(events)[1])}
    micro = {name: round(row["seconds"] * 1e6, 6) for name, row in found.items()}
    assert micro == {"(compiled code)": 40, "aten::addmm": 30}
    events_of = {name: row["events"] for name, row in found.items()}
    assert events_of == {"(compiled code)": 1, "aten::addmm": 2}


def test_dtype_under_autocast_is_that_of_computation():
    events = [
        annotation(0, 100, STEP),
        at(10, 50, "aten::mm", shapes=((4, 4), (4, 4)), dtype="fp32"),
        at(11, 15, "aten::_to_copy", shapes=((4, 4),), dtype="fp32"),
        at(20, 49, "aten::mm", shapes=((4, 4), (4, 4)), dtype="bf16"),
    ]
    (row,) = rows(profiled(events)[1])
    assert (row["dtype"], round(row["seconds"] * 1e6, 6)) == ("bf16", 40)
