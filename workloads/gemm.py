"""The matmul ceiling: the most FLOP/s that this machine gives to matrix products.

A run's ceiling of a dtype is its fastest case here, of a given shape or of one that was searched.
"""

from itertools import cycle
from typing import Any

from hwbench.accounts.matmul import Shape
from hwbench.devices.protocol import TorchDevice
from hwbench.records import Declared, Work
from hwbench.workload import Built, Mark, Step, axis, workload
from workloads.ceilings.products import FORMATS, format_of, int8_sums, product_of
from workloads.ceilings.search import search_on, sets_beyond_cache

DTYPE = axis("fp32", "bf16", choices=tuple(FORMATS))

REST_S = 3.0
"""How long the device rests before a cold measurement: the search has heated it."""

LOAD_S = 30.0
"""How long it works before a sustained measurement: the processor's boost is over by then, and its
cooler warm."""


@workload("gemm", m=axis(4096), n=axis(4096), k=axis(4096), dtype=DTYPE)
def gemm(p: Any, device: TorchDevice) -> Built:
    """Multiply two random matrices: C (m, n) = A (m, k) · B (k, n), 2mnk FLOPs.

    A and B are read once, and C is written. fp32 is true fp32. fp8 (e4m3) gives bf16, with both
    scales 1. int8 gives int32, and its FLOPs are integer operations. Operands that fit a cache are
    found there from step to step; `gemm/best` avoids that.
    """
    stored, shape = format_of(p.dtype, device), Shape(p.m, p.n, p.k)
    device.require(p.dtype, shape.bytes(p.dtype))
    multiply = product_of(p.dtype, device)
    operands = stored.draw(shape, device)

    def step(mark: Mark) -> None:
        multiply(operands)
        mark("gemm")

    choices = int8_sums(multiply, device) if p.dtype == "int8" else {}
    work = Work(flops=shape.flops, bytes=shape.bytes(p.dtype))
    return Built(step, work, declared=Declared(choices=choices))


@workload("gemm/best", load=axis("cold", "sustained", choices=("cold", "sustained")), dtype=DTYPE)
def gemm_best(p: Any, device: TorchDevice) -> Built:
    """The fastest matrix product of a list of shapes, rested (cold) or after 30 s (sustained).

    The search for the shape is part of the build. A step is a fixed number of FLOPs
    (search.STEP_FLOPS) of the winner. Its operands are taken in turn from sets which together
    exceed the last cache twice, so that no product finds its own in a cache.

    Cold is what the first seconds after a rest give: they include the harness's warm-up of half a
    second, and the very first steps are among the samples of the warm-up. Sustained is the same
    after a first step that lasts 30 s more: the device does not rest between that load and the
    window. Bytes are not declared, as they depend on the shape that won.
    """
    stored = format_of(p.dtype, device)
    device.require(p.dtype)
    multiply = product_of(p.dtype, device)
    best = search_on(device, multiply, p.dtype)
    products = best.step_flops // best.shape.flops
    sets = sets_beyond_cache(device, best.shape.bytes(p.dtype))
    turns = cycle([stored.draw(best.shape, device) for _ in range(sets)])

    def step(mark: Mark) -> None:
        for _ in range(products):
            multiply(next(turns))
        mark("gemm")

    choices = {
        "shape": str(best.shape),
        "shapes_tried": str(best.tried),
        "operand_sets": str(sets),
    }
    if p.dtype == "int8":
        choices |= int8_sums(multiply, device)
    choices["products_a_step"] = str(products)
    work, declared = Work(flops=best.step_flops), Declared(choices=choices)
    if p.load == "cold":
        device.rest(REST_S)
        return Built(step, work, declared=declared)
    return Built(load_before(step, device), work, declared=declared, first_is_longer=True)


def load_before(step: Step, device: TorchDevice) -> Step:
    """Make the first call of `step` repeat it, without marks, for LOAD_S before."""
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
