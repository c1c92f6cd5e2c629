"""The memory that a step needs at its peak, in closed form: what can be said before anything is
allocated.

A training step is fullest either as backward begins, when all that forward kept is there and the
loss has its gradients, or as backward ends, when all gradients are there and nothing else is. In
between, each block gives back what it kept and adds its gradients, so that the sum moves along a
straight line from one to the other. Between steps there are the weights, the optimizer's state and
the data. What forward keeps was read off torch 2.13 by its hooks
(`torch.autograd.graph.saved_tensors_hooks`), and tests hold it against them to the byte. The
symbols:

    L layers   d width   H heads   V stored vocabulary   N = BT tokens of a pass   e bytes of what a matmul reads
    h hidden width of an LSTM, E of its embedding, i of a layer's input   D layers of an MLP, w their width

What a tensor's bytes come to in the count of memory that a device keeps is for the device to say
(`footprint_bytes`).
"""

from collections import Counter
from dataclasses import dataclass

from hwbench.devices.protocol import TorchDevice
from workloads.models.config import GPTConfig
from workloads.models.lstm import LSTMConfig
from workloads.models.mlp import MLPConfig
from workloads.optimizers import DATASET_BATCHES, MASTER_BYTES, OPTIMIZERS
from workloads.tensors import torch_dtype

TOKEN_BYTES = 8
"""Token ids are int64."""

LIBRARY_BYTES = {4: 60, 2: 42}
"""What oneDNN keeps of a layer's gates and states for backward, a token and hidden unit, by the
bytes of an element: read off torch 2.13 for widths from 512 to 1024, where it is that and up to 3 %
of padding. cuDNN keeps less."""

Tensors = Counter[int]
"""How many tensors there are of each size in bytes."""


@dataclass(frozen=True)
class Training:
    """The parts of a training step's memory, in bytes. `passes` forward and backward passes are
    made for one update.

    `state` stays from step to step; `kept` is what forward keeps for backward, `gradients` what
    backward makes. `loss` comes on top of what is kept as backward begins, `last` on top of the
    gradients as it ends.
    """

    state: int
    kept: Tensors
    gradients: Tensors
    loss: int
    last: int
    passes: int = 1

    @property
    def peak(self) -> int:
        """All tensors that are there at the fullest moment. From the second pass on, the first
        one's gradients are."""
        earlier = total(self.gradients) if self.passes > 1 else 0
        return self.state + max(
            earlier + total(self.kept) + self.loss, total(self.gradients) + self.last
        )

    def require(self, device: TorchDevice) -> int:
        """The bytes that `device` will count at the peak. Unsupported if it has not so many."""
        predicted = device.footprint_bytes(self.peak, self.kept, self.gradients)
        device.require_memory(predicted)
        return predicted


def total(tensors: Tensors) -> int:
    """Bytes of all of them."""
    return sum(size * count for size, count in tensors.items())


def gpt_training(
    config: GPTConfig,
    batch: int,
    seq: int,
    dtype: str,
    optimizer: str,
    accumulate: int | None = None,
    compiled: bool = False,
    eager_attention: bool = False,
) -> Training:
    """A GPT's step on batches of `batch` sequences as asked for.

    As backward begins, the gradient of the log-softmax and that of the logits join it, 4NV bytes
    each. As it ends, the token table has two gradients, the head's and the look-up's, which become
    one: in place under autocast, and into a third in fp32, where the head's is a transposed view.
    Compiled, the loss has one gradient, in e bytes.
    """
    method, d, vocab = OPTIMIZERS[optimizer], config.width, config.padded_vocab
    tokens, table = method.micro_batch(batch, accumulate) * seq, MASTER_BYTES * vocab * d
    return Training(
        state=_state(config.stored_parameters, optimizer) + _token_data(batch, seq),
        kept=gpt_kept(config, tokens, seq, dtype, compiled, eager_attention),
        gradients=gpt_gradients(config),
        loss=(_bytes(dtype) if compiled else 2 * MASTER_BYTES) * tokens * vocab,
        last=2 * table if _is_full(dtype) else table + MASTER_BYTES * tokens * d,
        passes=method.passes(accumulate),
    )


def gpt_kept(
    config: GPTConfig,
    tokens: int,
    seq: int,
    dtype: str,
    compiled: bool = False,
    eager_attention: bool = False,
) -> Tensors:
    """What the loss of N tokens keeps for backward, without the weights themselves.

    A block: its input and the sum after attention (4Nd each, fp32); in e bytes both of them normed
    (Nd each), queries, keys and values (3Nd), attention's result (Nd) and the MLP's inner values
    before and after GELU (4Nd each); two numbers a token of each norm, one a head of attention.
    That is N(8d + 14de + 16 + 4H). In fp32 it is half of Megatron's 34 bytes Nd and what fp32
    doubles (Korthikanti et al. 2022, equation 1, without dropout). Eager attention keeps a
    probability a head and pair of tokens, HNTe, instead of that one number a head. Then the last
    norm, and 4NV for the logits' log-softmax; compiled the logits themselves, NVe, and two numbers
    a token, and all else the same. Under autocast also its copy of each matrix, e(12Ld² + Vd).
    """
    d, e, layers = config.width, _bytes(dtype), config.layers
    stream, normed, number = MASTER_BYTES * tokens * d, e * tokens * d, MASTER_BYTES * tokens
    queries_keys_values = (normed, 3 * layers) if eager_attention else (3 * normed, layers)
    return _tensors(
        (stream, 2 * layers + 1),
        (normed, 3 * layers + 1),
        queries_keys_values,
        (4 * normed, 2 * layers),
        (number, 4 * layers + 2),
        ((e * tokens * seq if eager_attention else number) * config.heads, layers),
        (normed // d * config.padded_vocab if compiled else number * config.padded_vocab, 1),
        *_lookup(tokens),
        (TOKEN_BYTES * seq, 1),  # positions
        *([] if _is_full(dtype) else [(e * size, count) for size, count in _gpt_matrices(config)]),
    )


def gpt_gradients(config: GPTConfig) -> Tensors:
    """A gradient of each stored parameter."""
    d, layers = config.width, config.layers
    vectors = [(3 * d, layers), (4 * d, layers), (d, 6 * layers + 2)]
    elements = [*_gpt_matrices(config), (config.positions * d, 1), *vectors]
    return _tensors(*((MASTER_BYTES * size, count) for size, count in elements))


def gpt_inference_bytes(
    config: GPTConfig, batch: int, tokens: int, cached: int, dtype: str, logits: int = 1
) -> int:
    """Weights, a cache of `cached` positions, and the more of two: a block at its fullest as it
    reads `tokens` of each sequence at once, or the logits of `logits` positions of each.

    Around GELU there are the block's input, the sum after attention, and the inner values twice:
    N(2d + 8d)e. Beside logits there is what they came from, normed and not.
    """
    block, head = (
        10 * tokens * config.width,
        logits * config.padded_vocab + 2 * tokens * config.width,
    )
    working = batch * max(block, head) * torch_dtype(dtype).itemsize
    return config.inference_state_bytes(batch, cached, dtype) + working


def lstm_training(
    config: LSTMConfig,
    batch: int,
    seq: int,
    dtype: str,
    optimizer: str,
    accumulate: int | None = None,
) -> Training:
    """An LSTM's step, on batches of `batch` sequences as asked for.

    Its loss begins like a GPT's. As backward ends, the gradients of the first layer's weights are
    there in torch's layout and in that of the library.
    """
    method = OPTIMIZERS[optimizer]
    samples = method.micro_batch(batch, accumulate)
    return Training(
        state=_state(config.parameters, optimizer) + _token_data(batch, seq),
        kept=lstm_kept(config, samples, seq, dtype),
        gradients=_tensors(
            *((MASTER_BYTES * size, count) for size, count in _lstm_matrices(config)),
            (MASTER_BYTES * config.vocab * config.embedding, 1),
            (MASTER_BYTES * 4 * config.hidden, 2 * config.layers),
            (MASTER_BYTES * config.vocab, 1),
        ),
        loss=2 * MASTER_BYTES * samples * seq * config.vocab,
        last=MASTER_BYTES * 4 * config.hidden * (config.embedding + config.hidden),
        passes=method.passes(accumulate),
    )


def lstm_kept(config: LSTMConfig, batch: int, seq: int, dtype: str) -> Tensors:
    """What the loss keeps for backward, without the weights themselves.

    The looked-up tokens (NEe), of each layer its result (Nhe), its first and last states and what
    the library keeps of all gates and states (LIBRARY_BYTES), the head's input, and 4NV for the
    log-softmax. Under autocast also its copies.
    """
    tokens, h, e = batch * seq, config.hidden, _bytes(dtype)
    copies = [(e * size, count) for size, count in _lstm_matrices(config)] + [
        (e * 4 * h, 2 * config.layers)
    ]
    states = (
        [(config.layers * batch * h * e, 2)]
        if _is_full(dtype)
        else [(batch * h * e, 2 * config.layers)]
    )
    return _tensors(
        (e * tokens * config.embedding, 1),
        (e * tokens * h, config.layers + 1),
        (e * batch * h, 2 * config.layers),
        *states,
        (LIBRARY_BYTES[e] * batch * (seq + 1) * h, config.layers),
        (MASTER_BYTES * tokens * config.vocab, 1),
        *_lookup(tokens),
        *([] if _is_full(dtype) else copies),
    )


def lstm_forward_bytes(config: LSTMConfig, batch: int, seq: int, dtype: str) -> int:
    """Weights, the tokens, and what is there at the end: the last layer's result and the logits at
    every position."""
    elements = config.parameters + batch * seq * (config.hidden + config.vocab)
    return elements * torch_dtype(dtype).itemsize + batch * seq * TOKEN_BYTES


def mlp_training(
    config: MLPConfig, batch: int, dtype: str, optimizer: str, accumulate: int | None = None
) -> Training:
    """A feed-forward network's step, on batches of `batch` vectors as asked for.

    The loss has its gradient and that of the result, 4Bw each. Under autocast a weight's gradient
    is there in bf16 as its fp32 one is made, which is last so for the first layer.
    """
    method, w, e = OPTIMIZERS[optimizer], config.width, _bytes(dtype)
    samples = method.micro_batch(batch, accumulate)
    return Training(
        state=_state(config.parameters, optimizer) + 2 * MASTER_BYTES * DATASET_BATCHES * batch * w,
        kept=mlp_kept(config, samples, dtype),
        gradients=_tensors((MASTER_BYTES * w * w, config.depth), (MASTER_BYTES * w, config.depth)),
        loss=2 * MASTER_BYTES * samples * w,
        last=0 if _is_full(dtype) else e * w * w,
        passes=method.passes(accumulate),
    )


def mlp_kept(config: MLPConfig, batch: int, dtype: str) -> Tensors:
    """What the loss keeps for backward, without the weights and the data themselves.

    Of each layer but the last its result and that after GELU (Bwe each), and the last result (4Bw).
    Under autocast also the input's copy and those of all weights but the first layer's, whose input
    needs no gradient.
    """
    w, e, hidden = config.width, _bytes(dtype), config.depth - 1
    copies = [] if _is_full(dtype) else [(e * batch * w, 1), (e * w * w, hidden)]
    return _tensors((e * batch * w, 2 * hidden), (MASTER_BYTES * batch * w, 1), *copies)


def mlp_forward_bytes(config: MLPConfig, batch: int, dtype: str) -> int:
    """Weights, the input, and a layer's input and result."""
    return (config.parameters + 3 * batch * config.width) * torch_dtype(dtype).itemsize


def require(device: TorchDevice, tensor_bytes: int) -> int:
    """The bytes that `device` will count where tensors of `tensor_bytes` are there at once.
    Unsupported if it has not so many."""
    predicted = device.footprint_bytes(tensor_bytes)
    device.require_memory(predicted)
    return predicted


def _gpt_matrices(config: GPTConfig) -> list[tuple[int, int]]:
    """Elements of each matrix that multiplies, and how many there are."""
    d, layers = config.width, config.layers
    return [
        (config.padded_vocab * d, 1),
        (3 * d * d, layers),
        (d * d, layers),
        (4 * d * d, 2 * layers),
    ]


def _lstm_matrices(config: LSTMConfig) -> list[tuple[int, int]]:
    h, layers = config.hidden, config.layers
    return [(config.vocab * h, 1), (4 * h * config.embedding, 1), (4 * h * h, 2 * layers - 1)]


def _lookup(tokens: int) -> list[tuple[int, int]]:
    """Which tokens were looked up, which are the targets, and the loss's weight."""
    return [(TOKEN_BYTES * tokens, 2), (MASTER_BYTES, 1)]


def _state(parameters: int, optimizer: str) -> int:
    """Weights and what the optimizer remembers, fp32."""
    return MASTER_BYTES * (1 + OPTIMIZERS[optimizer].states) * parameters


def _token_data(batch: int, seq: int) -> int:
    """The data set's inputs and targets."""
    return 2 * DATASET_BATCHES * batch * seq * TOKEN_BYTES


def _bytes(dtype: str) -> int:
    """Bytes of an element of what a matmul reads when training in `dtype`."""
    return torch_dtype(dtype).itemsize


def _is_full(dtype: str) -> bool:
    """Whether nothing is cast: the weights themselves are what a matmul reads."""
    return _bytes(dtype) == MASTER_BYTES


def _tensors(*sizes: tuple[int, int]) -> Tensors:
    found: Tensors = Counter()
    for size, count in sizes:
        found[size] += count
    return found
