"""Optimizers in closed form: what a step learns from, and what its update costs.

Every training workload has a fixed data set of DATASET_BATCHES batches. The methods differ in how
much of it one step sees: gradient descent proper sees all of it, textbook stochastic gradient
descent one random sample, the others one random mini-batch. The FLOPs and bytes of an update are
not model FLOPs: the update's bytes are part of a step's bytes, its FLOPs are not part of a step's.
"""

from dataclasses import dataclass

from hwbench.records import Unsupported

DATASET_BATCHES = 4
"""Batches in the data set of a training workload: enough for accumulation to dominate `gd`."""

MASTER_BYTES = 4
"""Weights, gradients and optimizer state are fp32, whatever autocast computes in."""


@dataclass(frozen=True)
class Method:
    """How an optimizer learns. `states` counts the tensors of the weights' size that it keeps.

    `flops` are those of one element and update, by the formulas that torch documents for the class
    (`torch.optim.AdamW`, `Adam`, `SGD`: "implements the … algorithm"): one for each multiply, add,
    divide and square root. What depends on the step alone (γλ, 1 - βᵗ) is one number for all
    elements and counts nothing:

        weight decay  θ - γλθ                                                2
        moments       m = β₁m + (1-β₁)g;  v = β₂v + (1-β₂)g²                 3 + 4
        Adam          m̂ = m/(1-β₁ᵗ);  v̂ = v/(1-β₂ᵗ);  θ - γm̂/(√v̂ + ε)        2 + 5
        SGD           θ - γg, and with momentum b = μb + g, θ - γb           2, and 2 more
    """

    states: int
    flops: int
    batches: int = 1  # batches whose gradients are summed for one update
    single: bool = False  # a batch is one sample, whatever `batch` is

    def batch_size(self, batch: int) -> int:
        """Return the samples of one batch when `batch` is asked for."""
        return 1 if self.single else batch

    def micro_batch(self, batch: int, accumulate: int | None) -> int:
        """Return the samples of one forward pass: a batch, or one of its `accumulate` equal parts.

        Unsupported if the batch cannot be cut into that many equal parts.
        """
        size, parts = self.batch_size(batch), accumulate or 1
        if size % parts:
            whole = "the single sample that sgd learns from" if self.single else f"batch={batch}"
            raise Unsupported(f"accumulate={parts} does not divide {whole}; choose one that does")
        return size // parts

    def passes(self, accumulate: int | None) -> int:
        """Count the forward and backward passes of one step, whose gradients are summed."""
        return self.batches * (accumulate or 1)

    def samples(self, batch: int) -> int:
        """Count the samples of one step: `batch`; one with `sgd`; the data set with `gd`."""
        return self.batches * self.batch_size(batch)


OPTIMIZERS = {
    "adamw": Method(states=2, flops=16),
    "adam": Method(states=2, flops=14),
    "sgd": Method(states=0, flops=2, single=True),
    "sgd-minibatch": Method(states=1, flops=4),  # with momentum
    "gd": Method(states=0, flops=2, batches=DATASET_BATCHES),
}


def update_flops(parameters: int, optimizer: str) -> int:
    """Count the FLOPs of one update of that many parameters; see Method."""
    return OPTIMIZERS[optimizer].flops * parameters


def update_bytes(parameters: int, optimizer: str) -> int:
    """Count the fewest bytes of one update in fp32: 4(3 + 2s) a parameter.

    Gradients are read; the weights and each of the s states are read and written.
    """
    return MASTER_BYTES * (3 + 2 * OPTIMIZERS[optimizer].states) * parameters


def train_bytes(read: int, parameters: int, optimizer: str, accumulate: int | None = None) -> int:
    """Count the fewest bytes of a training step of n passes in fp32.

    4(n · read + (2n - 1) · parameters) and the update's. `read` counts the elements of weights that
    forward and backward of one pass read. The first backward writes the gradients; each further one
    reads them, adds its own and writes them again.
    """
    n = OPTIMIZERS[optimizer].passes(accumulate)
    passes = MASTER_BYTES * (n * read + (2 * n - 1) * parameters)
    return passes + update_bytes(parameters, optimizer)


def state_bytes(parameters: int, optimizer: str) -> int:
    """Count the bytes that stay from step to step: fp32 weights and the optimizer's s states."""
    return MASTER_BYTES * (1 + OPTIMIZERS[optimizer].states) * parameters


def train_state_bytes(parameters: int, optimizer: str) -> int:
    """Count the bytes of weights, optimizer state and gradients: 4(2 + s) a parameter."""
    return state_bytes(parameters, optimizer) + MASTER_BYTES * parameters
