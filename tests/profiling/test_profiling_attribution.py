"""One step made by hand, 100 µs long: a linear layer forward, its backward on another thread, an
update."""

import json

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


def test_operators_are_those_that_do_the_work_with_span_module_and_direction():
    _, found = profiled()
    assert [(r["name"], r["span"], r["module"], r["backward"]) for r in rows(found)] == [
        ("aten::add", "forward", "block", False),
        ("aten::t", "forward", "block.up", False),
        ("aten::addmm", "forward", "block.up", False),
        ("aten::_fused_adamw_", "optimizer", "", False),
        ("aten::mm", "backward", "block.up", True),
    ]


def test_an_operator_has_the_time_and_the_events_of_what_it_calls():
    _, found = profiled()
    addmm = rows(found)[2]
    assert addmm["seconds"] == pytest.approx(24e-6)
    assert (addmm["calls"], addmm["events"], addmm["flops"], addmm["bytes"]) == (1, 2, 2, 3)
    assert addmm["shapes"] == "[[8], [4, 4], [4, 8]]"


def test_long_lists_of_shapes_are_cut_and_say_so():
    assert json.loads(rows(profiled()[1])[3]["shapes"])[-1] == "and 12 more"


def test_alike_calls_of_all_steps_become_one_row_of_one_step():
    later = [
        Event(
            **{
                **vars(e),
                "start_ns": e.start_ns + 100 * US,
                "end_ns": e.end_ns + 100 * US,
                "sequence": e.sequence + 90,
            }
        )
        if e.sequence >= 0
        else Event(**{**vars(e), "start_ns": e.start_ns + 100 * US, "end_ns": e.end_ns + 100 * US})
        for e in EVENTS
    ]
    once, twice = rows(profiled()[1]), rows(profiled([*EVENTS, *later], count=2)[1])
    assert [row["name"] for row in twice] == [row["name"] for row in once]
    for before, after in zip(once, twice, strict=True):
        assert after["seconds"] == pytest.approx(before["seconds"])
        assert (after["calls"], after["flops"]) == (before["calls"], before["flops"])


def test_what_is_not_known_stays_null():
    assert rows(profiled(cost=lambda event: (None, None))[1])[0]["flops"] is None


def test_on_an_accelerator_the_seconds_are_its_kernels():
    _, found = profiled(device_s=lambda call: 5e-6)
    assert (rows(found)[2]["seconds"], rows(found)[2]["host_s"]) == (5e-6, pytest.approx(24e-6))


def test_spans_cut_the_step_at_its_marks_and_the_rest_has_no_name():
    _, found = profiled()
    before = len(found.level)
    add_spans(EVENTS, Steps(EVENTS), found)
    added = rows(found)[before:]
    assert {r["name"]: round(r["seconds"] * 1e6, 6) for r in added} == {
        "forward": 40, "backward": 20, "optimizer": 35, "": 5,
    }  # fmt: skip
    assert sum(r["events"] for r in added) == len(EVENTS) - 1


def test_a_module_has_its_own_time_and_that_of_those_within():
    _, found = profiled()
    events = [annotation(0.5, 39.5, MODULE + "Model"), *EVENTS]
    by_name = {r["module"]: r for r in rows(tabulate_modules(events, found, KINDS, 1))}
    micro = {
        name: [round(r[c] * 1e6, 6) for c in ("self_forward_s", "forward_s", "backward_s")]
        for name, r in by_name.items()
    }
    assert micro == {"Model": [0, 29, 12], "block": [4, 29, 12], "block.up": [25, 25, 12]}
    assert (by_name["block"]["kind"], by_name["block"]["calls"], by_name["block"]["flops"]) == (
        "Block",
        1,
        8,
    )


def test_a_compiled_graph_is_what_it_does_itself_beside_the_operators_that_it_calls():
    events = [
        annotation(0, 100, STEP),
        at(5, 90, "CompiledFunction"),
        annotation(10, 80, "## Call CompiledFxGraph fynp ##"),
        at(20, 50, "aten::addmm"),
        at(21, 22, "aten::copy_"),
    ]
    found = {row["name"]: row for row in rows(profiled(events)[1])}
    assert {name: round(row["seconds"] * 1e6, 6) for name, row in found.items()} == {
        "(compiled code)": 40,
        "aten::addmm": 30,
    }
    assert {name: row["events"] for name, row in found.items()} == {
        "(compiled code)": 1,
        "aten::addmm": 2,
    }


def test_under_autocast_the_dtype_is_that_of_what_was_computed():
    events = [
        annotation(0, 100, STEP),
        at(10, 50, "aten::mm", shapes=((4, 4), (4, 4)), dtype="fp32"),
        at(11, 15, "aten::_to_copy", shapes=((4, 4),), dtype="fp32"),
        at(20, 49, "aten::mm", shapes=((4, 4), (4, 4)), dtype="bf16"),
    ]
    (row,) = rows(profiled(events)[1])
    assert (row["dtype"], round(row["seconds"] * 1e6, 6)) == ("bf16", 40)
