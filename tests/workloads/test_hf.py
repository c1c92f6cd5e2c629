"""Models of Transformers as workloads: their work in closed form, what they are asked for and what
is refused.

What needs the package is skipped where it is not installed; the rest, what configurations are
refused, runs anywhere.
"""

import json
import math
import os
import sys
from importlib.util import find_spec

import pytest
import torch
from conftest import TORCH_WARNS_OF_ITSELF
from torch.utils.flop_counter import FlopCounterMode

from hwbench.accounts.sizes import SIZES
from hwbench.devices import open_device
from hwbench.devices._torch import require_memory
from hwbench.discovery import discover
from hwbench.records import Case, Unsupported, UserError
from hwbench.workload import params_of
from workloads.models.hf import cache as caches
from workloads.models.hf.configuration import VERIFIED
from workloads.models.hf.description import Description, describe

WORKLOADS = {name: workload for name, workload in discover().items() if name.startswith("hf/")}
BATCH, SEQ = 2, 16
HEADS, KV_HEADS, WIDTH, INNER, VOCAB, LAYERS = 4, 2, 32, 48, 100, 2
TINY = {
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "head_dim": WIDTH // HEADS,
    "vocab_size": VOCAB,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": None,
}
TINY_GPT2 = {
    "n_embd": WIDTH,
    "n_layer": LAYERS,
    "n_head": HEADS,
    "vocab_size": VOCAB,
    "n_positions": 64,
}
TINY_GPT2 |= {"bos_token_id": 0, "eos_token_id": 1}
SMALL = {"hf/train": {"batch": BATCH, "seq": SEQ}, "hf/prefill": {"batch": BATCH, "prompt": SEQ}}
SMALL |= {"hf/decode": {"batch": BATCH, "prompt": 8, "new": 4}}
MARKS = {
    "hf/train": ["forward", "backward", "optimizer"],
    "hf/prefill": ["prefill"],
    "hf/decode": ["decode"] * 4,
}

needs_transformers = pytest.mark.skipif(
    find_spec("transformers") is None,
    reason="Transformers is not installed: pip install 'hwbench[hf]'",
)
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def config_file(tmp_path):
    """Writes a config.json and returns its path."""

    def write(content) -> str:
        file = tmp_path / "config.json"
        file.write_text(
            content if isinstance(content, str) else json.dumps(content), encoding="utf-8"
        )
        return str(file)

    return write


def tiny(model_type, **changes):
    return {"model_type": model_type, **(TINY_GPT2 if model_type == "gpt2" else TINY), **changes}


def build(name, model, dtype="fp32", device=None, **given):
    axes = {key: axis.defaults[0] for key, axis in WORKLOADS[name].axes.items() if key != "dtype"}
    given = axes | SMALL[name] | {"model": model} | given
    return WORKLOADS[name].build(params_of(given, dtype), device or open_device("cpu"))


def stepped(built):
    marks = []
    return built.step(marks.append), marks


def asked(model):
    """The value of the axis that a user's word becomes."""
    return WORKLOADS["hf/train"].axes["model"].parse("model", model)


# Steps


@needs_transformers
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("model_type", ["gpt2", "llama"])
def test_steps_and_marks_are_those_of_a_gpt(name, model_type, dtype, config_file):
    built = build(name, config_file(tiny(model_type)), dtype)
    assert not built.compiled
    for _ in range(2):
        assert stepped(built)[1] == MARKS[name]


@needs_transformers
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "gd"])
def test_a_training_step_returns_the_loss_of_a_guess_at_first(optimizer, config_file):
    loss = stepped(build("hf/train", config_file(tiny("qwen2")), optimizer=optimizer))[0]
    assert loss.item() == pytest.approx(math.log(VOCAB), abs=0.2)
    assert not loss.requires_grad


@needs_transformers
def test_decoding_writes_what_generate_writes_and_the_same_in_each_step(config_file, monkeypatch):
    """With a static cache that is wound back between steps."""
    models, written = [], []
    make = Description.build
    monkeypatch.setattr(
        Description, "build", lambda *args: models.append(make(*args)) or models[-1]
    )
    prompts = []
    monkeypatch.setattr(
        "workloads.hf.random_tokens",
        lambda *args: prompts.append(torch.randint(VOCAB, (BATCH, 8))) or prompts[-1],
    )
    built = build("hf/decode", config_file(tiny("llama", initializer_range=0.5)))
    tolist = torch.Tensor.tolist
    monkeypatch.setattr(
        torch.Tensor, "tolist", lambda self: written.append(tolist(self)) or written[-1]
    )
    for _ in range(2):
        stepped(built)
    monkeypatch.undo()
    tokens = models[0].generate(prompts[0], max_new_tokens=5, min_new_tokens=5, do_sample=False)
    expected = [[[token] for token in column] for column in tokens[:, 9:].T.tolist()]
    assert written == expected * 2
    assert len({str(column) for column in expected}) > 1


@needs_transformers
@TORCH_WARNS_OF_ITSELF
@pytest.mark.usefixtures("compile_backend")
def test_compiled_decoding_compiles_once(config_file):
    built = build("hf/decode", config_file(tiny("llama")), compile=True, layers=1)
    assert built.compiled
    with torch._dynamo.config.patch(error_on_recompile=True):
        for _ in range(2):
            assert stepped(built)[1] == MARKS["hf/decode"]


@needs_transformers
def test_a_folder_that_holds_a_configuration_will_do_and_layers_cut_it(config_file, tmp_path):
    config_file(tiny("gpt2"))
    one, two = (describe(str(tmp_path), layers) for layers in (1, None))
    assert two.parameters - one.parameters == 12 * WIDTH**2 + 13 * WIDTH


@needs_transformers
def test_dropout_is_off_and_the_network_is_forbidden():
    described = describe("gpt2")
    assert {
        described.config.resid_pdrop,
        described.config.embd_pdrop,
        described.config.attn_pdrop,
    } == {0.0}
    assert os.environ["HF_HUB_OFFLINE"] == os.environ["TRANSFORMERS_OFFLINE"] == "1"


# What the tables are told


@needs_transformers
def test_choices_say_which_model_it_was(config_file):
    choices = build("hf/decode", config_file(tiny("llama"))).declared.choices
    assert choices["attn_implementation"] == "sdpa"
    assert choices["model_class"] == "LlamaForCausalLM"
    assert (choices["cache"], choices["dropout"]) == ("static", "off")


@needs_transformers
def test_the_digest_is_of_the_configuration_and_not_of_its_place_or_layers(config_file, tmp_path):
    digest = describe(config_file(tiny("llama"))).digest
    moved = tmp_path / "elsewhere.json"
    moved.write_text(
        json.dumps(dict(reversed(tiny("llama", transformers_version="4.0").items())), indent=2)
    )
    assert describe(str(moved), layers=1).digest == digest
    assert describe(config_file(tiny("llama", vocab_size=101))).digest != digest


def test_a_case_leaves_out_what_is_off():
    axes = {name: axis.defaults[0] for name, axis in WORKLOADS["hf/train"].axes.items()}
    case = Case("hf/train", {k: v for k, v in axes.items() if k != "dtype"}, "bf16")
    spelled = Case(
        "hf/train", {"model": "gpt2", "batch": 4, "seq": 512, "optimizer": "adamw"}, "bf16"
    )
    assert case.case_id == spelled.case_id


# Work


@needs_transformers
def test_gpt2_is_this_suites_own_124m_to_the_last_flop_and_byte():
    described, own = describe("gpt2"), SIZES["124m"]
    decoder = described.decoder
    assert described.parameters == decoder.parameters == own.parameters == 124_439_808
    for full in (False, True):
        assert decoder.train_flops(4, 512, full) == own.train_flops(4, 512, full)
        assert decoder.prefill_flops(4, 512, full) == own.prefill_flops(4, 512, full)
    assert decoder.decode_flops(3, 100) == own.decode_flops(3, 100)
    for optimizer in ("adamw", "sgd", "gd"):
        assert decoder.train_bytes(4, 512, optimizer) == own.train_bytes(4, 512, optimizer)
    for dtype in ("fp32", "bf16"):
        assert decoder.prefill_bytes(4, 512, dtype) == own.prefill_bytes(4, 512, dtype)
        assert decoder.decode_bytes(3, 100, dtype) == own.decode_bytes(3, 100, dtype)


@needs_transformers
def test_llama_7b_has_its_published_size_and_palms_flops():
    """Touvron et al. 2023 (Llama 2): 6.7B parameters. PaLM, appendix B: 6N + 12LHQT a token, causal
    halved."""
    decoder = describe("llama").decoder
    assert decoder.parameters == 6_738_415_616
    # but for the embedding and the norms
    multiplying = decoder.parameters - 32000 * 4096 - (2 * 32 + 1) * 4096
    assert decoder.train_flops(1, 2048, full_attention=True) == 2048 * (
        6 * multiplying + 12 * 32 * 4096 * 2048
    )
    assert decoder.train_flops(1, 2048) == 2048 * (6 * multiplying + 6 * 32 * 4096 * 2049)


@needs_transformers
@pytest.mark.parametrize("model_type", VERIFIED)
def test_flops_are_those_that_torch_counts(model_type, config_file):
    """Eager attention is made of matmuls over all pairs, so that the counter sees it."""
    described = describe(
        config_file(tiny(model_type, attn_implementation="eager", tie_word_embeddings=False))
    )
    assert described.attention == "eager"
    model = described.build(torch.device("cpu"))
    tokens = torch.randint(VOCAB, (BATCH, SEQ))
    with FlopCounterMode(display=False) as counter:
        model(input_ids=tokens, labels=tokens, use_cache=False).loss.backward()
    assert model_flops(counter) == described.decoder.train_flops(BATCH, SEQ, full_attention=True)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=tokens, logits_to_keep=1)
    assert model_flops(counter) == described.decoder.prefill_flops(BATCH, SEQ, full_attention=True)


def model_flops(counter: FlopCounterMode) -> int:
    """What torch counted, without the angles of rotary positions: Transformers before 5.24 makes
    them by a matmul."""
    modules = counter.get_flop_counts().items()
    angles = sum(
        sum(operators.values()) for module, operators in modules if module.endswith("rotary_emb")
    )
    return counter.get_total_flops() - angles


@needs_transformers
def test_the_cache_is_as_large_as_declared(config_file):
    described = describe(config_file(tiny("mistral", sliding_window=12)))
    cache = caches.static_cache(described.config, 32)
    model = described.build(torch.device("cpu"), torch.bfloat16)
    model(input_ids=torch.randint(VOCAB, (BATCH, 8)), **{caches.cache_argument(model): cache})
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert (
        held
        == described.decoder.kv_cache_bytes(BATCH, 32, "bf16")
        == 2 * 2 * BATCH * LAYERS * 12 * WIDTH // 2
    )


@needs_transformers
def test_work_is_what_the_decoder_says(config_file):
    model = config_file(tiny("llama"))
    decoder = describe(model).decoder
    built = build("hf/train", model, optimizer="gd")
    assert (built.work.tokens, built.work.flops) == (8 * SEQ, decoder.train_flops(8, SEQ))
    assert built.work.bytes == decoder.train_bytes(BATCH, SEQ, "gd")
    spans = built.declared.spans
    assert set(spans) == set(MARKS["hf/train"])
    assert spans["forward"].flops + spans["backward"].flops == built.work.flops
    full = spans["forward"].flops_full_attention + spans["backward"].flops_full_attention
    assert (
        full == built.work.flops_full_attention == decoder.train_flops(8, SEQ, full_attention=True)
    )
    work = build("hf/prefill", model).work
    assert (work.tokens, work.flops) == (BATCH * SEQ, decoder.prefill_flops(BATCH, SEQ))
    built = build("hf/decode", model)
    assert built.work.tokens == BATCH * 4
    assert built.work.flops == sum(decoder.decode_flops(BATCH, index) for index in (8, 9, 10, 11))
    assert built.work.bytes == sum(
        decoder.decode_bytes(BATCH, index, "fp32") for index in (8, 9, 10, 11)
    )
    assert built.declared.spans == {"decode": built.work}


@needs_transformers
def test_of_an_architecture_that_was_not_verified_only_the_tokens_are_known(config_file):
    model = config_file(
        tiny("qwen3_moe", num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16)
    )
    for name, tokens in (
        ("hf/train", BATCH * SEQ),
        ("hf/prefill", BATCH * SEQ),
        ("hf/decode", BATCH * 4),
    ):
        work = build(name, model).work
        assert (work.tokens, work.flops, work.bytes, work.flops_full_attention) == (
            tokens,
            None,
            None,
            None,
        )


# Refusals


@needs_transformers
@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("lama", "unknown model 'lama'; did you mean .*llama"),
        (
            "zzzzzzzzzz",
            "unknown model 'zzzzzzzzzz'; there is gemma, gpt2, .*, any other of Transformers",
        ),
        ("vit", "vit is not a decoder-only language model"),
    ],
)
def test_a_model_type_that_there_is_not(model, said):
    with pytest.raises(UserError, match=said):
        asked(model)
    with pytest.raises(Unsupported, match=said):
        describe(model)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{not json", "config.json: not JSON: Expecting property name"),
        ("\x00\xff", "config.json: not JSON"),
        ("[" * 100_000, "config.json: not JSON"),
        ('["gpt2"]', 'config.json: has no "model_type"'),
        ({"architectures": ["GPT2LMHeadModel"]}, 'config.json: has no "model_type"'),
        ({"model_type": 7}, 'config.json: has no "model_type"'),
        (
            {"model_type": "llama", "auto_map": {"AutoConfig": "x.Y"}},
            r"asks for code of its own \(auto_map\)",
        ),
        (
            {"model_type": "llama", "trust_remote_code": True},
            r"asks for code of its own \(trust_remote_code\)",
        ),
        ({"model_type": "llama", "quantization_config": {"bits": 4}}, "remove quantization_config"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_configuration_that_cannot_be_meant(content, said, config_file):
    with pytest.raises(UserError, match=said) as refusal:
        asked(config_file(content))
    assert "\n" not in str(refusal.value)
    with pytest.raises(Unsupported, match=said):
        describe(config_file(content))


@pytest.mark.parametrize(
    "model", ["no/such/folder", "meta-llama/Llama-3.1-8B", "missing.json", "/"]
)
def test_a_path_without_a_configuration_is_no_name_on_a_hub(model):
    with pytest.raises(UserError, match=r"no such config\.json; nothing is loaded from a hub"):
        asked(model)


def test_without_transformers_the_extra_is_named_and_a_plan_goes_on(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert asked("whatever") == "whatever"  # for the worker to say
    with pytest.raises(Unsupported, match=r"needs Transformers, .*: pip install 'hwbench\[hf\]'"):
        build("hf/train", "gpt2")


@needs_transformers
def test_an_older_transformers_is_refused(monkeypatch):
    import transformers

    monkeypatch.setattr(transformers, "__version__", "5.9.1")
    with pytest.raises(Unsupported, match=r"needs Transformers 5\.17 or newer, not 5\.9\.1"):
        describe("gpt2")


@needs_transformers
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"model_type": "bart"}, "bart has an encoder"),
        (tiny("gpt2", add_cross_attention=True), "gpt2 has an encoder"),
        ({"model_type": "bert"}, "bert looks at both sides of a token"),
        (
            {"model_type": "gemma3"},
            r"gemma3 is made of several models \(text_config, vision_config\)",
        ),
        (
            tiny("llama", num_attention_heads=5),
            "cannot build this llama: .*not a multiple of the number of attention",
        ),
        (tiny("gpt2", n_head=5), "cannot build this gpt2: .*must be divisible by num_heads"),
        (tiny("llama", hidden_size="wide"), "cannot build this llama: "),
        (tiny("llama", hidden_act="no such"), "cannot build this llama: "),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_configuration_that_is_none_of_a_language_model_or_does_not_work_out(
    content, said, config_file
):
    with pytest.raises(Unsupported, match=said) as refusal:
        describe(config_file(content))
    assert "\n" not in str(refusal.value)


@needs_transformers
@pytest.mark.parametrize(
    ("name", "given"),
    [("hf/train", {"seq": 65}), ("hf/prefill", {"prompt": 65}), ("hf/decode", {"prompt": 61})],
)
def test_a_sequence_beyond_the_positions_is_unsupported(name, given, config_file):
    with pytest.raises(
        Unsupported, match="llama has 64 positions, but the sequence has 65 tokens; shorten it"
    ):
        build(name, config_file(tiny("llama")), **given)


@needs_transformers
def test_more_layers_than_there_are_is_unsupported(config_file):
    with pytest.raises(Unsupported, match="llama has 2 layers, not 3"):
        build("hf/train", config_file(tiny("llama")), layers=3)


@needs_transformers
def test_decoding_without_a_cache_that_can_be_wound_back_is_unsupported(config_file):
    with pytest.raises(Unsupported, match="the cache of mistral keeps only a window or a state"):
        build("hf/decode", config_file(tiny("mistral", sliding_window=10)))
    mamba = {
        "model_type": "mamba",
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "vocab_size": VOCAB,
        "state_size": 4,
    }
    with pytest.raises(
        Unsupported, match="needs a static cache, which Transformers does not have for mamba"
    ):
        build("hf/decode", config_file(mamba))
    assert stepped(build("hf/prefill", config_file(mamba)))[1] == ["prefill"]


class SmallDevice:
    """A CPU of one megabyte, on which any model that is made is a mistake."""

    torch = torch.device("cpu")

    def require(self, dtype, state_bytes=0):
        require_memory(state_bytes, 10**6, "this one")


@needs_transformers
@pytest.mark.parametrize(
    ("name", "model", "gib"),
    [
        ("hf/train", "llama", 16 * 6_738_415_616 / 2**30),
        ("hf/decode", "gpt2", 124_439_808 * 4 / 2**30),
    ],
)
def test_what_cannot_fit_is_refused_before_anything_is_allocated(name, model, gib, monkeypatch):
    monkeypatch.setattr(Description, "build", lambda *args: pytest.fail("built"))
    with pytest.raises(Unsupported, match=rf"needs at least {gib:.1f} GiB, this one has 0\.0 GiB"):
        build(name, model, device=SmallDevice())
