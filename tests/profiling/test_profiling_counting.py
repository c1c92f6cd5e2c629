"""FLOPs, bytes and memory of operators, against closed forms and brute force."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from hwbench.profiling.counting import Counted
from hwbench.profiling.events import Event
from hwbench.profiling.traffic import stored_bytes

FP32 = 4


def costs(step, name, *shapes, model=None):
    counted = Counted(model)
    counted.count(step)
    return counted.cost_of(Event(name, 0, 1, shapes=shapes))


def costs_by_name(counted):
    """The FLOPs and bytes of the calls of each operator, whatever its dtype."""
    return {name: alike for (name, _, dtype), alike in counted._costs.items() if not dtype}


def run(function):
    return lambda mark: function()


def test_cost_of_matrix_product():
    a, b = torch.randn(3, 4), torch.randn(4, 5)
    cost = costs(run(lambda: a @ b), "aten::mm", (3, 4), (4, 5))
    assert cost == (2 * 3 * 4 * 5, FP32 * (12 + 20 + 15))


def test_cost_of_bmm_and_addmm():
    a, b, c = torch.randn(2, 3, 4), torch.randn(2, 4, 5), torch.randn(5)
    assert costs(run(lambda: a @ b), "aten::bmm", (2, 3, 4), (2, 4, 5))[0] == 2 * 2 * 3 * 4 * 5
    step = run(lambda: F.linear(a[0], b[0].t().contiguous(), c))
    assert costs(step, "aten::addmm", (5,), (3, 4), (4, 5)) == (120, FP32 * (5 + 12 + 20 + 15))


@torch.inference_mode()
def test_composite_operator_is_decomposed_in_inference_mode():
    a, b = torch.randn(3, 4), torch.randn(5, 4)
    assert costs(run(lambda: F.linear(a, b)), "aten::mm", (3, 4), (4, 5))[0] == 120


@pytest.mark.parametrize(("causal", "pairs"), [(False, 36), (True, 21)])
def test_attention_on_cpu_counts_unmasked_pairs(causal, pairs):
    """6 tokens: 36 pairs, of which a causal mask leaves 21. Two products forward, five backward."""
    size = (2, 3, 6, 8)
    q, k, v = (torch.randn(size, requires_grad=True) for _ in range(3))

    def step(mark):
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            F.scaled_dot_product_attention(q, k, v, is_causal=causal).sum().backward()

    counted = Counted(None)
    counted.count(step)
    name = "aten::_scaled_dot_product_flash_attention_for_cpu"
    product = 2 * 2 * 3 * 8 * pairs
    assert counted.cost_of(Event(name, 0, 1, shapes=(size,) * 3)) == (
        2 * product,
        FP32 * (4 * 2 * 3 * 6 * 8 + 2 * 3 * 6),
    )
    backward = Event(f"{name}_backward", 0, 1, shapes=(*(size,) * 5, (2, 6, 3)))
    backward_flops = counted.cost_of(backward)[0]
    if backward_flops is None:  # the last tensor is transposed in other versions of torch
        transposed = replace(backward, shapes=(*(size,) * 5, (2, 3, 6)))
        backward_flops = counted.cost_of(transposed)[0]
    assert backward_flops == 5 * product


def test_cost_of_onednn_lstm_layer_and_its_backward():
    layer = nn.LSTM(8, 16, 1)
    given = torch.randn(5, 3, 8)

    def step(mark):
        layer(given)[0].sum().backward()

    counted = Counted(layer)
    counted.count(step)
    layers = {name: alike for name, alike in costs_by_name(counted).items() if "rnn_layer" in name}
    flops = [cost[0] for alike in layers.values() for cost in alike]
    forward = 2 * 5 * 3 * (4 * 16 * 8 + 4 * 16 * 16)
    assert flops == [forward, 2 * forward]


def test_views_and_copies_have_no_flops():
    a = torch.randn(4, 6)
    assert costs(run(a.t), "aten::t", (4, 6)) == (0, 0)
    assert costs(run(lambda: a.to(torch.bfloat16)), "aten::_to_copy", (4, 6)) == (0, 24 * (4 + 2))
    assert costs(run(lambda: torch.empty(9)), "aten::empty") == (0, 0)


def test_tensor_changed_in_place_is_read_and_written():
    a, b = torch.randn(10), torch.randn(10)
    assert costs(run(lambda: a.add_(b)), "aten::add_", (10,), (10,)) == (10, FP32 * 30)
    assert costs(run(lambda: a.copy_(b)), "aten::copy_", (10,), (10,)) == (0, FP32 * 20)


def test_embedding_reads_the_rows_that_it_returns():
    table, at = torch.randn(1000, 8), torch.tensor([1, 2, 3])
    cost = costs(run(lambda: F.embedding(at, table)), "aten::embedding", (1000, 8), (3,))
    assert cost == (0, 3 * 8 + 2 * 3 * 8 * 4)


def test_adamw_reads_and_writes_weight_and_moments():
    weight = nn.Parameter(torch.randn(100))
    weight.grad = torch.randn(100)
    optimizer = torch.optim.AdamW([weight], fused=True)
    optimizer.step()
    counted = Counted(None)
    counted.count(run(optimizer.step))
    _, moved = costs_by_name(counted)["aten::_fused_adamw_"][0]
    # weight, two moments: read and written; gradient: read
    assert moved == pytest.approx(FP32 * 700, abs=32)


def test_loss_reads_one_probability_per_row_and_its_gradient_writes_all():
    given, target = torch.randn(7, 50, requires_grad=True), torch.randint(50, (7,))
    counted = Counted(None)
    counted.count(lambda mark: F.cross_entropy(given, target).backward())
    found = costs_by_name(counted)
    assert found["aten::nll_loss_forward"] == [(7, 7 * 8 + 2 * FP32)]
    assert found["aten::nll_loss_backward"] == [(7, 7 * 8 + 2 * FP32 + 7 * 50 * FP32)]


def test_expanded_dimension_is_stored_once():
    assert stored_bytes(torch.randn(1, 5).expand(7, 5)) == 20
    assert stored_bytes(torch.empty(0, 5)) == 0


def test_cost_of_grouped_convolution_and_its_backward():
    """[2, 4, 6, 6] through 4 filters of 3 × 3, a channel each (depthwise): 2·9 FLOPs for each of
    2·4·4·4 outputs."""
    given = torch.randn(2, 4, 6, 6, requires_grad=True)
    weight = torch.randn(4, 1, 3, 3, requires_grad=True)
    counted = Counted(None)
    counted.count(lambda mark: F.conv2d(given, weight, groups=4).sum().backward())
    found = costs_by_name(counted)
    assert found["aten::convolution"][0][0] == 2 * 9 * 128
    assert found["aten::convolution_backward"][0][0] == 2 * 2 * 9 * 128


def test_writing_rows_moves_only_these_rows():
    cache, row, at = torch.zeros(1000, 8), torch.randn(1, 8), torch.tensor([3])
    sizes = (1000, 8), (1,), (1, 8)
    copied = costs(run(lambda: cache.index_copy_(0, at, row)), "aten::index_copy_", *sizes)
    assert copied == (0, 8 + 64)
    added = costs(run(lambda: cache.index_add_(0, at, row)), "aten::index_add_", *sizes)
    assert added[1] == 8 + 96


def test_cost_depends_on_dtype():
    wide, narrow = torch.randn(10), torch.randn(10, dtype=torch.bfloat16)
    counted = Counted(None)
    counted.count(run(lambda: (wide * wide, narrow * narrow)))
    sizes = ((10,), (10,))
    assert counted.cost_of(Event("aten::mul", 0, 1, shapes=sizes, dtype="fp32")) == (10, 120)
    assert counted.cost_of(Event("aten::mul", 0, 1, shapes=sizes, dtype="bf16")) == (10, 60)


def test_product_without_formula_is_unknown():
    a, b = torch.randn(2, 3, 4), torch.randn(2, 4, 5)
    step = run(lambda: torch.addbmm(torch.zeros(3, 5), a, b))
    assert costs(step, "aten::addbmm", (3, 5), (2, 3, 4), (2, 4, 5))[0] is None


def test_operator_that_was_not_counted_is_unknown():
    assert costs(run(lambda: None), "aten::mm", (1, 1)) == (None, None)


@pytest.fixture(scope="module")
def rows():
    """The memory timeline of a layer of 1000 × 1000 (4 MB) on 10 rows, trained by AdamW."""
    torch.manual_seed(0)
    model = nn.Linear(1000, 1000, bias=False)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    data = torch.randn(10, 1000)

    def step(mark):
        loss = model(data).square().mean()
        mark("forward")
        loss.backward()
        mark("backward")
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        mark("optimizer")

    step(lambda name: None)
    counted = Counted(model)
    counted.count(step)
    memory = vars(counted.memory())
    return [dict(zip(memory, values, strict=True)) for values in zip(*memory.values(), strict=True)]


def test_product_that_was_not_counted_is_derived_from_sizes():
    """As inside a compiled graph, whose calls cannot be intercepted."""
    counted = Counted(None)
    shapes = ((8,), (4, 6), (6, 8))
    assert counted.cost_of(Event("aten::addmm", 0, 1, shapes=shapes, dtype="bf16")) == (
        384,
        2 * (8 + 24 + 48 + 32),
    )
    assert counted.cost_of(Event("aten::bmm", 0, 1, shapes=((2, 4, 6), (2, 6, 8)))) == (768, None)


class TestMemory:
    def test_first_row_has_storages_from_before_the_step(self, rows):
        first = rows[0]
        assert (first["weights_bytes"], first["other_bytes"]) == (4_000_000, 40_000)
        # two moments and the count of steps
        assert first["optimizer_bytes"] == pytest.approx(8_000_000, abs=8)

    def test_output_is_kept_for_backward(self, rows):
        last = [row for row in rows if row["span"] == "forward"][-1]
        assert (last["activations_bytes"], last["gradients_bytes"]) == (40_000, 0)

    def test_gradient_exists_from_backward_to_update(self, rows):
        by_span = {"forward": [], "backward": [], "optimizer": []}
        for row in rows:
            by_span[row["span"]].append(row)
        assert by_span["backward"][-1]["gradients_bytes"] == 4_000_000
        update = next(row for row in rows if row["name"] == "aten::_fused_adamw_")
        assert update["gradients_bytes"] == 4_000_000
        assert {row["gradients_bytes"] for row in by_span["forward"]} == {0}
        assert by_span["optimizer"][-1]["activations_bytes"] == 0

    def test_operators_are_in_order(self, rows):
        assert [row["position"] for row in rows] == list(range(len(rows)))
