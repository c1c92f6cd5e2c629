"""`hwbench info`: show the environment as a run records it."""

from collections.abc import Mapping
from typing import Any

import click

from hwbench.cli import options


@click.command("info")
@click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N, mps, xpu or tpu."
)
@options.as_json
def command(device: str, as_json: bool) -> int:
    """Show this machine and its software as a run on DEVICE would record them."""
    from hwbench.machine import environment
    from hwbench.recording.launch.exchange import describe_device

    _, device_info = describe_device(device, options.warn)
    facts = environment.collect(device_info)
    if as_json:
        options.print_json(facts)
    else:
        _show(facts | {"device": _with_rates_in_words(facts["device"])}, "")
    return 0


def _with_rates_in_words(device: Mapping[str, Any]) -> dict[str, Any]:
    """The device with the rates of its formats as text, such as `1.2 TFLOP/s (emulated)`."""
    from hwbench.formats import in_words, is_emulated

    rates = device.get("formats") or {}
    words = {
        name: in_words(rate) + (" (emulated)" if is_emulated(name, rates) else "")
        for name, rate in rates.items()
    }
    return {**device, **({"formats": words} if words else {})}


def _show(content: Mapping[str, Any], indent: str) -> None:
    width = max(map(len, content), default=0)
    for name, value in content.items():
        if isinstance(value, Mapping):
            options.print_line(f"{indent}{name}")
            _show(value, indent + "    ")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for number, entry in enumerate(value):
                options.print_line(f"{indent}{name} {number}")
                _show(entry, indent + "    ")
        else:
            options.print_line(f"{indent}{name:<{width}}  {_in_words(value)}")


def _in_words(value: object) -> str:
    if value is None:
        return "unknown"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
