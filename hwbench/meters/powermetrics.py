"""Power of a Mac's processor and GPU by the system's own tool `powermetrics`, which runs beside and
must be root.

Unproven on hardware: written by its manual page (powermetrics(1), which says that its figures are
estimates and not for comparison between devices) and by others' recordings; tried on a written
trace only. By how much they may be wrong Apple does not say, so they are stated as ±50 % as any
model without a better figure.

On Apple silicon package:0 is the CPU alone and gpu:0 the GPU; the two do not overlap, and the
neural engine is in neither. On Intel package:0 is the package with its graphics. Each sample is the
mean since the one before.
"""

import os
import plistlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from xml.parsers.expat import ExpatError

from hwbench.meters import EnergySource, PowerSensor, Signal, Source

INTERVAL_S = 0.5
ERROR = 0.5
START_S = 5.0
END_S = 2.0
"""So long the tool is waited for after it was asked to end; then it is killed."""

COMMAND = (
    "powermetrics", "--samplers", "cpu_power,gpu_power", "--format", "plist", "--buffer-size", "0",
    "--sample-rate", str(round(INTERVAL_S * 1000)),
)  # fmt: skip

CPU = Signal("powermetrics", "package:0", "power", "W")
GPU = Signal("powermetrics", "gpu:0", "power", "W")
FIELDS = {"cpu_power": (CPU, 1e-3), "package_watts": (CPU, 1.0), "gpu_power": (GPU, 1e-3)}
"""Of a sample's `processor`: what it is and the factor to W. `package_watts` is Intel's."""


class PowermetricsMeter:
    """Shows the mean power of each sample once, up to a reading's interval after it came."""

    name = "powermetrics"

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        """Starts the tool; raises OSError where it cannot be."""
        self.failures: dict[Signal, str] = {}
        self.energy: Sequence[EnergySource] = ()
        self._latest: dict[Signal, float] = {}
        self._seen: set[Signal] = set()
        self._said = ""
        self._news = threading.Condition()
        self._tool = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._thread = threading.Thread(target=self._follow, name="powermetrics", daemon=True)
        self._thread.start()

    def wait(self, seconds: float = START_S) -> bool:
        """Wait for the first sample; its signals are the sources from then on. False if none
        came."""
        with self._news:
            self._news.wait_for(lambda: self._seen or self.failures, seconds)
            found = [signal for signal in (CPU, GPU) if signal in self._seen]
        self.energy = [PowerSensor(signal, INTERVAL_S, INTERVAL_S, error=ERROR) for signal in found]
        return bool(found)

    def read(self) -> Iterator[Mapping[Signal, float]]:
        with self._news:
            shown, self._latest = self._latest, {}
        yield shown

    def close(self) -> None:
        self._tool.terminate()
        try:
            self._tool.wait(END_S)
        except subprocess.TimeoutExpired:
            self._tool.kill()
            self._tool.wait()
        self._thread.join(END_S)
        if self._tool.stdout and not self._thread.is_alive():
            self._tool.stdout.close()

    def _follow(self) -> None:
        for sample in samples(self._lines()):
            with self._news:
                self._latest = watts(sample)
                self._seen |= self._latest.keys()
                self._news.notify_all()
        with self._news:
            self.failures |= dict.fromkeys(
                self._seen or {CPU, GPU}, f"powermetrics ended: {self._said or 'no word'}"
            )
            self._news.notify_all()

    def _lines(self) -> Iterator[bytes]:
        """What the tool writes; the last line that is no part of a sample may say why no more
        came."""
        for line in self._tool.stdout or ():
            text = line.decode(errors="replace").strip()
            self._said = self._said if text.startswith("<") else text
            yield line


def samples(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The property lists in the tool's output, which NULs separate; what is none is passed over."""
    text = b""
    for line in lines:
        head, end, rest = line.partition(b"</plist>")
        text += head + end
        if end:
            sample = _parsed(text[max(0, text.find(b"<?xml")) :])
            if isinstance(sample, dict):
                yield sample
            text = rest


def _parsed(text: bytes) -> Any:
    try:
        return plistlib.loads(text)
    except (ValueError, ExpatError, plistlib.InvalidFileException):
        return None


def watts(sample: Mapping[str, Any]) -> dict[Signal, float]:
    """The power in one sample."""
    fields = sample.get("processor") or {}
    found = {key: fields[key] for key in FIELDS if isinstance(fields.get(key), int | float)}
    return {FIELDS[key][0]: value * FIELDS[key][1] for key, value in found.items()}


def open_meter(
    command: Sequence[str] = COMMAND, platform: str = sys.platform
) -> PowermetricsMeter | None:
    """The meter, after its first sample; None where there is none. `sources` says why."""
    meter = _opened(command, platform)
    return None if isinstance(meter, Source) else meter


def sources(command: Sequence[str] = COMMAND, platform: str = sys.platform) -> list[Source]:
    """Whether the tool shows anything here, and if not the cure. It is started to find out."""
    meter = _opened(command, platform)
    if isinstance(meter, Source):
        return [meter]
    meter.close()
    return [
        Source(
            "powermetrics",
            True,
            [f"{source.signal.scope} power (an estimate)" for source in meter.energy],
        )
    ]


def _opened(command: Sequence[str], platform: str) -> PowermetricsMeter | Source:
    """The meter, or the line that says why there is none."""
    if platform != "darwin":
        return Source("powermetrics", False, (), "it is a part of macOS")
    if not shutil.which(command[0]):
        return Source(
            "powermetrics", False, (), "powermetrics is not found", "add /usr/bin to PATH"
        )
    if os.geteuid() != 0:
        return Source(
            "powermetrics", False, (), "powermetrics must be root", "run hwbench with `sudo -E`"
        )
    try:
        meter = PowermetricsMeter(command)
    except OSError as error:
        return Source(
            "powermetrics", False, (), f"powermetrics cannot be started: {error.strerror or error}"
        )
    if meter.wait():
        return meter
    meter.close()
    return Source(
        "powermetrics",
        False,
        (),
        next(iter(meter.failures.values()), "powermetrics shows no power"),
    )
