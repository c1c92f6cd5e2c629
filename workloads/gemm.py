"""The matmul ceiling: what this machine's arithmetic gives at most to anything that multiplies
matrices.

A run's ceiling of a dtype is its fastest case here, of a shape that was asked for or of one that
was searched.
"""

from itertools import cycle
from typing import Any

from hwbench.devices.protocol import TorchDevice
from hwbench.records import Declared, Work
from hwbench.workload import Built, Mark, Step, axis, workload
from workloads.ceilings.products import FORMATS, Shape, format_of, int8_sums, product_of
from workloads.ceilings.search import search_on, sets_beyond_cache

DTYPE = axis("fp32", "bf16", choices=tuple(FORMATS))

REST_S = 3.0
"""How long the device rests before a cold measurement: some watts' worth of search went before."""

LOAD_S = 30.0
"""How long it works before a sustained one: long enough for a processor's boost to be over and its
cooler warm."""


@workload("gemm", m=axis(4096), n=axis(4096), k=axis(4096), dtype=DTYPE)
def gemm(p: Any, device: TorchDevice) -> Built:
    """Multiply two random matrices, C = A·B with A (m, k) and B (k, n): 2mnk FLOPs; A and B read
    once, C written.

    fp32 is true fp32. fp8 (e4m3) gives bf16, with both scales 1; int8 gives int32, and its FLOPs
    are integer operations. Whatever of the operands stays in a cache from step to step is found
    there; see gemm/best.
    """
    stored, shape = format_of(p.dtype, device), Shape(p.m, p.n, p.k)
    device.require(p.dtype, stored.bytes_of(shape))
    multiply = product_of(p.dtype, device)
    operands = stored.draw(shape, device)

    def step(mark: Mark) -> None:
        multiply(operands)
        mark("gemm")

    choices = int8_sums(multiply, device) if p.dtype == "int8" else {}
    return Built(
        step,
        Work(flops=shape.flops, bytes=stored.bytes_of(shape)),
        declared=Declared(choices=choices),
    )


@workload("gemm/best", load=axis("cold", "sustained", choices=("cold", "sustained")), dtype=DTYPE)
def gemm_best(p: Any, device: TorchDevice) -> Built:
    """The fastest matrix product of a list of shapes, after a rest (cold) or after 30 s of it
    (sustained).

    Which shape it is, is found out while building. A step is a fixed number of FLOPs
    (search.STEP_FLOPS) of the winner, its operands taken in turn from sets which together exceed
    the last cache twice, so that no product finds its own. Cold is what the first seconds after a
    rest give: the harness's warm-up of half a second is in them, and the very first steps are among
    the samples of the warm-up. Sustained is the same after a first step that lasts 30 s more, so
    that nothing rests between that load and the window. Bytes are not declared: they follow from
    whichever shape won.
    """
    stored = format_of(p.dtype, device)
    device.require(p.dtype)
    multiply = product_of(p.dtype, device)
    found = search_on(device, multiply, p.dtype)
    products = found.step_flops // found.shape.flops
    sets = sets_beyond_cache(device, stored.bytes_of(found.shape))
    operands = [stored.draw(found.shape, device) for _ in range(sets)]
    turn = cycle(operands)

    def step(mark: Mark) -> None:
        for _ in range(products):
            multiply(next(turn))
        mark("gemm")

    choices = {
        "shape": str(found.shape),
        "shapes_tried": str(found.tried),
        "operand_sets": str(sets),
    }
    if p.dtype == "int8":
        choices |= int8_sums(multiply, device)
    declared = Declared(choices=choices | {"products_a_step": str(products)})
    if p.load == "cold":
        device.rest(REST_S)
        return Built(step, Work(flops=found.step_flops), declared=declared)
    return Built(
        loaded(step, device), Work(flops=found.step_flops), declared=declared, first_is_longer=True
    )


def loaded(step: Step, device: TorchDevice) -> Step:
    """`step`, whose first call repeats it unmarked for LOAD_S before."""
    is_first = True

    def step_under_load(mark: Mark) -> object:
        nonlocal is_first
        if is_first:
            is_first = False
            end = device.now_ns() + round(LOAD_S * 1e9)
            while device.now_ns() < end:
                step(lambda name: None)
                device.synchronize()
        return step(mark)

    return step_under_load
