"""The lines of `hwbench meter --list` for a meter of several devices: one for each."""

from collections.abc import Iterable, Mapping

from hwbench.meters import Meter, Signal, Source


def lines_of(meter: Meter, shown: Iterable[Signal]) -> list[Source]:
    """A line for each scope, in the order of their numbers: the signals that it shows, and why
    others are missing. A scope that shows nothing, as a lost GPU, is named with its reason.

    A scope works if it has a source of energy.
    """
    by_scope: dict[str, list[Signal]] = {}
    for signal in sorted((*shown, *meter.failures), key=_index_of):
        by_scope.setdefault(signal.scope, []).append(signal)
    working = {source.signal.scope for source in meter.energy}
    return [
        _line(meter.name, scope in working, signals, meter.failures)
        for scope, signals in by_scope.items()
    ]


def _index_of(signal: Signal) -> int:
    return -1 if signal.index is None else signal.index


def _line(meter: str, works: bool, signals: list[Signal], failures: Mapping[Signal, str]) -> Source:
    names = [f"{one.scope} {one.quantity}" for one in signals if one not in failures]
    missing: dict[str, list[str]] = {}
    for one in signals:
        if one in failures:
            missing.setdefault(failures[one], []).append(one.quantity)
    if names:
        reasons = [f"no {', '.join(quantities)}: {why}" for why, quantities in missing.items()]
    else:
        reasons = [f"{signals[0].scope}: {why}" for why in missing]
    return Source(meter, works, names, "; ".join(reasons))
