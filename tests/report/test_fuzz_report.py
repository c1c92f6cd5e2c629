"""The page of whatever tables may hold: sound HTML that fetches nothing, in which all that comes
from data is text."""

import json
import math
import warnings
from dataclasses import replace

import pytest
from html_page import HTML, SoundPage
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st
from runs import around, frame, measurement, profiled, run_of, samples_of

from hwbench.analysis.metrics.validity import REASONS
from hwbench.records import OUTCOMES, Case, UserError
from hwbench.records.profile import Gaps, MemoryUse, Modules, Ops, Profile
from hwbench.report.page.html import render
from hwbench.tables.integrity import check_run
from hwbench.tables.run import RunTables

HOSTILE = [
    "<b id=pwn>",
    "<script>document.title='pwn'</script>",
    "</style></title></script><b id=pwn>",
    "\"'><img src=//pwn.example/x onerror=pwn()>",
    "]]><b id=pwn>",
    "--><b id=pwn><!--",
    "{{7*7}}{% raw %}",
    "$x_1$ \\frac{1} %s {0}",
    "&lt;b&#0;&amp",
    "url(//pwn.example) @import '//pwn.example'",
    "\u202eright to left \u05d0\u0628",
    "\N{FACE WITH TEARS OF JOY}\u200d\N{FIRE}\ufe0f\u0301",
    "\x00\x08\x0b\x1b[31m\x7f\x85\ufffe\uffff",
    "a\r\nb\tc\u2028d\xa0",
    " ",
    "\N{CJK UNIFIED IDEOGRAPH-8A9E}" * 40,
    "w" * 300,
]
texts = st.one_of(st.sampled_from(HOSTILE), st.sampled_from(HOSTILE), st.text(max_size=12))
names = texts.filter(bool)
# a file name that is no UTF-8, escaped in JSON
in_json = st.one_of(texts, st.sampled_from(["\ud800", "\udcff.py"]))
odd = st.sampled_from([0.0, -1.0, math.nan, math.inf, -math.inf, 1e300, -1e300, 5e-324, None])
figures = st.one_of(st.floats(1e-6, 1e12), odd)
amounts = st.sampled_from([None, 0, 1, 30, 2**40, 2**63 - 1])
seconds = st.one_of(st.floats(1e-6, 1e3), st.sampled_from([1.0, 1.0, 1.001, 0.0, 5e-324, 1e300]))
processes = st.lists(st.lists(seconds, min_size=1, max_size=6), max_size=3)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats() | in_json,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(in_json, inner, max_size=2),
    max_leaves=6,
)
environments = st.dictionaries(
    st.sampled_from(["memory_bytes", "os", "packages", "driver", "python"]) | in_json,
    anything,
    max_size=4,
)
params = st.dictionaries(
    st.sampled_from(["n", "batch"]) | texts,
    st.sampled_from([1, 2, 4]) | st.floats() | texts,
    max_size=2,
)
known = st.sampled_from(
    [Case("gpt/train", {"size": "nano", "batch": n}, "fp32") for n in (1, 2, 4)]
)
cases = known | known | st.builds(Case, names, params, names)
notes = st.lists(
    st.builds("{}: {}".format, st.sampled_from(list(REASONS)), texts) | in_json, max_size=2
)


@st.composite
def runs(draw) -> RunTables:
    """A run that the store would read: any times, texts, outcomes and missing parts; some as an
    older schema left it, some still being written."""
    measured = [
        (case, draw(processes))
        for case in draw(st.lists(cases, unique_by=lambda c: c.case_id, max_size=2))
    ]
    waiting = draw(st.lists(cases, max_size=2))
    planned = list(
        {case.case_id: case for case in [*waiting, *(case for case, _ in measured)]}.values()
    )
    head = {
        name: draw(texts)
        for name in ("label", "device_kind", "device_name", "hwbench_version", "started_at")
    }
    head |= {
        "environment": json.dumps(draw(environments)),
        "argv": json.dumps(draw(st.lists(in_json, max_size=3))),
    }
    run = run_of(
        planned=planned, run_id=draw(st.sampled_from(["r", "a.b", "R-2"])), **head, schema_version=4
    )
    run = replace(run, **_rows(draw, run.run_id, measured))
    if measured and measured[0][1] and draw(st.booleans()):
        run = profiled(run, measured[0][0], draw(profiles))
    try:
        check_run(run)
    except UserError:
        reject()
    return run


def _rows(draw, run_id, measured) -> dict:
    rows = {
        name: []
        for name in ("measurements", "samples", "spans", "readings", "telemetry", "requests")
    }
    for case, times_of in measured:
        for process, times in enumerate(times_of):
            key = {"run_id": run_id, "case_id": case.case_id, "process": process}
            outcome = draw(st.sampled_from(["ok"] * 6 + list(OUTCOMES)))
            schema = draw(st.sampled_from([1, 2, 4]))
            columns = _columns(draw, outcome) | (_new_columns(draw) if schema > 2 else {})
            rows["measurements"].append(key | measurement(case, process, times, **columns))
            if outcome == "ok":
                rows["samples"] += samples_of(case, process, times, run_id).to_dict("records")
                rows["spans"] += [key | row for row in _spans(draw, times)]
                for since, table, some in LATER:
                    rows[table] += (
                        [key | row for row in draw(st.lists(some, max_size=3))]
                        if schema >= since
                        else []
                    )
    return {name: frame(name, content) for name, content in rows.items()}


def _columns(draw, outcome) -> dict:
    return {
        "outcome": outcome,
        "reason": draw(texts),
        "notes": json.dumps(draw(notes)),
        "timer_kind": draw(st.sampled_from(["host", "device_event"])),
        "tokens": draw(amounts),
        "flops": draw(amounts),
        "bytes": draw(amounts),
        "window_s": draw(seconds) or 1.0,
        "memory_peak_bytes": draw(amounts),
        "compile_s": draw(figures),
        "loss": draw(figures),
    }


def _new_columns(draw) -> dict:
    """What a part written before schema 3 has not."""
    return {
        "flops_full_attention": draw(amounts),
        "span_work": json.dumps(
            {draw(texts): {"tokens": 1, "flops": draw(amounts), "bytes": draw(amounts)}}
        ),
        "choices": json.dumps(draw(st.dictionaries(texts, texts, max_size=2))),
        "memory_base_bytes": draw(amounts),
        "memory_predicted_bytes": draw(amounts),
    }


def _spans(draw, times) -> list[dict]:
    marks = draw(st.lists(texts, max_size=3))
    return [
        {"step": step, "name": name, "position": position, "span_s": draw(seconds)}
        for step in range(len(times))
        for position, name in enumerate(marks)
    ]


scopes = st.sampled_from(["gpu:0", "gpu:1", "package:0", "dram:0", "psys", "system"]) | texts
readings = st.fixed_dictionaries(
    {
        "meter": texts,
        "scope": scopes,
        "quantity": st.sampled_from(["energy", "idle_power", "power_peak"]) | texts,
        "value": figures,
        "unit": st.sampled_from(["J", "W"]) | texts,
        "method": st.sampled_from(["counter", "integrated", "estimated", None]),
        "window_s": figures,
        "uncertainty": figures,
        "grade": st.sampled_from(["A", "B", "C", None]),
        "reason": texts,
        "span": st.just("") | texts,
    }
)
telemetry = st.fixed_dictionaries(
    {
        "time_ns": st.integers(0, 2**62),
        "meter": texts,
        "scope": scopes,
        "device_index": st.sampled_from([None, 0, 1]),
        "quantity": st.sampled_from(["power", "temperature", "clock_sm"]) | texts,
        "value": figures,
        "unit": st.sampled_from(["W", "C", "Hz"]) | texts,
    }
)
requests = st.builds(
    lambda number, begin, first, done, **rest: (
        {
            "request": number,
            "query": number,
            "scheduled_ns": begin,
            "issued_ns": begin,
            "done_ns": begin + first + done,
        }
        | {"first_token_ns": begin + first, **rest}
    ),
    *([st.integers(0, 2**40)] * 4),
    new_tokens=st.sampled_from([None, 0, 1, 2]),
    batch=amounts,
)

LATER = ((2, "readings", readings), (2, "telemetry", telemetry), (3, "requests", requests))
"""Tables that there have been since a schema."""


def columns_of(**columns):
    """Some rows of a table of a profile, as columns."""
    rows = st.lists(st.tuples(*columns.values()), max_size=3)
    return rows.map(
        lambda some: (
            dict(zip(columns, map(list, zip(*some, strict=True)), strict=True)) if some else {}
        )
    )


whole = st.sampled_from([0, 1, 2**40, 2**62])
profiles = st.builds(
    Profile,
    steps=whole,
    clean_step_s=figures.filter(lambda value: value is not None),
    profiled_step_s=figures.filter(lambda value: value is not None),
    events=st.floats(0, 1e9),
    invalid=st.just("") | texts,
    device_busy_s=figures,
    launch_s=figures,
    copy_s=figures,
    threads=st.sampled_from([None, 0, 2]),
    busy_share=figures,
    unknown=st.dictionaries(st.sampled_from(["modules", "memory", "bytes"]), in_json, max_size=2),
    ops=columns_of(
        level=st.sampled_from(["span", "operator", "operator", "kernel"]),
        span=texts,
        module=texts,
        backward=st.booleans(),
        name=st.sampled_from(["aten::mm", "aten::add"]) | texts,
        shapes=st.sampled_from(["[[2, 3], [3, 4]]", "[]"]),
        dtype=st.sampled_from(["fp32"]) | texts,
        calls=st.floats(0, 1e9),
        events=st.floats(0, 1e9),
        seconds=figures,
        host_s=figures,
        flops=figures,
        bytes=figures,
    ).map(lambda columns: Ops(**columns)),
    modules=columns_of(
        module=texts,
        kind=texts,
        calls=st.floats(0, 1e9),
        forward_s=figures,
        backward_s=figures,
        self_forward_s=figures,
        self_backward_s=figures,
        flops=figures,
    ).map(lambda columns: Modules(**columns)),
    gaps=columns_of(
        step=whole,
        span=texts,
        start_s=figures,
        gap_s=figures,
        cause=st.sampled_from(["host_late", "kernel_wait", "other"]),
        after=texts,
        before=texts,
    ).map(lambda columns: Gaps(**columns)),
    memory=columns_of(
        position=whole,
        span=texts,
        name=texts,
        **{
            f"{kind}_bytes": whole
            for kind in ("weights", "gradients", "optimizer", "activations", "temporary")
        },
        other_bytes=whole,
    ).map(lambda columns: MemoryUse(**columns)),
)

# a page takes most of a second: shrinking one takes minutes
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
quick = settings(
    max_examples=8, deadline=None, phases=PHASES, suppress_health_check=list(HealthCheck)
)


@quick
@given(st.lists(runs(), min_size=1, max_size=2) | st.lists(runs(), min_size=1, max_size=4))
def test_any_tables_give_a_sound_page(some):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # numpy's, of overflow
        page = SoundPage(render(some))
    assert "pwn" not in page.values("id")
    assert page.tags["b"] == 0
    assert (
        page.tags["main"]
        == page.tags["h1"]
        == sum(e.tag == HTML + "title" for e in page.elements)
        == 1
    )
    for run in some:
        assert run.run_id in page.text


@pytest.mark.slow
def test_five_hundred_cases_stay_below_two_megabytes():
    every = [Case("gemm", {"n": n % 50, "layout": f"layout {n // 50}"}, "fp32") for n in range(500)]
    source = render([run_of(*((case, [[0.001] * 5]) for case in every))])
    page = SoundPage(source)
    assert all(
        f"n={case.params['n']} layout={case.params['layout']}" in page.text for case in every
    )
    assert len(source.encode()) < 2_000_000


def test_an_unfinished_run_names_what_is_missing():
    every = [Case("gpt/train", {"size": "nano", "batch": batch}, "fp32") for batch in (1, 2, 4, 8)]
    run = run_of(*((case, around(0.003, processes=2)) for case in every[:2]), planned=every)
    page = SoundPage(render([run]))
    assert "4 of 20 processes stored" in page.text
    assert page.text.count("the run ended before its turn") == 2


def test_markup_in_data_is_text_everywhere():
    marker = "".join(HOSTILE[:6])
    case = Case(marker, {marker: marker}, marker)
    run = run_of(
        (case, around(0.003)), run_id=marker, label=marker, environment=json.dumps({marker: marker})
    )
    rows = [
        {
            "run_id": marker,
            "case_id": case.case_id,
            "process": s.process,
            "step": s.step,
            "name": marker,
        }
        | {"position": 0, "span_s": 0.001}
        for s in run.samples.itertuples()
    ]
    run = replace(run, spans=frame("spans", rows))
    source = render([run])
    page = SoundPage(source)
    assert page.tags["b"] == page.tags["img"] == 0
    assert "pwn" not in page.values("id")
    assert page.text.count(" ".join(marker.split())) > 5
    assert render([run]) == source
