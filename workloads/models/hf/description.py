"""What a model of Transformers would be, before anything is allocated: its class, size and work."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from hwbench.accounts.decoder import Decoder
from hwbench.records import Unsupported, UserError
from workloads.models.hf.configuration import (
    VERIFIED,
    digest_of,
    keep_layers,
    make_config,
    read_content,
    require_decoder,
    require_known,
    turn_dropout_off,
)
from workloads.models.hf.package import causal_model_types, import_transformers, last_line

Made = TypeVar("Made")


@dataclass(frozen=True)
class Description:
    """A configuration ready to build, with the class, the size and the work of its model."""

    config: Any
    model_class: str
    attention: str
    state: int  # elements of weights and buffers
    parameters: int
    decoder: Decoder | None  # None: no closed form is known
    digest: str

    def choices(self, **more: str) -> dict[str, str]:
        """List what tells apart two models that were asked for by the same word, for the tables."""
        return {
            "attn_implementation": self.attention,
            "model_class": self.model_class,
            "config_sha256": self.digest,
            "dropout": "off",
            "transformers": import_transformers().__version__,
            **more,
        }

    def require_positions(self, tokens: int) -> None:
        """Raise Unsupported if a sequence of `tokens` is longer than the model's positions."""
        positions = getattr(self.config, "max_position_embeddings", None)
        if positions is not None and tokens > positions:
            raise Unsupported(
                f"{self.config.model_type} has {positions} positions, but the sequence has "
                f"{tokens} tokens; shorten it"
            )

    def build(self, device: torch.device, dtype: torch.dtype = torch.float32) -> Any:
        """Build the model with the random weights of its class, drawn on `device` itself."""
        return _build(self.config, device, dtype)


def describe(model: str, layers: int | None = None) -> Description:
    """Describe what `model`, a model type or a path of a config.json, would be if it were built.

    It is cut to its first `layers`. Nothing is allocated: it is made on torch's meta device.
    Unsupported, in one line, if Transformers is missing, if it cannot build that, or if that is no
    language model which writes from left to right.
    """
    try:
        content = read_content(model)
        require_known(content, causal_model_types())
    except UserError as error:
        raise Unsupported(str(error)) from error
    name = content["model_type"]
    config = _try(name, lambda: make_config(content))
    require_decoder(name, config)
    digest = digest_of(content if len(content) > 1 else config.to_dict())
    keep_layers(config, layers)
    turn_dropout_off(config)
    empty = _try(name, lambda: _build(config, torch.device("meta"), torch.float32))
    return Description(
        config=config,
        model_class=type(empty).__name__,
        attention=str(config._attn_implementation),
        state=sum(tensor.numel() for tensor in [*empty.parameters(), *empty.buffers()]),
        parameters=sum(parameter.numel() for parameter in empty.parameters()),
        decoder=_decoder(config, empty),
        digest=digest,
    )


def _build(config: Any, device: torch.device, dtype: torch.dtype) -> Any:
    with device:
        return import_transformers().AutoModelForCausalLM.from_config(config, dtype=dtype)


def _try(name: str, make: Callable[[], Made]) -> Made:
    """Return what `make` makes. Unsupported with Transformers' own words if it fails."""
    try:
        return make()
    except Unsupported:
        raise
    except Exception as error:  # each class checks its configuration, or not, in its own way
        raise Unsupported(f"Transformers cannot build this {name}: {last_line(error)}") from error


def _decoder(config: Any, model: torch.nn.Module) -> Decoder | None:
    """Read the closed form of a verified architecture from its model; None for any other."""
    if config.model_type not in VERIFIED or config.is_heterogeneous:
        return None
    head, tokens = model.get_output_embeddings(), model.get_input_embeddings()  # type: ignore[operator] # Module's attributes are untyped
    modules = list(model.modules())
    tables = [m for m in modules if isinstance(m, torch.nn.Embedding) and m is not tokens]
    conv1d = importlib.import_module("transformers.pytorch_utils").Conv1D
    linears = [m for m in modules if isinstance(m, torch.nn.Linear | conv1d) and m is not head]
    heads = config.num_attention_heads
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    head_width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return Decoder(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        block_weights=sum(linear.weight.numel() for linear in linears),
        width=config.hidden_size,
        vocab=config.vocab_size,
        positions=sum(table.num_embeddings for table in tables),
        tied=head.weight is tokens.weight,
        query_width=heads * head_width,
        kv_width=kv_heads * head_width,
        windows=_windows(config),
    )


def _windows(config: Any) -> tuple[int | None, ...]:
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None) or ["sliding_attention"] * config.num_hidden_layers
    return tuple(window if kind == "sliding_attention" else None for kind in kinds)
