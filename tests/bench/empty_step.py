"""A workload without work: the time of its steps is that of the harness. `hwbench ab` compares it
from commit to commit."""

from hwbench.workload import Built, Mark, workload


@workload("harness/empty", marks=[2])
def empty(p, device):
    """Steps that do nothing but drop `marks` timestamps."""
    names = [f"mark {number}" for number in range(p.marks)]

    def step(mark: Mark) -> None:
        for name in names:
            mark(name)

    return Built(step)
