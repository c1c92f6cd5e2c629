"""Models that Hugging Face Transformers builds from a configuration, with random weights and
without any hub.

Transformers is an extra (`hwbench[hf]`) and takes seconds to import, so it is imported when a model
is asked for and no sooner. What a configuration asks for beyond weights of a known class, code of
its own above all, is refused.
"""

import difflib
import hashlib
import importlib
import inspect
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hwbench.inputs import shortened, unknown
from hwbench.records import Param, Unsupported, UserError
from workloads.models.decoder import Decoder

OLDEST = (5, 17)
"""The oldest version that is tested."""

VERIFIED = (
    "gemma",
    "gpt2",
    "gpt_neox",
    "granite",
    "llama",
    "mistral",
    "olmo2",
    "phi3",
    "qwen2",
    "qwen3",
    "starcoder2",
)
"""Model types whose closed forms are tested against torch's own count of FLOPs
(tests/workloads/test_hf.py)."""


@dataclass(frozen=True)
class Described:
    """A configuration ready to build, and what was made of it: its class, its size, its work where
    that is known."""

    config: Any
    model_class: str
    attention: str
    state: int  # elements of weights and buffers
    parameters: int
    decoder: Decoder | None  # None: no closed form is known
    digest: str

    def choices(self, **more: str) -> dict[str, str]:
        """What the tables are told: enough to tell two models apart that were asked for by the same
        word."""
        return {
            "attn_implementation": self.attention,
            "model_class": self.model_class,
            "config_sha256": self.digest,
            "dropout": "off",
            "transformers": _transformers().__version__,
            **more,
        }

    def require_positions(self, tokens: int) -> None:
        """Unsupported if a sequence of `tokens` is longer than what the configuration was made
        for."""
        positions = getattr(self.config, "max_position_embeddings", None)
        if positions is not None and tokens > positions:
            raise Unsupported(
                f"{self.config.model_type} has {positions} positions, a sequence of {tokens} asked for; shorten it"
            )

    def build(self, device: torch.device, dtype: torch.dtype = torch.float32) -> Any:
        """The model with the random weights of its class, drawn on `device` itself."""
        return _built(self.config, device, dtype)


def static_cache(config: Any, length: int) -> Any:
    """Transformers' cache of a fixed `length`, allocated when the first tokens are read."""
    return _transformers().StaticCache(config, max_cache_len=length)


def cache_argument(model: Any) -> str:
    """The name by which a forward pass takes its cache: `cache`, or `past_key_values` in
    Transformers before 5.24."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


def can_wind_back(cache: Any, length: int) -> bool:
    """Whether a static cache for `length` positions can forget its newest tokens.

    Before 5.24 Transformers calls no static layer croppable; a plain one that holds every position
    is.
    """
    layers = _transformers().cache_utils
    plain = (layers.StaticLayer, layers.StaticSlidingWindowLayer)
    return all(
        layer.is_croppable or (type(layer) in plain and layer.max_cache_len == length)
        for layer in cache.layers
    )


def wind_back(cache: Any, tokens: int) -> None:
    """Makes a static cache that `can_wind_back` forget its newest `tokens`."""
    for layer in cache.layers:
        if layer.is_croppable:
            layer.crop(-tokens)
            continue
        layer.cumulative_length.sub_(tokens)  # in place, as layers of 5.24 do
        if layer.is_sliding:
            layer.cumulative_length_int -= tokens


# What was asked for


def check(model: str) -> None:
    """UserError, before anything is measured, for a model that cannot be meant. Where Transformers
    is not installed a model type may be anything: the worker's interpreter may have it."""
    asked = _asked(model)
    try:
        names = _causal_names()
    except Unsupported:
        return
    _require_known(asked["model_type"], names)


def positions_of(params: Mapping[str, Param], named: Collection[str]) -> int | None:
    """The positions of a case's model; None if it is the default one, which has enough, or if they
    are not known."""
    if "model" not in named:
        return None
    try:
        content = _asked(str(params["model"]))
        config = (
            _auto()
            .configuration_auto.CONFIG_MAPPING[content["model_type"]]
            .from_dict(dict(content))
        )
    except Exception:  # noqa: BLE001 - a configuration that cannot be read is told of when it is built
        return None
    positions = getattr(config, "max_position_embeddings", None)
    return positions if isinstance(positions, int) and positions > 0 else None


def describe(model: str, layers: int | None = None) -> Described:
    """What `model`, a model type or a path of a config.json, would be if it were built with its
    first `layers`.

    Nothing is allocated: the model is made on torch's meta device. Unsupported, in one line, if
    Transformers is not there, if it cannot build that, or if that is no language model which writes
    from left to right.
    """
    try:
        content = _asked(model)
        _require_known(content["model_type"], _causal_names())
    except UserError as error:
        raise Unsupported(str(error)) from error
    name = content["model_type"]
    config = _tried(
        name, lambda: _auto().configuration_auto.CONFIG_MAPPING[name].from_dict(dict(content))
    )
    _require_decoder(name, config)
    digest = _digest(content if len(content) > 1 else config.to_dict())
    _keep_layers(config, layers)
    _without_dropout(config)
    empty = _tried(name, lambda: _built(config, torch.device("meta"), torch.float32))
    return Described(
        config=config,
        model_class=type(empty).__name__,
        attention=str(config._attn_implementation),
        state=sum(tensor.numel() for tensor in [*empty.parameters(), *empty.buffers()]),
        parameters=sum(parameter.numel() for parameter in empty.parameters()),
        decoder=_decoder(config, empty),
        digest=digest,
    )


def _asked(model: str) -> dict[str, Any]:
    """The configuration that a model type or a path stands for, checked for what is never run."""
    if "/" not in model and os.sep not in model and not model.endswith(".json"):
        return {"model_type": model}
    path = Path(model)
    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        raise UserError(
            f"{shortened(model)}: no such config.json; nothing is loaded from a hub: give a model type, e.g. llama, "
            "or a local config.json"
        )
    try:
        content = json.loads(file.read_bytes())
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: not JSON: {_last_line(error)}") from error
    if not isinstance(content, dict) or not isinstance(content.get("model_type"), str):
        raise UserError(
            f'{file}: no "model_type" in it; a configuration names the architecture, e.g. "llama"'
        )
    if code := next((key for key in ("auto_map", "trust_remote_code") if content.get(key)), None):
        raise UserError(
            f"{file}: asks for code of its own ({code}), which is never run; remove that line if Transformers itself "
            f"has {content['model_type']}"
        )
    if content.get("quantization_config"):
        raise UserError(
            f"{file}: quantized weights cannot be drawn at random; remove quantization_config"
        )
    return content


def _require_known(name: str, names: Mapping[str, Any]) -> None:
    if name in names:
        return
    if name in _auto().configuration_auto.CONFIG_MAPPING_NAMES:
        raise UserError(
            f"{name} is no decoder-only language model; hf/* takes those, such as gpt2 or llama"
        )
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    raise UserError(
        unknown("model", name, near or VERIFIED) + ("" if near else ", any other of Transformers")
    )


def _require_decoder(name: str, config: Any) -> None:
    """Unsupported for models of two halves, of several senses, or that see what comes after."""
    if config.is_encoder_decoder or getattr(config, "add_cross_attention", False):
        raise Unsupported(
            f"{name} has an encoder; hf/* takes decoder-only models such as gpt2 or llama"
        )
    reads_both_sides = name in _auto().modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if reads_both_sides and not getattr(config, "is_decoder", True):
        raise Unsupported(
            f"{name} looks at both sides of a token (is_decoder is false): it writes no text"
        )
    if config.sub_configs:
        parts = ", ".join(sorted(config.sub_configs))
        raise Unsupported(
            f"{name} is made of several models ({parts}); take its language model alone"
        )


# Transformers


def _transformers() -> Any:
    """The package, told beforehand to stay away from the network. Unsupported where it is missing
    or too old."""
    os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
    try:
        package = importlib.import_module("transformers")
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise Unsupported(
            "needs Transformers, which is not installed: pip install 'hwbench[hf]'"
        ) from error
    version = tuple(int(part) for part in package.__version__.split(".")[:2])
    if version < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise Unsupported(
            f"needs Transformers {oldest} or newer, not {package.__version__}: pip install 'hwbench[hf]'"
        )
    return package


def _auto() -> Any:
    _transformers()
    return importlib.import_module("transformers.models.auto")


def _causal_names() -> Mapping[str, Any]:
    """Model types with a head for language modelling, as Transformers lists them."""
    names: Mapping[str, Any] = _auto().modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return names


def _keep_layers(config: Any, layers: int | None) -> None:
    """Cut a configuration to its first layers. Unsupported if it has not so many, or none that can
    be counted."""
    if layers is None:
        return
    full = getattr(config, "num_hidden_layers", None)
    if full is None or layers > full:
        has = f"has {full} layers" if full else "has no number of layers"
        raise Unsupported(
            f"{config.model_type} {has}, {layers} asked for; lower layers or leave it at all"
        )
    # what is said layer by layer, such as which of them have a window
    for key, value in vars(config).items():
        if isinstance(value, list) and len(value) == full:
            setattr(config, key, value[:layers])
    config.num_hidden_layers = layers


def _without_dropout(config: Any) -> None:
    """Off, as in today's pre-training, and so that a step is the same each time."""
    for key, value in vars(config).items():
        if key.endswith(("dropout", "pdrop")) and isinstance(value, float | int):
            setattr(config, key, 0.0)


def _built(config: Any, device: torch.device, dtype: torch.dtype) -> Any:
    with device:
        return _transformers().AutoModelForCausalLM.from_config(config, dtype=dtype)


def _tried(name: str, make: Any) -> Any:
    """What `make` returns; whatever Transformers says against a configuration becomes the
    reason."""
    try:
        return make()
    except Unsupported:
        raise
    except Exception as error:  # each class checks its configuration, or not, in its own way
        raise Unsupported(f"Transformers cannot build this {name}: {_last_line(error)}") from error


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    line = lines[-1].strip() if lines else type(error).__name__
    return line if len(line) <= 200 else line[:199] + "…"


def _digest(content: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits of SHA-256 over a configuration as canonical JSON, but for the
    version it came from."""
    said = {key: value for key, value in content.items() if key != "transformers_version"}
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _decoder(config: Any, model: torch.nn.Module) -> Decoder | None:
    """The closed form of a verified architecture; None for any other."""
    if config.model_type not in VERIFIED or config.is_heterogeneous:
        return None
    head, tokens = model.get_output_embeddings(), model.get_input_embeddings()  # type: ignore[operator] # Module's attributes are untyped
    tables = [m for m in model.modules() if isinstance(m, torch.nn.Embedding) and m is not tokens]
    heads = config.num_attention_heads
    head_width = getattr(config, "head_dim", None) or config.hidden_size // heads
    conv1d = importlib.import_module("transformers.pytorch_utils").Conv1D
    return Decoder(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        block_weights=sum(
            m.weight.numel()
            for m in model.modules()
            if isinstance(m, torch.nn.Linear | conv1d) and m is not head
        ),
        width=config.hidden_size,
        vocab=config.vocab_size,
        positions=sum(table.num_embeddings for table in tables),
        tied=head.weight is tokens.weight,
        query_width=heads * head_width,
        kv_width=(getattr(config, "num_key_value_heads", None) or heads) * head_width,
        windows=_windows(config),
    )


def _windows(config: Any) -> tuple[int | None, ...]:
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None) or ["sliding_attention"] * config.num_hidden_layers
    return tuple(window if kind == "sliding_attention" else None for kind in kinds)
