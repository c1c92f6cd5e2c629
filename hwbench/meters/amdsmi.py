"""AMD GPUs by AMD SMI: energy accumulator, power, clock and temperature.

Not tested on hardware: written from the documentation and the source of the package amdsmi 5.6 to
7.0, tested on a recorded trace only. Source: rocm.docs.amd.com/projects/amdsmi (Python API). The
energy counter has steps of `counter_resolution` µJ (15.3) and 64 bits; guests in virtual machines
have none. It is known to stand still on some MI100 (ROCm/amdsmi issue 38) and to step back at times
(issue 115). Its error is not published. GPUs are in the driver's order, which HIP_VISIBLE_DEVICES
does not change.
"""

import contextlib
import importlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from hwbench.meters import Counter, EnergySource, PowerSensor, Signal, Source, read_all
from hwbench.meters.binding import one_line
from hwbench.meters.listing import lines_of

LIMIT_W = 3000.0
"""More than any board takes: 1400 W is the most that was sold."""

POWER = ("socket_power", "current_socket_power", "average_socket_power")
"""The fields of the power: the first since ROCm 7; before that the second on MI300 and the third on
older GPUs."""

POWER_S = 0.1
"""An assumption: neither how often the power is updated nor its averaging time is published."""

PARTITIONED = ("DPX", "TPX", "QPX", "CPX")
"""The modes in which a program has only a part of the GPU; in SPX it has the whole."""

ONLY_A_PART = (
    "only a partition of the GPU is used, and the driver shows energy and power of the whole GPU "
    "only; for energy put it in the mode SPX (sudo amd-smi set -g N -C SPX)"
)
NO_SUCH_GPU = "AMD SMI knows no such GPU; compare with amd-smi list"

NOTHING = (0xFFFF, 0xFFFF_FFFF, 2**64 - 1)
"""The values of a field that the GPU lacks, where the library does not turn them into "N/A"."""

INSTALL = (
    "install ROCm's amd-smi-lib with the package manager, "
    "then `pip install amdsmi==VERSION` with the same version as /opt/rocm/.info/version"
)
PERMISSION = (
    "`sudo usermod -aG render,video $USER`; in a container `--device /dev/kfd --device /dev/dri`"
)
Answer = TypeVar("Answer")
Ask = Callable[[], float | None]


class NoAnswer(Exception):
    """Why AMD SMI does not answer, in one line."""


def answer(ask: Callable[[], Answer]) -> Answer:
    """What `ask` returns. NoAnswer instead of whatever it raises.

    The package raises more than its AmdSmiException: KeyError for fields that a version lacks,
    AttributeError for calls that it lacks, UnicodeDecodeError, and errors of ctypes.
    """
    try:
        return ask()
    except Exception as error:
        raise NoAnswer(f"AMD SMI: {one_line(error)}") from error


class AmdSmiMeter:
    """Shows of each GPU: energy in J since the driver was loaded, power in W, clock in Hz,
    temperature in °C."""

    name = "amdsmi"

    def __init__(self, smi: Any, gpus: Sequence[str] | None = None) -> None:
        """`smi` is the module amdsmi, `gpus` the PCI addresses of the GPUs in use (None: all).
        NoAnswer if there is no driver."""
        answer(lambda: smi.amdsmi_init())
        self._sources: list[EnergySource] = []
        self.energy: Sequence[EnergySource] = self._sources
        self.failures: dict[Signal, str] = {}
        self._smi = smi
        self._asks: dict[Signal, Ask] = {}
        handles = answer(lambda: list(enumerate(smi.amdsmi_get_processor_handles())))
        if gpus is None:
            for index, gpu in handles:
                self._add(f"gpu:{index}", gpu, is_partitioned=False)
            return
        wanted, found = {address.lower() for address in gpus}, set()
        for index, gpu in handles:
            address = self._address(gpu)
            if address in wanted:
                found.add(address)
                self._add(f"gpu:{index}", gpu, is_partitioned=self._is_partitioned(gpu))
        for address in sorted(wanted - found):
            self.failures[Signal(self.name, f"gpu:{address}", "energy", "J")] = NO_SUCH_GPU

    @property
    def signals(self) -> list[Signal]:
        """The signals that it shows."""
        return [signal for signal in self._asks if signal not in self.failures]

    def read(self) -> Iterator[Mapping[Signal, float]]:
        for signal, ask in self._asks.items():
            value = self._try(signal, ask)
            yield {} if value is None else {signal: value}

    def close(self) -> None:
        self._asks = {}
        with contextlib.suppress(NoAnswer):
            answer(lambda: self._smi.amdsmi_shut_down())

    def _address(self, gpu: Any) -> str | None:
        """The GPU's PCI address; None if it does not answer, as a lost one."""
        with contextlib.suppress(NoAnswer):
            return answer(lambda: str(self._smi.amdsmi_get_gpu_device_bdf(gpu)).lower())
        return None

    def _is_partitioned(self, gpu: Any) -> bool:
        """Whether programs have only parts of the GPU. False for GPUs without partitions."""
        with contextlib.suppress(NoAnswer):
            return answer(lambda: self._smi.amdsmi_get_gpu_compute_partition(gpu) in PARTITIONED)
        return False

    def _add(self, scope: str, gpu: Any, is_partitioned: bool) -> None:
        """Add the signals that this GPU shows; those that it does not go to `failures` and are not
        asked for again."""
        for quantity, unit, ask in self._questions(gpu):
            signal = Signal(self.name, scope, quantity, unit)
            if is_partitioned and quantity in ("energy", "power"):
                self.failures[signal] = ONLY_A_PART
            elif self._try(signal, ask) is not None:
                self._asks[signal] = ask
                self._sources += self._energy_source(signal, gpu)

    def _energy_source(self, signal: Signal, gpu: Any) -> list[EnergySource]:
        """The signal as a source of energy, if it is one."""
        if signal.quantity == "power":
            return [PowerSensor(signal, POWER_S, POWER_S, quantum=1.0, limit_w=LIMIT_W)]
        if signal.quantity != "energy":
            return []
        smi = self._smi
        step_j = self._try(
            signal, lambda: smi.amdsmi_get_energy_count(gpu)["counter_resolution"] / 1e6
        )
        if step_j is None:
            return []
        return [Counter(signal, tick_s=0.001, quantum=step_j, limit_w=LIMIT_W)]

    def _questions(self, gpu: Any) -> Iterator[tuple[str, str, Ask]]:
        smi = self._smi
        yield "energy", "J", lambda: _joules(smi.amdsmi_get_energy_count(gpu))
        yield "power", "W", lambda: _first(smi.amdsmi_get_power_info(gpu), *POWER)
        yield "clock", "Hz", lambda: _hertz(smi.amdsmi_get_clock_info(gpu, smi.AmdSmiClkType.GFX))
        yield "temperature", "°C", lambda: _hottest(smi, gpu)

    def _try(self, signal: Signal, ask: Ask) -> float | None:
        try:
            value = answer(ask)
        except NoAnswer as why:
            self.failures[signal] = str(why)
            return None
        if value is None:
            self.failures[signal] = "AMD SMI: this GPU does not show it"
        return value


def library() -> Any:
    """The module amdsmi, imported without the lines that it prints if its library is missing."""
    with contextlib.redirect_stdout(io.StringIO()):
        return importlib.import_module("amdsmi")


def open_meter(
    gpus: Sequence[str] | None = None, load: Callable[[], Any] = library
) -> AmdSmiMeter | None:
    """The meter of the GPUs at these PCI addresses (None: of all); None without the library, the
    driver or a GPU that shows anything. `sources` says why."""
    if gpus is not None and not gpus:
        return None
    meter = _open(load, gpus)
    return None if isinstance(meter, Source) else meter


def sources(load: Callable[[], Any] = library, gpus: Sequence[str] | None = None) -> list[Source]:
    """What AMD's GPUs, or those at these PCI addresses, show here, or the reason why nothing."""
    meter = _open(load, gpus)
    if isinstance(meter, Source):
        return [meter]
    lines = lines_of(meter, meter.signals)
    meter.close()
    return lines


def _open(load: Callable[[], Any], gpus: Sequence[str] | None = None) -> AmdSmiMeter | Source:
    """The meter, or the line that says why there is none."""
    try:
        smi = load()
    except ImportError:
        return Source("amdsmi", False, (), "the package amdsmi: not installed", INSTALL)
    except Exception:  # noqa: BLE001 - in most versions a KeyError
        reason = "the package amdsmi: its library libamd_smi.so is missing"
        return Source("amdsmi", False, (), reason, INSTALL)
    try:
        meter = AmdSmiMeter(smi, gpus)
    except NoAnswer as why:
        return Source("amdsmi", False, (), str(why), PERMISSION)
    if read_all(meter):
        return meter
    meter.close()
    reason = next(iter(meter.failures.values()), "AMD SMI finds no GPU")
    return Source("amdsmi", False, (), reason, PERMISSION)


def _joules(count: Mapping[str, Any]) -> float | None:
    steps = _first(count, "energy_accumulator", "power")  # the second in versions up to 6.1
    return None if steps is None else steps * float(count["counter_resolution"]) / 1e6


def _hottest(smi: Any, gpu: Any) -> float:
    sensor, metric = smi.AmdSmiTemperatureType.HOTSPOT, smi.AmdSmiTemperatureMetric.CURRENT
    return float(smi.amdsmi_get_temp_metric(gpu, sensor, metric))


def _hertz(clock: Mapping[str, Any]) -> float | None:
    megahertz = _first(clock, "clk", "cur_clk")  # the second in versions up to 6.1
    return None if megahertz is None else megahertz * 1e6


def _first(fields: Mapping[str, Any], *names: str) -> float | None:
    """The first of these fields that holds a number."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, int | float) and value not in NOTHING:
            return float(value)
    return None
