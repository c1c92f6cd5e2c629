"""FLOPs, bytes and memory of one step: every operator is intercepted on its way to the device.

The step runs as usual, only slower; it is not timed. An operator that only calls others is
decomposed, as the profiler does, so the operators counted here are the ones timed there.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils._python_dispatch import TorchDispatchMode

from hwbench.profiling.closed_forms import MOVES_NOTHING, flops_of, product_of_sizes, tensors_in
from hwbench.profiling.events import Event
from hwbench.profiling.storages import Storages, timeline
from hwbench.profiling.tables import Cost
from hwbench.profiling.traffic import bytes_of
from hwbench.records.profile import MemoryUse
from hwbench.workload import Step

ITEM_BYTES = {"fp64": 8, "fp32": 4, "bf16": 2, "fp16": 2}

DTYPES = {
    "torch.float32": "fp32",
    "torch.bfloat16": "bf16",
    "torch.float16": "fp16",
    "torch.float64": "fp64",
    "torch.float8_e4m3fn": "fp8",
}
ALIASES = {"aten::native_batch_norm": "aten::_native_batch_norm_legit"}
"""Operators that call another one under interception."""

Key = tuple[str, tuple[tuple[int, ...], ...], str]
"""An operator's name, the sizes of its input tensors, and the dtype of the first, or "" for any."""


class Counted(TorchDispatchMode):  # type: ignore[no-untyped-call] # in torch
    """The operators of a counted step: the cost of each and the memory of all."""

    def __init__(self, model: nn.Module | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # in torch
        self._weights = list(model.parameters()) if model else []
        self._costs: dict[Key, list[tuple[int | None, int]]] = defaultdict(list)
        self._operators: list[tuple[str, str]] = []
        self._storages = Storages()
        self._in_span = 0
        self._is_update = False

    def count(self, step: Step) -> None:
        """Run the step once and record its operators."""
        self._storages.mark(self._weights, "weights")
        hooks = (
            register_optimizer_step_pre_hook(self._updates(True)),
            register_optimizer_step_post_hook(self._updates(False)),
        )
        try:
            with saved_tensors_hooks(self._saved, lambda tensor: tensor), self:
                step(self._mark)
        finally:
            for hook in hooks:
                hook.remove()
        self._mark("")

    def cost_of(self, event: Event) -> Cost:
        """FLOPs and bytes of a call that the profiler recorded, the mean of like calls counted.

        None if no like call was counted, except for matrix products, whose sizes are enough. A call
        in place may have been counted as the one that is not: autograd adds gradients up in place
        only where nothing intercepts it.
        """
        shapes = tuple(shape for shape in event.shapes if shape)
        if event.name.partition("::")[2] in MOVES_NOTHING:
            return 0, 0
        for name in (event.name, event.name.removesuffix("_"), ALIASES.get(event.name, "")):
            for dtype in (event.dtype, ""):
                alike = self._costs.get((name, shapes, dtype))
                if alike:
                    return _mean_cost(alike)
        return product_of_sizes(event.name, shapes, ITEM_BYTES.get(event.dtype)) or (None, None)

    def memory(self) -> MemoryUse:
        """The timeline of the step that was counted."""
        return timeline(self._storages, self._operators)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        with self:
            decomposed = func.decompose(*args, **kwargs)
        if decomposed is not NotImplemented:
            return decomposed
        self._storages.position = len(self._operators)
        returned = func(*args, **kwargs)
        names = [argument.name for argument in func._schema.arguments]
        arguments = dict(zip(names, args, strict=False)) | kwargs
        self._record(func, arguments, returned)
        return returned

    def _record(self, func: Any, arguments: dict[str, Any], returned: Any) -> None:
        name, inputs = func._schema.name, tensors_in(list(arguments.values()))
        if name.startswith("profiler::"):
            return
        shapes = tuple(tuple(tensor.shape) for tensor in inputs if tensor.dim())
        dtypes = [str(value.dtype) for value in arguments.values() if isinstance(value, Tensor)]
        first = dtypes[0] if dtypes else ""
        cost = flops_of(func, arguments, returned), bytes_of(func, arguments, returned)
        for dtype in {"", DTYPES.get(first, first.removeprefix("torch."))}:
            self._costs[name, shapes, dtype].append(cost)
        self._operators.append(("", name))
        self._storages.use(inputs, self._is_update)
        for tensor in tensors_in([returned]):
            self._storages.see(tensor, born=True)

    def _updates(self, now: bool) -> Any:
        def hook(*_: Any) -> None:
            self._is_update = now

        return hook

    def _saved(self, tensor: Tensor) -> Tensor:
        storage = self._storages.see(tensor, born=False)
        if storage and storage.born is not None and not storage.kind:
            storage.kind = "activations"
        return tensor.detach()

    def _mark(self, name: str) -> None:
        """End the span `name`: give its operators its name and look for new gradients."""
        self._operators[self._in_span :] = [
            (name, operator) for _, operator in self._operators[self._in_span :]
        ]
        self._in_span = len(self._operators)
        self._storages.mark(_gradients(self._weights), "gradients")


def _mean_cost(costs: Sequence[tuple[int | None, int]]) -> Cost:
    """The mean FLOPs, None if any is not known, and the mean bytes."""
    flops = [flops for flops, _ in costs if flops is not None]
    mean_flops = fmean(flops) if len(flops) == len(costs) else None
    return mean_flops, fmean(moved for _, moved in costs)


def _gradients(weights: Iterable[Tensor]) -> list[Tensor]:
    return [weight.grad for weight in weights if weight.grad is not None]
