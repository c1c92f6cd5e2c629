"""Closed forms of any decoder; those that Transformers builds are counted in test_hf.py."""

from hwbench.accounts.decoder import Decoder

WINDOWED = Decoder(
    parameters=10_000,
    block_weights=3_000,
    width=10,
    vocab=200,
    positions=0,
    tied=False,
    query_width=8,
    kv_width=4,
    windows=(None, 3),
)


def test_window_hides_earlier_tokens():
    pairs = 5 * 6 // 2 + (1 + 2 + 3 + 3 + 3)
    causal = WINDOWED.forward_flops(2, 5)
    assert causal == 2 * (5 * (2 * 3_000 + 2 * 10 * 200) + 4 * 8 * pairs)
    hidden = WINDOWED.forward_flops(2, 5, full_attention=True) - causal
    assert hidden == 2 * 4 * 8 * (50 - pairs)
    assert WINDOWED.decode_flops(1, 9) == 2 * 3_000 + 4 * 8 * (10 + 3) + 2 * 10 * 200
    assert sum(WINDOWED.decode_flops(1, i) for i in range(5)) == WINDOWED.forward_flops(1, 5)


def test_untied_token_table_is_read_by_the_rows_in_use():
    read = 10_000 - (200 - 2 * 5) * 10
    assert WINDOWED.prefill_bytes(2, 5, "bf16") == 2 * (read + 2 * 2 * 4 * (5 + 3))
    assert WINDOWED.train_bytes(2, 5, "sgd") == 4 * (read + (read - 10 * 10) + 10_000 + 3 * 10_000)
