"""Models of Transformers as workloads: their work in closed form, and what is refused.

Tests that need the package are skipped where it is not installed. Those of refused configurations
run anywhere.
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
from hwbench.records import Case, Unsupported, UserError, Work
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
    """Return a function that writes a config.json and returns its path."""

    def write(content) -> str:
        file = tmp_path / "config.json"
        text = content if isinstance(content, str) else json.dumps(content)
        file.write_text(text, encoding="utf-8")
        return str(file)

    return write


def tiny(model_type, **changes):
    return {"model_type": model_type, **(TINY_GPT2 if model_type == "gpt2" else TINY), **changes}


def build(name, model, dtype="fp32", device=None, **given):
    axes = {key: axis.defaults[0] for key, axis in WORKLOADS[name].axes.items() if key != "dtype"}
    given = axes | SMALL[name] | {"model": model} | given
    return WORKLOADS[name].build(params_of(given, dtype), device or open_device("cpu"))


def run_step(built):
    marks = []
    return built.step(marks.append), marks


def parse(model):
    """Parse a user's word for the axis `model`."""
    return WORKLOADS["hf/train"].axes["model"].parse("model", model)


# Steps


@needs_transformers
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("model_type", ["gpt2", "llama"])
def test_hf_workloads_mark_the_spans_of_a_gpt(name, model_type, dtype, config_file):
    built = build(name, config_file(tiny(model_type)), dtype)
    assert not built.compiled
    for _ in range(2):
        assert run_step(built)[1] == MARKS[name]


@needs_transformers
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "gd"])
def test_first_loss_is_that_of_a_guess(optimizer, config_file):
    loss = run_step(build("hf/train", config_file(tiny("qwen2")), optimizer=optimizer))[0]
    assert loss.item() == pytest.approx(math.log(VOCAB), abs=0.2)
    assert not loss.requires_grad


@needs_transformers
def test_every_decoding_step_writes_what_generate_writes(config_file, monkeypatch):
    """With a static cache that is wound back between steps."""
    prompt, written = torch.randint(2, VOCAB, (BATCH, 8)), []  # generate masks special tokens
    monkeypatch.setattr("workloads.hf.random_tokens", lambda *args: prompt)
    built = build("hf/decode", config_file(tiny("llama", initializer_range=0.5)))
    tolist = torch.Tensor.tolist

    def note(tokens):
        written.append(tolist(tokens))
        return written[-1]

    monkeypatch.setattr(torch.Tensor, "tolist", note)
    for _ in range(2):
        run_step(built)
    monkeypatch.undo()
    tokens = built.model.generate(prompt, max_new_tokens=5, min_new_tokens=5, do_sample=False)
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
            assert run_step(built)[1] == MARKS["hf/decode"]


@needs_transformers
def test_folder_with_a_configuration_is_read_and_cut_to_layers(config_file, tmp_path):
    config_file(tiny("gpt2"))
    one, two = (describe(str(tmp_path), layers) for layers in (1, None))
    assert two.parameters - one.parameters == 12 * WIDTH**2 + 13 * WIDTH


@needs_transformers
def test_dropout_and_the_network_are_off():
    config = describe("gpt2").config
    assert {config.resid_pdrop, config.embd_pdrop, config.attn_pdrop} == {0.0}
    assert os.environ["HF_HUB_OFFLINE"] == os.environ["TRANSFORMERS_OFFLINE"] == "1"


# What the tables record


@needs_transformers
def test_choices_identify_the_model(config_file):
    choices = build("hf/decode", config_file(tiny("llama"))).declared.choices
    assert choices["attn_implementation"] == "sdpa"
    assert choices["model_class"] == "LlamaForCausalLM"
    assert (choices["cache"], choices["dropout"]) == ("static", "off")


@needs_transformers
def test_digest_depends_on_the_configuration_only(config_file, tmp_path):
    digest = describe(config_file(tiny("llama"))).digest
    moved = tmp_path / "elsewhere.json"
    content = tiny("llama", transformers_version="4.0")
    moved.write_text(json.dumps(dict(reversed(content.items())), indent=2))
    assert describe(str(moved), layers=1).digest == digest
    assert describe(config_file(tiny("llama", vocab_size=101))).digest != digest


def test_case_id_ignores_axes_that_are_off():
    params = {name: axis.defaults[0] for name, axis in WORKLOADS["hf/train"].axes.items()}
    del params["dtype"]
    on = {"model": "gpt2", "batch": 4, "seq": 512, "optimizer": "adamw"}
    assert Case("hf/train", params, "bf16").case_id == Case("hf/train", on, "bf16").case_id


# Work


@needs_transformers
def test_gpt2_has_the_flops_and_bytes_of_124m():
    description, own = describe("gpt2"), SIZES["124m"]
    decoder = description.decoder
    assert description.parameters == decoder.parameters == own.parameters == 124_439_808
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
    """Touvron et al. 2023 (Llama 2): 6.7B parameters. PaLM, appendix B: 6N + 12LHQT a token; causal
    attention has half of the second term."""
    decoder = describe("llama").decoder
    assert decoder.parameters == 6_738_415_616
    # without the embedding and the norms
    multiplying = decoder.parameters - 32000 * 4096 - (2 * 32 + 1) * 4096
    full = 2048 * (6 * multiplying + 12 * 32 * 4096 * 2048)
    causal = 2048 * (6 * multiplying + 6 * 32 * 4096 * 2049)
    assert decoder.train_flops(1, 2048, full_attention=True) == full
    assert decoder.train_flops(1, 2048) == causal


@needs_transformers
@pytest.mark.parametrize("model_type", VERIFIED)
def test_flops_equal_torchs_count(model_type, config_file):
    """With eager attention, whose matmuls over all pairs the counter sees."""
    content = tiny(model_type, attn_implementation="eager", tie_word_embeddings=False)
    description = describe(config_file(content))
    assert description.attention == "eager"
    model = description.build(torch.device("cpu"))
    tokens = torch.randint(VOCAB, (BATCH, SEQ))
    with FlopCounterMode(display=False) as counter:
        model(input_ids=tokens, labels=tokens, use_cache=False).loss.backward()
    assert model_flops(counter) == description.decoder.train_flops(BATCH, SEQ, full_attention=True)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=tokens, logits_to_keep=1)
    assert model_flops(counter) == description.decoder.prefill_flops(
        BATCH, SEQ, full_attention=True
    )


def model_flops(counter: FlopCounterMode) -> int:
    """Subtract the angles of rotary positions, which Transformers before 5.24 computes by a
    matmul."""
    counts = counter.get_flop_counts()
    rotary = [operators for module, operators in counts.items() if module.endswith("rotary_emb")]
    return counter.get_total_flops() - sum(sum(operators.values()) for operators in rotary)


@needs_transformers
def test_cache_has_the_declared_bytes(config_file):
    description = describe(config_file(tiny("mistral", sliding_window=12)))
    cache = caches.static_cache(description.config, 32)
    model = description.build(torch.device("cpu"), torch.bfloat16)
    model(input_ids=torch.randint(VOCAB, (BATCH, 8)), **{caches.cache_argument(model): cache})
    allocated = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert allocated == 2 * 2 * BATCH * LAYERS * 12 * WIDTH // 2
    assert allocated == description.decoder.kv_cache_bytes(BATCH, 32, "bf16")


@needs_transformers
def test_workloads_declare_the_work_of_their_decoder(config_file):
    model = config_file(tiny("llama"))
    decoder = describe(model).decoder
    built = build("hf/train", model, optimizer="gd")
    assert (built.work.tokens, built.work.flops) == (8 * SEQ, decoder.train_flops(8, SEQ))
    assert built.work.bytes == decoder.train_bytes(BATCH, SEQ, "gd")
    spans = built.declared.spans
    assert set(spans) == set(MARKS["hf/train"])
    assert spans["forward"].flops + spans["backward"].flops == built.work.flops
    full = spans["forward"].flops_full_attention + spans["backward"].flops_full_attention
    assert full == built.work.flops_full_attention
    assert full == decoder.train_flops(8, SEQ, full_attention=True)
    work = build("hf/prefill", model).work
    assert (work.tokens, work.flops) == (BATCH * SEQ, decoder.prefill_flops(BATCH, SEQ))
    built, indices = build("hf/decode", model), (8, 9, 10, 11)
    assert built.work.tokens == BATCH * 4
    assert built.work.flops == sum(decoder.decode_flops(BATCH, index) for index in indices)
    assert built.work.bytes == sum(decoder.decode_bytes(BATCH, index, "fp32") for index in indices)
    assert built.declared.spans == {"decode": built.work}


@needs_transformers
def test_unverified_architecture_declares_tokens_only(config_file):
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
    model = config_file(tiny("qwen3_moe", **experts))
    tokens = {"hf/train": BATCH * SEQ, "hf/prefill": BATCH * SEQ, "hf/decode": BATCH * 4}
    assert {name: build(name, model).work for name in tokens} == {
        name: Work(tokens=count) for name, count in tokens.items()
    }


# Refusals


@needs_transformers
@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("lama", "unknown model 'lama'; did you mean .*llama"),
        (
            "zzzzzzzzzz",
            "unknown model 'zzzzzzzzzz'; there is gemma, gpt2, .*, any other of Transformers",
        ),
        ("vit", "vit is not a decoder-only language model"),
    ],
)
def test_unknown_model_type_is_refused(model, reason):
    with pytest.raises(UserError, match=reason):
        parse(model)
    with pytest.raises(Unsupported, match=reason):
        describe(model)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{not json", "config.json: not JSON"),
        ("\x00\xff", "config.json: not JSON"),
        ("[" * 100_000, "config.json: not JSON"),
        ('["gpt2"]', 'config.json: has no "model_type"'),
        ({"architectures": ["GPT2LMHeadModel"]}, 'config.json: has no "model_type"'),
        ({"model_type": 7}, 'config.json: has no "model_type"'),
        (
            {"model_type": "llama", "attn_implementation": "someone/attention"},
            "attn_implementation asks for code of a hub, which is never run",
        ),
        (
            tiny("llama", num_hidden_layers=10**9),
            "num_hidden_layers = 1000000000: more than 10,000",
        ),
        (tiny("gpt2", n_layer=10**9), "n_layer = 1000000000: more than 10,000"),
        (tiny("qwen3_moe", num_experts=10**9), "num_experts = 1000000000: more than 10,000"),
        (tiny("llama", hidden_size=10**30), "hidden_size = 10{30}: more than 1,099,511,627,776"),
        (tiny("llama", hidden_size=10**4000), "a number of more than 40 digits: more than"),
        (tiny("llama", x=json.loads("[" * 50 + "]" * 50)), "x: nested deeper than 20 levels"),
        (json.dumps({"model_type": "llama"})[:-1] + ', "x": ' + "9" * 5000 + "}", "not JSON"),
        ({"model_type": "llama", "quantization_config": {"bits": 4}}, "remove quantization_config"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_broken_configuration_is_refused(content, reason, config_file):
    with pytest.raises(UserError, match=reason) as refusal:
        parse(config_file(content))
    assert "\n" not in str(refusal.value)
    with pytest.raises(Unsupported, match=reason):
        describe(config_file(content))


@needs_transformers
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_class_of_transformers_itself_is_built_and_no_code_beside_it_is_run(tmp_path, encoding):
    """As the model hub has many: phi3 came with code of its own until Transformers had it."""
    content = tiny("phi3", architectures=["Phi3ForCausalLM"])
    own_code = {"AutoConfig": "configuration_phi3.Phi3Config", "AutoModel": "modeling_phi3.Phi3"}
    file = tmp_path / "config.json"
    file.write_text(json.dumps(content | {"auto_map": own_code}), encoding=encoding)
    for name in ("configuration_phi3.py", "modeling_phi3.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    described = describe(parse(str(tmp_path)))
    assert described.model_class == "Phi3ForCausalLM"
    assert described.decoder
    assert not hasattr(described.config, "auto_map")
    described.build(torch.device("cpu"))
    assert not (tmp_path / "run").exists()
    file.write_text(json.dumps(content | {"trust_remote_code": True}))
    assert describe(str(file)).digest == described.digest


@needs_transformers
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            {"model_type": "mine", "auto_map": {"AutoConfig": "x.Y"}},
            r"mine is code of its own \(auto_map\), which is never run, and Transformers has no",
        ),
        (
            {"model_type": "llama", "auto_map": {"AutoModelForCausalLM": "hub--modeling.Mine"}},
            r"Mine is code of its own \(auto_map\), .* builds a llama as LlamaForCausalLM",
        ),
        (
            {"model_type": "llama", "architectures": ["Mine"], "auto_map": {"AutoConfig": "x.Y"}},
            r"Mine is code of its own \(auto_map\), .* builds a llama as LlamaForCausalLM",
        ),
    ],
)
def test_a_model_that_only_code_of_its_own_could_build_is_refused(content, reason, config_file):
    with pytest.raises(UserError, match=reason):
        parse(config_file(content))
    with pytest.raises(Unsupported, match=reason):
        describe(config_file(content))


@needs_transformers
@pytest.mark.parametrize(
    "changes",
    [
        *({"hidden_size": size} for size in (0, -1, 33, 1e9, "32", None, float("nan"), [32])),
        *({"num_attention_heads": heads} for heads in (0, -4, 5, 2**39)),
        *({"num_hidden_layers": layers} for layers in (-1, "2", None)),
        *({"vocab_size": size} for size in (0, -1, 2**39)),
        {"max_position_embeddings": -5},
        {"rope_scaling": {"rope_type": "none such"}},
        {"text_config": {"hidden_size": 7}},
        {"torch_dtype": "float1"},
        {"layer_types": ["none such"]},
        {"transformers_version": "99.0"},
    ],
    ids=str,
)
@pytest.mark.parametrize("layers", [None, 1])
def test_any_numbers_are_described_or_refused_in_one_line(changes, layers, config_file):
    try:
        described = describe(config_file(tiny("llama", **changes)), layers)
    except Unsupported as refusal:
        assert "\n" not in str(refusal)  # noqa: PT017 - some are described
    else:
        assert described.parameters > 0


@pytest.mark.parametrize(
    "model", ["no/such/folder", "meta-llama/Llama-3.1-8B", "missing.json", "/"]
)
def test_path_without_a_configuration_is_refused(model):
    with pytest.raises(UserError, match=r"no such config\.json; nothing is loaded from a hub"):
        parse(model)


def test_missing_transformers_is_unsupported_with_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert parse("whatever") == "whatever"  # the worker will refuse it
    with pytest.raises(Unsupported, match=r"needs Transformers, .*: pip install 'hwbench\[hf\]'"):
        build("hf/train", "gpt2")


@needs_transformers
def test_older_transformers_is_unsupported(monkeypatch):
    import transformers

    monkeypatch.setattr(transformers, "__version__", "5.9.1")
    with pytest.raises(Unsupported, match=r"needs Transformers 5\.17 or newer, not 5\.9\.1"):
        describe("gpt2")


@needs_transformers
@pytest.mark.parametrize(
    ("content", "reason"),
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
def test_configuration_of_another_kind_of_model_is_unsupported(content, reason, config_file):
    with pytest.raises(Unsupported, match=reason) as refusal:
        describe(config_file(content))
    assert "\n" not in str(refusal.value)


@needs_transformers
@pytest.mark.parametrize(
    ("name", "given"),
    [("hf/train", {"seq": 65}), ("hf/prefill", {"prompt": 65}), ("hf/decode", {"prompt": 61})],
)
def test_hf_sequence_beyond_the_positions_is_unsupported(name, given, config_file):
    with pytest.raises(
        Unsupported, match="llama has 64 positions, but the sequence has 65 tokens; shorten it"
    ):
        build(name, config_file(tiny("llama")), **given)


@needs_transformers
def test_more_layers_than_the_hf_model_has_is_unsupported(config_file):
    with pytest.raises(Unsupported, match="llama has 2 layers, not 3"):
        build("hf/train", config_file(tiny("llama")), layers=3)


@needs_transformers
def test_decoding_without_a_reversible_cache_is_unsupported(config_file):
    with pytest.raises(Unsupported, match="the cache of mistral keeps only a window or a state"):
        build("hf/decode", config_file(tiny("mistral", sliding_window=10)))
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "vocab_size": VOCAB, "state_size": 4}
    mamba = config_file({"model_type": "mamba", **sizes})
    with pytest.raises(Unsupported, match="static cache, which Transformers does not have for"):
        build("hf/decode", mamba)
    assert run_step(build("hf/prefill", mamba))[1] == ["prefill"]


class SmallDevice:
    """A CPU with one megabyte of memory."""

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
def test_hf_case_that_cannot_fit_is_refused_before_allocation(name, model, gib, monkeypatch):
    monkeypatch.setattr(Description, "build", lambda *args: pytest.fail("built"))
    with pytest.raises(Unsupported, match=rf"needs at least {gib:.1f} GiB, this one has 0\.0 GiB"):
        build(name, model, device=SmallDevice())
