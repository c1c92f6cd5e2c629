"""The static cache of Transformers, and how to take tokens out of it again."""

import inspect
from typing import Any

from workloads.models.hf.package import import_transformers


def static_cache(config: Any, length: int) -> Any:
    """Make a cache of a fixed `length`, which is allocated when the first tokens are read."""
    return import_transformers().StaticCache(config, max_cache_len=length)


def cache_argument(model: Any) -> str:
    """Look up the name by which a forward pass takes its cache.

    It is `cache`, or `past_key_values` in Transformers before 5.24.
    """
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


def can_wind_back(cache: Any, length: int) -> bool:
    """Whether a static cache for `length` positions can forget its newest tokens.

    Before 5.24 Transformers calls no static layer croppable; a plain one that holds every position
    is.
    """
    layers = import_transformers().cache_utils
    plain = (layers.StaticLayer, layers.StaticSlidingWindowLayer)
    return all(
        layer.is_croppable or (type(layer) in plain and layer.max_cache_len == length)
        for layer in cache.layers
    )


def wind_back(cache: Any, tokens: int) -> None:
    """Make a static cache that `can_wind_back` forget its newest `tokens`."""
    for layer in cache.layers:
        if layer.is_croppable:
            layer.crop(-tokens)
            continue
        layer.cumulative_length.sub_(tokens)  # in place, as layers of 5.24 do
        if layer.is_sliding:
            layer.cumulative_length_int -= tokens
