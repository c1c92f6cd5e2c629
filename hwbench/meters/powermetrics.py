"""Power of a Mac's processor and GPU from the system's own tool `powermetrics`, a process that must
run as root.

Not tested on hardware: written from its manual page (powermetrics(1), which says that its figures
are estimates and not for comparison between devices) and from others' recordings, tested on a
written trace only. Apple states no error, so it is given as ±50 %, as for any model without a
better figure.

On Apple silicon package:0 is the CPU alone and gpu:0 the GPU; they do not overlap, and neither has
the neural engine. On Intel package:0 is the package with its graphics. Each sample is the mean
since the previous one.
"""

import os
import plistlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hwbench.meters import EnergySource, PowerSensor, Signal, Source

INTERVAL_S = 0.5
ERROR = 0.5
MOST = 1e9
"""More than any power, in mW or W."""

LIMIT_W = 1000.0
"""More than the processors or the GPU of a Mac take."""

START_S = 5.0
END_S = 2.0
"""How long the tool has to end after it was asked to; then it is killed."""

COMMAND = (
    "powermetrics", "--samplers", "cpu_power,gpu_power", "--format", "plist", "--buffer-size", "0",
    "--sample-rate", str(round(INTERVAL_S * 1000)),
)  # fmt: skip

CPU = Signal("powermetrics", "package:0", "power", "W")
GPU = Signal("powermetrics", "gpu:0", "power", "W")
FIELDS = {"cpu_power": (CPU, 1e-3), "package_watts": (CPU, 1.0), "gpu_power": (GPU, 1e-3)}
"""The fields of a sample's `processor`: signal and factor to W. `package_watts` is Intel's."""


class PowermetricsMeter:
    """Shows the mean power of each sample once, at the next reading after it arrived."""

    name = "powermetrics"

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        """Starts the tool; raises OSError if that fails."""
        self.failures: dict[Signal, str] = {}
        self.energy: Sequence[EnergySource] = ()
        self._latest: dict[Signal, float] = {}
        self._seen: set[Signal] = set()
        self._last_words = ""
        self._news = threading.Condition()
        self._tool = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._thread = threading.Thread(target=self._follow, name="powermetrics", daemon=True)
        self._thread.start()

    def wait(self, seconds: float = START_S) -> bool:
        """Wait for the first sample, whose signals become the sources of energy. False if none
        arrived."""
        with self._news:
            self._news.wait_for(lambda: self._seen or self.failures, seconds)
            signals = [signal for signal in (CPU, GPU) if signal in self._seen]
        self.energy = [
            PowerSensor(one, INTERVAL_S, INTERVAL_S, error=ERROR, limit_w=LIMIT_W)
            for one in signals
        ]
        return bool(signals)

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
            reason = f"powermetrics ended: {self._last_words or 'no word'}"
            self.failures |= dict.fromkeys(self._seen or {CPU, GPU}, reason)
            self._news.notify_all()

    def _lines(self) -> Iterator[bytes]:
        """The tool's output. Keeps the last line outside of samples: it may be the reason why the
        tool ended."""
        for line in self._tool.stdout or ():
            text = line.decode(errors="replace").strip()
            if not text.startswith("<"):
                self._last_words = text
            yield line


def samples(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The property lists in the tool's output, which NULs separate; anything else is skipped."""
    text = b""
    for line in lines:
        head, end, rest = line.partition(b"</plist>")
        text += head + end
        if end:
            sample = _parse(text[max(0, text.find(b"<?xml")) :])
            if isinstance(sample, dict):
                yield sample
            text = rest


def _parse(text: bytes) -> Any:
    try:
        return plistlib.loads(text)
    except Exception:  # noqa: BLE001 - whatever its parser stumbles over
        return None


def watts(sample: Mapping[str, Any]) -> dict[Signal, float]:
    """The power in one sample."""
    fields = sample.get("processor")
    if not isinstance(fields, Mapping):
        return {}
    found = {key: fields[key] for key in FIELDS if _is_power(fields.get(key))}
    return {FIELDS[key][0]: value * FIELDS[key][1] for key, value in found.items()}


def _is_power(value: object) -> bool:
    """Whether a field holds a number that a power may be. A property list may hold integers beyond
    any float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value < MOST


def open_meter(
    command: Sequence[str] = COMMAND, platform: str = sys.platform
) -> PowermetricsMeter | None:
    """The meter, after its first sample; None if there is none. `sources` says why."""
    meter = _open(command, platform)
    return None if isinstance(meter, Source) else meter


def sources(command: Sequence[str] = COMMAND, platform: str = sys.platform) -> list[Source]:
    """Whether the tool shows anything here; if not, the reason and the cure. Starts the tool."""
    meter = _open(command, platform)
    if isinstance(meter, Source):
        return [meter]
    meter.close()
    names = [f"{source.signal.scope} power (an estimate)" for source in meter.energy]
    return [Source("powermetrics", True, names)]


def _open(command: Sequence[str], platform: str) -> PowermetricsMeter | Source:
    """The meter, or the line that says why there is none."""
    if platform != "darwin":
        return _unusable("it is a part of macOS")
    if not shutil.which(command[0]):
        return _unusable("powermetrics is not found", "add /usr/bin to PATH")
    if os.geteuid() != 0:
        return _unusable("powermetrics must be root", "run hwbench with `sudo -E`")
    try:
        meter = PowermetricsMeter(command)
    except OSError as error:
        return _unusable(f"powermetrics cannot be started: {error.strerror or error}")
    if meter.wait():
        return meter
    meter.close()
    return _unusable(next(iter(meter.failures.values()), "powermetrics shows no power"))


def _unusable(reason: str, cure: str = "") -> Source:
    return Source("powermetrics", False, (), reason, cure)
