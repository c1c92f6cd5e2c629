"""The roofline of a run whose ceilings are 1 MFLOP/s in bf16 and 1 MB/s, in exact numbers."""

import json
from dataclasses import replace

import pytest
from runs import measured, run_of

from hwbench.analysis import roofline
from hwbench.records import Case, Declared, Work

A100 = "NVIDIA A100-SXM4-80GB"
TRAIN = Case("gpt/train", {"size": "nano"}, "bf16")
GEMM = Case("gemm", {"n": 64}, "bf16")
COPY = Case("copy", {"op": "copy", "mb": 256}, "fp32")
CACHED = Case("copy", {"op": "copy", "level": "l1"}, "fp32")
STEP = Work(flops=1500, bytes=1000)
SPANS = {"forward": Work(flops=900, bytes=300), "backward": Work(flops=600, bytes=700)}
ROOFS = ((GEMM, Work(flops=1000)), (COPY, Work(bytes=1000)))


def training_run(step=STEP, spans=SPANS, ceilings=ROOFS, **options):
    """`forward` takes 1 ms and `backward` 2 ms."""
    train = measured(step_s=0.003, work=step, declared=Declared(spans=spans))
    roofs = [(case, [measured(step_s=0.001, work=work)]) for case, work in ceilings]
    return run_of((TRAIN, [train]), *roofs, **options)


def of_training(run):
    found = roofline.points(run)
    return found[found.case_id == TRAIN.case_id].set_index("span")


def test_the_ceilings_are_what_the_run_measured():
    cached = (CACHED, Work(bytes=50_000))
    table = roofline.ceilings_of(
        training_run(ceilings=((GEMM, STEP), (COPY, Work(bytes=1000)), cached))
    )
    found = {
        (row.kind, row.dtype if row.kind == "compute" else row.level): row.value
        for row in table.itertuples()
    }
    assert found == {
        ("compute", "bf16"): pytest.approx(1.5e6),
        ("memory", "memory"): pytest.approx(1e6),
        ("memory", "l1"): pytest.approx(5e7),
    }
    assert set(table.basis) == {"measured"}
    assert table.source.tolist()[0] == "gemm n=64 bf16"


def test_work_takes_as_long_as_the_slower_of_arithmetic_and_memory():
    found = of_training(training_run())
    assert found.bound.to_dict() == {"": "compute", "forward": "compute", "backward": "memory"}
    assert found.least_s.to_dict() == pytest.approx(
        {"": 0.0015, "forward": 0.0009, "backward": 0.0007}
    )
    assert found.share.to_dict() == pytest.approx({"": 0.5, "forward": 0.9, "backward": 0.35})
    assert found.intensity.to_dict() == pytest.approx({"": 1.5, "forward": 3, "backward": 6 / 7})
    assert found.flops_per_s["forward"] == pytest.approx(900_000)
    assert found.bytes_per_s["backward"] == pytest.approx(350_000)


def test_the_least_times_of_spans_sum_to_more_than_that_of_the_step():
    """A span that memory bounds does not overlap with one that computes: 0.9 + 0.7 ms, where the
    step as a whole needs 1.5 ms."""
    (row,) = roofline.sums(roofline.points(training_run())).to_dict("records")
    assert row["least_s"] == pytest.approx(0.0016)
    assert row["step_s"] == pytest.approx(0.003)
    assert row["share"] == pytest.approx(16 / 30)
    assert row["covered"] == pytest.approx(1)
    assert (row["spans"], row["basis"], row["case_id"]) == (2, "measured", TRAIN.case_id)


def test_a_span_without_declared_work_is_not_in_the_sum():
    (row,) = roofline.sums(
        roofline.points(training_run(spans={"forward": SPANS["forward"]}))
    ).to_dict("records")
    assert (row["spans"], row["least_s"], row["covered"]) == (
        1,
        pytest.approx(0.0009),
        pytest.approx(1 / 3),
    )


def test_recomputation_counts():
    spans = {"backward": Work(flops=600, hardware_flops=1800, bytes=700)}
    found = of_training(training_run(spans=spans)).loc["backward"]
    assert (found.bound, found.least_s) == ("compute", pytest.approx(0.0018))


def test_an_update_is_bound_by_memory_alone():
    run = training_run(spans={"forward": Work(flops=900, bytes=300)})
    work = run.measurements.span_work.str.replace("forward", "optimizer")
    spans = run.spans.assign(name=run.spans.name.replace("forward", "optimizer"))
    run = replace(run, measurements=run.measurements.assign(span_work=work), spans=spans)
    found = of_training(run).loc["optimizer"]
    assert (found.bound, found.least_s, found.intensity) == (
        "memory",
        pytest.approx(0.0003),
        pytest.approx(3),
    )


@pytest.mark.parametrize("missing", [GEMM, COPY])
def test_without_one_of_its_ceilings_there_is_no_bound(missing):
    run = training_run(ceilings=[pair for pair in ROOFS if pair[0] != missing])
    assert of_training(run)[["bound", "least_s", "share"]].isna().all(axis=None)
    assert roofline.sums(roofline.points(run)).empty


def test_work_that_needs_one_ceiling_is_bound_by_it():
    run = training_run(step=Work(flops=1500), spans={}, ceilings=((GEMM, Work(flops=1000)),))
    assert of_training(run).bound[""] == "compute"
    run = training_run(step=Work(bytes=1500), spans={}, ceilings=((COPY, Work(bytes=1000)),))
    assert of_training(run).share[""] == pytest.approx(0.5)


def test_work_faster_than_a_ceiling_has_no_bound():
    """For example bytes from a cache."""
    found = of_training(
        training_run(spans={"forward": Work(flops=1, bytes=1060), "backward": Work(bytes=2080)})
    )
    assert found.least_s["forward"] != found.least_s["forward"]
    assert found.share["backward"] == pytest.approx(1.04)


def test_a_copy_within_a_cache_is_not_bound_by_memory():
    run = training_run(ceilings=((COPY, Work(bytes=1000)), (CACHED, Work(bytes=900))))
    found = roofline.points(run).set_index("case_id")
    assert found[["bound", "least_s"]].isna().loc[CACHED.case_id].all()
    assert found.share[COPY.case_id] == pytest.approx(1)


def test_the_datasheet_is_a_roofline_of_its_own():
    run = training_run(device=A100)
    found = of_training(run).reset_index().set_index(["span", "basis"])
    assert found.least_s["forward", "datasheet"] == pytest.approx(300 / 2.039e12)
    assert found.least_s["backward", "datasheet"] == pytest.approx(700 / 2.039e12)
    assert found.compute_ceiling["forward", "measured"] == pytest.approx(1e6)
    assert set(roofline.sums(roofline.points(run)).basis) == {"measured", "datasheet"}


def test_roofline_data_is_json():
    data = roofline.roofline_data(training_run(step=Work(flops=7)))
    text = json.dumps(data, allow_nan=False)
    assert set(data) == {"ceilings", "points", "sums"}
    assert json.loads(text)["points"][0]["bytes"] is None


def test_a_run_without_ceilings_or_work_has_no_roofline():
    run = training_run(step=Work(), spans={}, ceilings=())
    assert roofline.roofline_data(run) == {"ceilings": [], "points": [], "sums": []}
