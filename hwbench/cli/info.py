"""`hwbench info`: the environment as a run records it."""

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
    """Show what this machine is and what it runs, as a run on DEVICE would record it."""
    from hwbench.machine import environment
    from hwbench.recording.launch.exchange import describe_device

    _, facts = describe_device(device, options.warn)
    found = environment.collect(facts)
    if as_json:
        options.print_json(found)
    else:
        _show(found | {"device": _with_rates_in_words(found["device"])}, "")
    return 0


def _with_rates_in_words(device: Mapping[str, Any]) -> dict[str, Any]:
    """The device with the rates of its formats as people write them, and which of them are
    emulated."""
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
            click.echo(f"{indent}{name}")
            _show(value, indent + "    ")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for number, entry in enumerate(value):
                click.echo(f"{indent}{name} {number}")
                _show(entry, indent + "    ")
        else:
            text = (
                "unknown"
                if value is None
                else " ".join(map(str, value))
                if isinstance(value, list)
                else value
            )
            click.echo(f"{indent}{name:<{width}}  {text}")
