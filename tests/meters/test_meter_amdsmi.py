"""AMD SMI, by a module that stands in for the package and answers from a written trace."""

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
    """As the package: GPUs are the names of traces, and `broken` are the questions that fail."""

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
        # The meter asks for the first more than once while it opens.
        return chain(repeat(answers[0], 3), answers[1:], repeat(answers[-1]))

    def _ask(self, question, answer):
        if question in self.broken:
            raise AmdSmiException(
                "Error code:\n\t2 | AMDSMI_STATUS_NOT_SUPPORTED - Feature not supported"
            )
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


def test_the_names_of_old_and_new_versions_are_read():
    meter = amdsmi.open_meter(load=lambda: Smi(NEW, OLD))
    shown = read_all(meter)
    assert shown[signal(0, "power", "W")] == 600
    assert shown[signal(1, "power", "W")] == 305
    assert shown[signal(0, "clock", "Hz")] == 2.105e9
    assert shown[signal(1, "clock", "Hz")] == 1.7e9
    assert shown[signal(0, "temperature", "°C")] == 62
    assert shown[signal(1, "energy", "J")] == pytest.approx(124.728, abs=0.001)
    assert meter.failures == {}


def test_energy_is_steps_by_their_size():
    meter = amdsmi.open_meter(load=lambda: Smi(NEW))
    energies = [read_all(meter)[signal(0, "energy", "J")] for _ in range(2)]
    assert max(energies) - 4750896266 * 15.3e-6 == pytest.approx(1961176 * 15.3e-6)


def test_the_counter_goes_before_the_power():
    counter, power = amdsmi.open_meter(load=lambda: Smi(NEW)).energy
    assert isinstance(counter, Counter)
    assert counter.quantum == pytest.approx(15.3e-6)
    assert isinstance(power, PowerSensor)
    assert not power.is_estimate


def test_what_a_gpu_lacks_is_named_and_no_source():
    meter = amdsmi.open_meter(load=lambda: Smi(OLD, broken=["energy", "temperature"]))
    assert [source.signal.quantity for source in meter.energy] == ["power"]
    assert set(meter.failures) == {signal(0, "energy", "J"), signal(0, "temperature", "°C")}
    assert "Feature not supported" in meter.failures[signal(0, "energy", "J")]


def test_a_gpu_that_falls_silent_in_mid_run_is_named():
    smi = Smi(NEW)
    meter = amdsmi.open_meter(load=lambda: smi)
    smi.broken.add("power")
    assert signal(0, "power", "W") not in read_all(meter)
    assert "AMD SMI" in meter.failures[signal(0, "power", "W")]
    meter.close()
    assert read_all(meter) == {}
    assert not smi.is_open


def opened(smi, *gpus):
    return amdsmi.open_meter(gpus, lambda: smi)


def test_only_the_gpu_that_is_used_is_read():
    meter = opened(Smi(NEW, OLD), "0000:02:00.0")
    assert {signal.scope for signal in read_all(meter)} == {"gpu:1"}
    assert meter.failures == {}


def test_a_gpu_that_is_lost_leaves_the_other():
    smi = Smi(NEW, OLD)
    smi.lost = {NEW}
    meter = opened(smi, "0000:01:00.0", "0000:02:00.0")
    assert {signal.scope for signal in read_all(meter)} == {"gpu:1"}
    assert meter.failures == {signal("0000:01:00.0", "energy", "J"): amdsmi.NO_SUCH_GPU}


def test_a_counter_of_which_the_step_is_not_told_is_no_source():
    class Stepless(Smi):
        def amdsmi_get_energy_count(self, gpu):
            self.asked = getattr(self, "asked", 0) + 1
            return self._ask(
                "energy", TRACES[gpu]["energy"][0] if self.asked == 1 else {"energy_accumulator": 1}
            )

    meter = opened(Stepless(NEW), "0000:01:00.0")
    assert [source.signal.quantity for source in meter.energy] == ["power"]
    assert "counter_resolution" in meter.failures[signal(0, "energy", "J")]


@pytest.mark.parametrize("mode", ["CPX", "DPX"])
def test_the_energy_of_a_gpu_never_passes_for_that_of_a_partition(mode):
    smi = Smi(NEW)
    smi.mode = mode
    meter = opened(smi, "0000:01:00.0")
    assert {signal.quantity for signal in read_all(meter)} == {"clock", "temperature"}
    assert meter.energy == []
    assert meter.failures == dict.fromkeys(
        [signal(0, "energy", "J"), signal(0, "power", "W")], amdsmi.ONLY_A_PART
    )


@pytest.mark.parametrize("broken", [(), ["partition"]])
def test_a_gpu_that_is_whole_or_knows_no_partitions_has_its_energy(broken):
    assert len(opened(Smi(NEW, broken=broken), "0000:01:00.0").energy) == 2


def test_each_gpu_is_looked_for_with_its_own_makers_driver(monkeypatch):
    """So that what is said of one that cannot be measured is of the driver that should."""
    monkeypatch.setattr(selection.nvml, "open_meter", lambda gpus: None)
    monkeypatch.setattr(selection.amdsmi, "open_meter", lambda gpus: None)
    monkeypatch.setattr(
        selection.nvml, "sources", lambda: [Source("nvml", False, reason="no NVIDIA driver")]
    )
    monkeypatch.setattr(
        selection.amdsmi,
        "sources",
        lambda gpus: [Source("amdsmi", False, reason=f"no AMD driver for {gpus}")],
    )
    for gpu, why in (
        ("GPU-1234", "no NVIDIA driver"),
        ("0000:c1:00.0", "no AMD driver for ['0000:c1:00.0']"),
    ):
        assert list(selection.open_meters([gpu], 100.0)[0].failures.values()) == [why]


def test_no_gpu_used_is_no_meter():
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
def test_without_a_gpu_the_reason_and_the_cure_are_told(load, reason, cure):
    assert amdsmi.open_meter(load=load) is None
    (source,) = amdsmi.sources(load)
    assert not source.works
    assert reason in source.reason
    assert cure in source.cure


def test_what_works_is_listed():
    (source,) = amdsmi.sources(lambda: Smi(NEW))
    assert source.works
    assert source.signals == ["gpu:0 energy", "gpu:0 power", "gpu:0 clock", "gpu:0 temperature"]


def test_a_package_that_prints_while_it_fails_prints_nothing_here(tmp_path, monkeypatch, capsys):
    """amdsmi does, and then raises a KeyError, where ROCm's library is missing."""
    (tmp_path / "amdsmi.py").write_text(
        "print('Unable to find libamd_smi.so')\nraise KeyError('libamd_smi.so')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "amdsmi", raising=False)
    assert amdsmi.open_meter() is None
    assert capsys.readouterr().out == ""
