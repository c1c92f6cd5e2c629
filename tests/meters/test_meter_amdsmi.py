"""AMD SMI, with a module that replaces the package and answers from a written trace."""

import json
import sys
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace

import pytest

from hwbench.meters import Counter, PowerSensor, Signal, Source, amdsmi, read_all, selection

TRACES = json.loads((Path(__file__).parents[1] / "data" / "amdsmi.json").read_text())
NEW, OLD = "rocm-7.0 MI300X", "rocm-6.0 MI250X"


class AmdSmiException(Exception):
    pass


class Smi:
    """The package: GPUs are the names of traces, `broken` has the questions that fail."""

    AmdSmiException = AmdSmiException
    AmdSmiClkType = SimpleNamespace(GFX="gfx")
    AmdSmiTemperatureType = SimpleNamespace(HOTSPOT="hotspot")
    AmdSmiTemperatureMetric = SimpleNamespace(CURRENT="current")

    def __init__(self, *gpus, broken=()):
        self.gpus, self.broken, self.is_open = gpus, set(broken), False
        self.lost, self.mode = set(), "SPX"
        self._counts = {gpu: self._count(TRACES[gpu]["energy"]) for gpu in gpus}

    @staticmethod
    def _count(answers):
        # the meter asks for the first one several times while it opens
        return chain(repeat(answers[0], 3), answers[1:], repeat(answers[-1]))

    def _ask(self, question, answer):
        if question in self.broken:
            status = "AMDSMI_STATUS_NOT_SUPPORTED - Feature not supported"
            raise AmdSmiException(f"Error code:\n\t2 | {status}")
        return answer

    def amdsmi_init(self):
        self.is_open = self._ask("init", True)

    def amdsmi_shut_down(self):
        self.is_open = False

    def amdsmi_get_processor_handles(self):
        return list(self.gpus)

    def amdsmi_get_gpu_device_bdf(self, gpu):
        if gpu in self.lost:
            raise AmdSmiException("Error code:\n\t5 | AMDSMI_STATUS_NO_DATA")
        return f"0000:0{self.gpus.index(gpu) + 1}:00.0"

    def amdsmi_get_gpu_compute_partition(self, gpu):
        return self._ask("partition", self.mode)

    def amdsmi_get_energy_count(self, gpu):
        return self._ask("energy", next(self._counts[gpu]))

    def amdsmi_get_power_info(self, gpu):
        return self._ask("power", TRACES[gpu]["power"])

    def amdsmi_get_clock_info(self, gpu, kind):
        assert kind == "gfx"
        return self._ask("clock", TRACES[gpu]["clock"])

    def amdsmi_get_temp_metric(self, gpu, sensor, metric):
        assert (sensor, metric) == ("hotspot", "current")
        return self._ask("temperature", TRACES[gpu]["temperature"])


def signal(gpu, quantity, unit):
    return Signal("amdsmi", f"gpu:{gpu}", quantity, unit)


def test_fields_of_old_and_new_versions_are_read():
    meter = amdsmi.open_meter(load=lambda: Smi(NEW, OLD))
    shown = read_all(meter)
    assert shown[signal(0, "power", "W")] == 600
    assert shown[signal(1, "power", "W")] == 305
    assert shown[signal(0, "clock", "Hz")] == 2.105e9
    assert shown[signal(1, "clock", "Hz")] == 1.7e9
    assert shown[signal(0, "temperature", "°C")] == 62
    assert shown[signal(1, "energy", "J")] == pytest.approx(124.728, abs=0.001)
    assert meter.failures == {}


def test_energy_is_count_times_resolution():
    meter = amdsmi.open_meter(load=lambda: Smi(NEW))
    energies = [read_all(meter)[signal(0, "energy", "J")] for _ in range(2)]
    assert max(energies) - 4750896266 * 15.3e-6 == pytest.approx(1961176 * 15.3e-6)


def test_counter_comes_before_power():
    counter, power = amdsmi.open_meter(load=lambda: Smi(NEW)).energy
    assert isinstance(counter, Counter)
    assert counter.quantum == pytest.approx(15.3e-6)
    assert isinstance(power, PowerSensor)
    assert not power.is_estimate


def test_missing_quantities_are_named_and_no_source():
    meter = amdsmi.open_meter(load=lambda: Smi(OLD, broken=["energy", "temperature"]))
    assert [source.signal.quantity for source in meter.energy] == ["power"]
    assert set(meter.failures) == {signal(0, "energy", "J"), signal(0, "temperature", "°C")}
    assert "Feature not supported" in meter.failures[signal(0, "energy", "J")]


def test_gpu_that_stops_answering_is_named():
    smi = Smi(NEW)
    meter = amdsmi.open_meter(load=lambda: smi)
    smi.broken.add("power")
    assert signal(0, "power", "W") not in read_all(meter)
    assert "AMD SMI" in meter.failures[signal(0, "power", "W")]
    meter.close()
    assert read_all(meter) == {}
    assert not smi.is_open


def open_gpus(smi, *gpus):
    return amdsmi.open_meter(gpus, lambda: smi)


def test_only_gpu_in_use_is_read():
    meter = open_gpus(Smi(NEW, OLD), "0000:02:00.0")
    assert {signal.scope for signal in read_all(meter)} == {"gpu:1"}
    assert meter.failures == {}


def test_lost_gpu_leaves_the_other():
    smi = Smi(NEW, OLD)
    smi.lost = {NEW}
    meter = open_gpus(smi, "0000:01:00.0", "0000:02:00.0")
    assert {signal.scope for signal in read_all(meter)} == {"gpu:1"}
    assert meter.failures == {signal("0000:01:00.0", "energy", "J"): amdsmi.NO_SUCH_GPU}


def test_lost_gpu_of_two_is_listed_with_its_reason():
    class Half(Smi):
        def _ask(self, question, answer):
            return answer

        def amdsmi_get_energy_count(self, gpu):
            if gpu == OLD:
                raise AmdSmiException("AMDSMI_STATUS_NO_DATA")
            return super().amdsmi_get_energy_count(gpu)

        amdsmi_get_power_info = amdsmi_get_clock_info = amdsmi_get_temp_metric = (
            lambda self, gpu, *_: self.amdsmi_get_energy_count(gpu)
        )

    working, lost = amdsmi.sources(lambda: Half(NEW, OLD))
    assert (working.works, working.signals[0]) == (True, "gpu:0 energy")
    assert (lost.works, lost.reason) == (False, "gpu:1: AMD SMI: AMDSMI_STATUS_NO_DATA")


def test_counter_without_resolution_is_no_source():
    class Stepless(Smi):
        def amdsmi_get_energy_count(self, gpu):
            self.asked = getattr(self, "asked", 0) + 1
            first = TRACES[gpu]["energy"][0]
            return self._ask("energy", first if self.asked == 1 else {"energy_accumulator": 1})

    meter = open_gpus(Stepless(NEW), "0000:01:00.0")
    assert [source.signal.quantity for source in meter.energy] == ["power"]
    assert "counter_resolution" in meter.failures[signal(0, "energy", "J")]


@pytest.mark.parametrize("mode", ["CPX", "DPX"])
def test_partition_has_no_energy(mode):
    smi = Smi(NEW)
    smi.mode = mode
    meter = open_gpus(smi, "0000:01:00.0")
    assert {signal.quantity for signal in read_all(meter)} == {"clock", "temperature"}
    assert meter.energy == []
    signals = [signal(0, "energy", "J"), signal(0, "power", "W")]
    assert meter.failures == dict.fromkeys(signals, amdsmi.ONLY_A_PART)


@pytest.mark.parametrize("broken", [(), ["partition"]])
def test_whole_gpu_has_energy(broken):
    assert len(open_gpus(Smi(NEW, broken=broken), "0000:01:00.0").energy) == 2


def test_each_gpu_is_measured_by_its_makers_driver(monkeypatch):
    """The reason for a GPU that cannot be measured is that of its own driver."""
    no_nvidia = Source("nvml", False, reason="no NVIDIA driver")
    no_amd = Source("amdsmi", False, reason="no AMD driver")
    monkeypatch.setattr(selection.nvml, "open_meter", lambda gpus: None)
    monkeypatch.setattr(selection.nvml, "sources", lambda: [no_nvidia])
    monkeypatch.setattr(selection.amdsmi, "open_meter", lambda gpus: None)
    monkeypatch.setattr(
        selection.amdsmi, "sources", lambda gpus: [no_amd] if gpus == ["0000:c1:00.0"] else []
    )
    for gpu, reason in (("GPU-1234", "no NVIDIA driver"), ("0000:c1:00.0", "no AMD driver")):
        first, *_ = selection.open_meters([gpu], 100.0)
        assert list(first.failures.values()) == [reason]


def test_no_gpu_in_use_gives_no_meter():
    assert amdsmi.open_meter([], missing(AssertionError())) is None


def missing(error):
    def load():
        raise error

    return load


@pytest.mark.parametrize(
    ("load", "reason", "cure"),
    [
        (missing(ModuleNotFoundError("amdsmi")), "not installed", "amd-smi-lib"),
        (missing(KeyError("libamd_smi.so")), "libamd_smi.so is missing", "amd-smi-lib"),
        (lambda: Smi(NEW, broken=["init"]), "NOT_SUPPORTED", "/dev/kfd"),
        (lambda: Smi(), "finds no GPU", "/dev/kfd"),
        (
            lambda: Smi(NEW, broken=["energy", "power", "clock", "temperature"]),
            "NOT_SUPPORTED",
            "/dev/kfd",
        ),
    ],
)
def test_missing_gpu_has_reason_and_cure(load, reason, cure):
    assert amdsmi.open_meter(load=load) is None
    (source,) = amdsmi.sources(load)
    assert not source.works
    assert reason in source.reason
    assert cure in source.cure


def test_working_gpu_is_listed():
    (source,) = amdsmi.sources(lambda: Smi(NEW))
    assert source.works
    assert source.signals == ["gpu:0 energy", "gpu:0 power", "gpu:0 clock", "gpu:0 temperature"]


def test_output_of_failing_import_is_suppressed(tmp_path, monkeypatch, capsys):
    """If ROCm's library is missing, amdsmi prints a line and raises a KeyError."""
    (tmp_path / "amdsmi.py").write_text(
        "print('Unable to find libamd_smi.so')\nraise KeyError('libamd_smi.so')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "amdsmi", raising=False)
    assert amdsmi.open_meter() is None
    assert capsys.readouterr().out == ""
