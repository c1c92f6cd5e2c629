"""The memory that a step needs at its peak, in closed form: known before anything is allocated.

A training step has two fullest moments. As backward begins, all that forward kept is there, and the
loss has its gradients. As backward ends, all gradients are there and nothing else is. In between,
each block frees what it kept and adds its gradients, so the sum moves along a straight line from
one to the other. From step to step there are the weights, the optimizer's state and the data.

What forward keeps was read from torch 2.13 by its hooks
(`torch.autograd.graph.saved_tensors_hooks`), and tests compare the two to the byte. The symbols:

    L layers   d width   H heads   V stored vocabulary   N = BT tokens of a pass
    e bytes of an element of what a matmul reads
    h hidden width of an LSTM   E width of its embedding   i width of a layer's input
    D layers of an MLP          w their width

How much of a device's memory a tensor takes is for the device to say (`footprint_bytes`).
"""

from collections import Counter
from dataclasses import dataclass

from hwbench.accounts.elements import item_bytes
from hwbench.accounts.gpt import GPTConfig
from hwbench.accounts.lstm import LSTMConfig
from hwbench.accounts.mlp import MLPConfig
from hwbench.accounts.updates import DATASET_BATCHES, MASTER_BYTES, OPTIMIZERS, state_bytes

TOKEN_BYTES = 8
"""Token ids are int64."""

LIBRARY_BYTES = {4: 60, 2: 42}
"""What oneDNN keeps of a layer's gates and states for backward, in bytes a token and hidden unit,
by the bytes of an element. Read from torch 2.13 for widths from 512 to 1024, where it is that and
up to 3 % of padding. cuDNN keeps less."""

Tensors = Counter[int]
"""How many tensors there are of each size in bytes."""


@dataclass(frozen=True)
class Training:
    """The parts of a training step's memory, in bytes.

    `state` stays from step to step. `kept` is what forward keeps for backward, and `loss` comes on
    top of it as backward begins. `gradients` is what backward makes, and `last` comes on top of it
    as backward ends. `passes` forward and backward passes are made for one update.
    """

    state: int
    kept: Tensors
    gradients: Tensors
    loss: int
    last: int
    passes: int = 1

    @property
    def peak(self) -> int:
        """Bytes of all tensors at the fullest moment."""
        gradients = total_bytes(self.gradients)
        earlier = gradients if self.passes > 1 else 0  # of the first pass, during the second
        begins = earlier + total_bytes(self.kept) + self.loss
        return self.state + max(begins, gradients + self.last)


def total_bytes(tensors: Tensors) -> int:
    """Sum the bytes of all tensors."""
    return sum(size * count for size, count in tensors.items())


# GPT


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
    """Predict a GPT's training step on batches of `batch` sequences of `seq` tokens.

    Only for a `config` that is_like_gpt2, in fp32 or bf16, without checkpointing, with the loss in
    one part, and with attention that keeps no scores (flash) or with `eager_attention`.

    As backward begins, the gradients of the log-softmax and of the logits are added, 4NV bytes
    each. As it ends, the token table has two gradients, the head's and the look-up's, which become
    one: in place under autocast, and in a third one in fp32, where the head's is a transposed view.
    Compiled, the loss has one gradient, of e bytes an element.
    """
    method, d, vocab = OPTIMIZERS[optimizer], config.width, config.padded_vocab
    tokens, table = method.micro_batch(batch, accumulate) * seq, MASTER_BYTES * vocab * d
    return Training(
        state=state_bytes(config.stored_parameters, optimizer) + _token_data(batch, seq),
        kept=gpt_kept(config, tokens, seq, dtype, compiled, eager_attention),
        gradients=gpt_gradients(config),
        loss=(item_bytes(dtype) if compiled else 2 * MASTER_BYTES) * tokens * vocab,
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
    """List what the loss of N tokens keeps for backward, without the weights themselves.

    Of a block, N(8d + 14de + 16 + 4H) bytes:
    - its input and the sum after attention (4Nd each, fp32);
    - in e bytes an element: both of them normed (Nd each), queries, keys and values (3Nd),
      attention's result (Nd), and the MLP's inner values before and after GELU (4Nd each);
    - two numbers a token of each norm, and one number a head of attention.

    In fp32 that is half of Megatron's 34 bytes Nd and what fp32 doubles (Korthikanti et al. 2022,
    equation 1, without dropout). Eager attention keeps a probability a head and pair of tokens,
    HNTe, instead of the one number a head.

    Then the last norm, and 4NV for the logits' log-softmax; compiled, the logits themselves, NVe,
    and two numbers a token. Under autocast also its copy of each matrix, e(12Ld² + Vd).
    """
    d, e, layers = config.width, item_bytes(dtype), config.layers
    stream, normed, number = MASTER_BYTES * tokens * d, e * tokens * d, MASTER_BYTES * tokens
    queries_keys_values = (normed, 3 * layers) if eager_attention else (3 * normed, layers)
    attention = e * tokens * seq if eager_attention else number
    logits = e * tokens if compiled else number
    copies = [(e * size, count) for size, count in _gpt_matrices(config)]
    return _tensors(
        (stream, 2 * layers + 1),
        (normed, 3 * layers + 1),
        queries_keys_values,
        (4 * normed, 2 * layers),
        (number, 4 * layers + 2),
        (attention * config.heads, layers),
        (logits * config.padded_vocab, 1),
        *_lookup(tokens),
        (TOKEN_BYTES * seq, 1),  # positions
        *([] if _is_full(dtype) else copies),
    )


def gpt_gradients(config: GPTConfig) -> Tensors:
    """List the fp32 gradient of each stored parameter."""
    d, layers = config.width, config.layers
    vectors = [(3 * d, layers), (4 * d, layers), (d, 6 * layers + 2)]
    elements = [*_gpt_matrices(config), (config.positions * d, 1), *vectors]
    return _tensors(*((MASTER_BYTES * size, count) for size, count in elements))


def gpt_inference_bytes(
    config: GPTConfig, batch: int, tokens: int, cached: int, dtype: str, logits: int = 1
) -> int:
    """Predict the peak of inference: weights, a cache of `cached` positions, and working memory.

    Only for a `config` that is_like_gpt2. Working memory is the larger of two: a block at its
    fullest as it reads `tokens` of each sequence at once, and the logits of `logits` positions of
    each. Around GELU there are the block's input, the sum after attention, and the inner values
    twice: N(2d + 8d)e. Beside the logits there is their input, before and after the last norm.
    """
    block = 10 * tokens * config.width
    head = logits * config.padded_vocab + 2 * tokens * config.width
    working = batch * max(block, head) * item_bytes(dtype)
    return config.inference_state_bytes(batch, cached, dtype) + working


def _gpt_matrices(config: GPTConfig) -> list[tuple[int, int]]:
    """Elements of each matrix that multiplies, and how many there are."""
    d, layers = config.width, config.layers
    return [
        (config.padded_vocab * d, 1),
        (3 * d * d, layers),
        (d * d, layers),
        (4 * d * d, 2 * layers),
    ]


# LSTM


def lstm_training(
    config: LSTMConfig,
    batch: int,
    seq: int,
    dtype: str,
    optimizer: str,
    accumulate: int | None = None,
) -> Training:
    """Predict an LSTM's training step on batches of `batch` sequences, computed by oneDNN.

    Its loss begins like a GPT's. As backward ends, the gradients of the first layer's weights are
    there in torch's layout and in the library's.
    """
    method = OPTIMIZERS[optimizer]
    samples = method.micro_batch(batch, accumulate)
    return Training(
        state=state_bytes(config.parameters, optimizer) + _token_data(batch, seq),
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
    """List what the loss keeps for backward, without the weights themselves.

    The looked-up tokens (NEe); of each layer its result (Nhe), its first and last states, and what
    the library keeps of all gates and states (LIBRARY_BYTES); the head's input; and 4NV for the
    log-softmax. Under autocast also its copies of the weights.
    """
    tokens, h, e, layers = batch * seq, config.hidden, item_bytes(dtype), config.layers
    if _is_full(dtype):
        states, copies = [(layers * batch * h * e, 2)], []
    else:
        states = [(batch * h * e, 2 * layers)]
        copies = [(e * size, count) for size, count in _lstm_matrices(config)]
        copies.append((e * 4 * h, 2 * layers))
    return _tensors(
        (e * tokens * config.embedding, 1),
        (e * tokens * h, layers + 1),
        (e * batch * h, 2 * layers),
        *states,
        (LIBRARY_BYTES[e] * batch * (seq + 1) * h, layers),
        (MASTER_BYTES * tokens * config.vocab, 1),
        *_lookup(tokens),
        *copies,
    )


def lstm_forward_bytes(config: LSTMConfig, batch: int, seq: int, dtype: str) -> int:
    """Predict the peak of a forward pass.

    Weights, the tokens, and what is there at the end: the last layer's result and the logits at
    every position.
    """
    elements = config.parameters + batch * seq * (config.hidden + config.vocab)
    return elements * item_bytes(dtype) + batch * seq * TOKEN_BYTES


def _lstm_matrices(config: LSTMConfig) -> list[tuple[int, int]]:
    """Elements of each matrix that multiplies, and how many there are."""
    h, layers = config.hidden, config.layers
    return [(config.vocab * h, 1), (4 * h * config.embedding, 1), (4 * h * h, 2 * layers - 1)]


# MLP


def mlp_training(
    config: MLPConfig, batch: int, dtype: str, optimizer: str, accumulate: int | None = None
) -> Training:
    """Predict a feed-forward network's training step on batches of `batch` vectors.

    The loss has its gradient and that of the result, 4Bw each. Under autocast a weight's gradient
    exists in bf16 while its fp32 one is made; the first layer's is the last.
    """
    method, w, e = OPTIMIZERS[optimizer], config.width, item_bytes(dtype)
    samples = method.micro_batch(batch, accumulate)
    data = 2 * MASTER_BYTES * DATASET_BATCHES * batch * w
    return Training(
        state=state_bytes(config.parameters, optimizer) + data,
        kept=mlp_kept(config, samples, dtype),
        gradients=_tensors((MASTER_BYTES * w * w, config.depth), (MASTER_BYTES * w, config.depth)),
        loss=2 * MASTER_BYTES * samples * w,
        last=0 if _is_full(dtype) else e * w * w,
        passes=method.passes(accumulate),
    )


def mlp_kept(config: MLPConfig, batch: int, dtype: str) -> Tensors:
    """List what the loss keeps for backward, without the weights and the data themselves.

    Of each layer but the last its result, before and after GELU (Bwe each), and the last result
    (4Bw). Under autocast also the copies of the input and of all weights but the first layer's,
    whose input needs no gradient.
    """
    w, e, hidden = config.width, item_bytes(dtype), config.depth - 1
    copies = [] if _is_full(dtype) else [(e * batch * w, 1), (e * w * w, hidden)]
    return _tensors((e * batch * w, 2 * hidden), (MASTER_BYTES * batch * w, 1), *copies)


def mlp_forward_bytes(config: MLPConfig, batch: int, dtype: str) -> int:
    """Predict the peak of a forward pass: weights, the input, and a layer's input and result."""
    return (config.parameters + 3 * batch * config.width) * item_bytes(dtype)


# Shared


def _lookup(tokens: int) -> list[tuple[int, int]]:
    """The looked-up tokens, the targets, and the loss's weight."""
    return [(TOKEN_BYTES * tokens, 2), (MASTER_BYTES, 1)]


def _token_data(batch: int, seq: int) -> int:
    """Bytes of the data set's inputs and targets."""
    return 2 * DATASET_BATCHES * batch * seq * TOKEN_BYTES


def _is_full(dtype: str) -> bool:
    """Whether nothing is cast: a matmul reads the weights themselves."""
    return item_bytes(dtype) == MASTER_BYTES


def _tensors(*sizes: tuple[int, int]) -> Tensors:
    tensors: Tensors = Counter()
    for size, count in sizes:
        tensors[size] += count
    return tensors
