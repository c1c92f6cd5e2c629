"""The configuration that a model type or a config.json stands for: read, checked and cut.

A model is always Transformers' own class of its `model_type`. Code that a configuration brings with
it (`auto_map`, kernels from a hub) is never run, and what only such code could build is refused.
"""

import difflib
import hashlib
import json
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from hwbench.documents import read_json, walk
from hwbench.inputs import shortened, unknown
from hwbench.records import Param, Unsupported, UserError
from workloads.models.hf.package import causal_model_types, import_auto

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

OWN_CODE = ("auto_map", "trust_remote_code")
"""Keys by which a configuration brings code of its own. They are left out of what is built."""

LARGEST = 2**40
MOST_PARTS = 10_000
COUNTS_PARTS = re.compile("layer|expert")
"""The largest whole number of a configuration; smaller for those that count layers or experts, of
which lists are made before anything can be refused."""

DEEPEST = 20


# Before a run


def check(model: str) -> None:
    """Raise UserError, before anything is measured, for a model that cannot be meant.

    Where Transformers is not installed any model type passes: the worker's interpreter may have it.
    """
    content = read_content(model)
    try:
        types = causal_model_types()
    except Unsupported:
        return
    require_known(content, types)


def positions_of(params: Mapping[str, Param], named: Collection[str]) -> int | None:
    """Look up the positions of a case's model.

    None if they are not known, or if the model is the default one, which has enough.
    """
    if "model" not in named:
        return None
    try:
        config = make_config(read_content(str(params["model"])))
    except Exception:  # noqa: BLE001 - a configuration that cannot be read is reported by the build
        return None
    positions = getattr(config, "max_position_embeddings", None)
    return positions if isinstance(positions, int) and positions > 0 else None


# Reading


def read_content(model: str) -> dict[str, Any]:
    """Read the configuration of a model type or a path. UserError if it asks for what is refused.

    A model type alone stands for {"model_type": …}, the default sizes of its class.
    """
    if "/" not in model and os.sep not in model and not model.endswith(".json"):
        return {"model_type": model}
    path = Path(model)
    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        raise UserError(
            f"{shortened(model)}: no such config.json; nothing is loaded from a hub: "
            "give a model type, e.g. llama, or a local config.json"
        )
    content = read_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("model_type"), str):
        raise UserError(f'{file}: has no "model_type", which names the architecture, e.g. "llama"')
    if content.get("quantization_config"):
        raise UserError(
            f"{file}: quantized weights cannot be drawn at random; remove quantization_config"
        )
    for key, value in content.items():
        if key.endswith("implementation") and "/" in str(value):
            raise UserError(f"{file}: {key} asks for code of a hub, which is never run; remove it")
    try:
        _require_plausible(content)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    return content


def make_config(content: Mapping[str, Any]) -> Any:
    """Make Transformers' configuration object of a configuration's content."""
    classes = import_auto().configuration_auto.CONFIG_MAPPING
    return classes[content["model_type"]].from_dict(_without_code(content))


def digest_of(content: Mapping[str, Any]) -> str:
    """Hash a configuration to twelve hexadecimal digits: SHA-256 of its canonical JSON.

    The version of Transformers that wrote it does not count, nor does code that it brings.
    """
    kept = _without_code(content)
    kept.pop("transformers_version", None)
    canonical = json.dumps(kept, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _without_code(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in OWN_CODE}


# Checks


def _require_plausible(content: Mapping[str, Any]) -> None:
    """Raise UserError for numbers and depths that no model has: some would fill the memory before
    anything could be refused."""
    for key, value, depth in walk(content):
        if isinstance(value, dict | list) and depth >= DEEPEST:
            raise UserError(f"{shortened(key)}: nested deeper than {DEEPEST} levels")
        if isinstance(value, int):
            most = MOST_PARTS if COUNTS_PARTS.search(key) else LARGEST
            if abs(value) > most:
                raise UserError(f"{shortened(key)} = {shortened(value)}: more than {most:,}")


def require_known(content: Mapping[str, Any], types: Mapping[str, Any]) -> None:
    """Raise UserError unless the model is one of the `types` of decoder-only language models, and
    not another that only code of its own could build."""
    name = content["model_type"]
    if name in types:
        named, known = _class_of_own_code(content), types[name]
        if named and named not in ((known,) if isinstance(known, str) else known):
            raise UserError(
                f"{shortened(named)} is code of its own (auto_map), which is never run; "
                f"Transformers builds a {name} as {known}"
            )
        return
    if content.get("auto_map"):
        raise UserError(
            f"{shortened(name)} is code of its own (auto_map), which is never run, and "
            "Transformers has no language model of that type"
        )
    if name in import_auto().configuration_auto.CONFIG_MAPPING_NAMES:
        raise UserError(
            f"{name} is not a decoder-only language model; hf/* takes those, such as gpt2 or llama"
        )
    near = difflib.get_close_matches(name, types, n=3, cutoff=0.5)
    others = "" if near else ", any other of Transformers"
    raise UserError(unknown("model", name, near or VERIFIED) + others)


def require_decoder(name: str, config: Any) -> None:
    """Raise Unsupported for an encoder-decoder, several models, or one that sees later tokens."""
    if config.is_encoder_decoder or getattr(config, "add_cross_attention", False):
        raise Unsupported(
            f"{name} has an encoder; hf/* takes decoder-only models such as gpt2 or llama"
        )
    reads_both_sides = name in import_auto().modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if reads_both_sides and not getattr(config, "is_decoder", True):
        raise Unsupported(
            f"{name} looks at both sides of a token (is_decoder is false): it writes no text"
        )
    if config.sub_configs:
        parts = ", ".join(sorted(config.sub_configs))
        raise Unsupported(
            f"{name} is made of several models ({parts}); take its language model alone"
        )


def _class_of_own_code(content: Mapping[str, Any]) -> str:
    """Name the class of the language model that a configuration brings code for; "" if it brings
    none, or does not say."""
    brought, architectures = content.get("auto_map"), content.get("architectures")
    if not isinstance(brought, dict):
        return ""
    if reference := brought.get("AutoModelForCausalLM"):
        return str(reference).rpartition(".")[2]
    return str(architectures[0]) if isinstance(architectures, list) and architectures else ""


# Changes


def keep_layers(config: Any, layers: int | None) -> None:
    """Cut a configuration to its first layers. Unsupported if it has fewer, or does not say."""
    if layers is None:
        return
    full = getattr(config, "num_hidden_layers", None)
    if full is None or layers > full:
        has = f"has {full} layers, not {layers}" if full else "does not say how many layers it has"
        raise Unsupported(f"{config.model_type} {has}; lower layers or leave it at all")
    # settings with one value a layer, such as which of them have a window
    for key, value in vars(config).items():
        if isinstance(value, list) and len(value) == full:
            setattr(config, key, value[:layers])
    config.num_hidden_layers = layers


def turn_dropout_off(config: Any) -> None:
    """Set every dropout to 0, as in today's pre-training: a step is then the same each time."""
    for key, value in vars(config).items():
        if key.endswith(("dropout", "pdrop")) and isinstance(value, float | int):
            setattr(config, key, 0.0)
