"""Trials on the fake device, whose ways take known times, and on a CPU."""

import json

import pytest
import torch

from hwbench.devices import cpu, open_device
from hwbench.devices.fake import FakeDevice, FakeStopwatch
from hwbench.devices.findings import FILE, Choice, Findings
from hwbench.devices.format_trial import FORMATS, measure_formats


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HWBENCH_CACHE", str(tmp_path))


def ways(device, **seconds):
    """Ways that take these seconds on the fake device; one with None fails."""

    def way(name):
        if seconds[name] is None:
            raise RuntimeError(f"{name} needs another processor\nand more")
        device.launch(seconds[name])

    return {name: lambda name=name: way(name) for name in seconds}


def choose(device, findings=None, **seconds):
    return (findings or device.findings).choose("question", ways(device, **seconds))


def findings_of(where, measure, parts=1):
    """The findings of a fake device whose formats `measure` measures."""
    device = FakeDevice()
    return Findings(FakeStopwatch(device), where, device.is_out_of_memory, measure, parts)


class TestChoice:
    def test_fastest_way_is_chosen(self):
        assert choose(FakeDevice(), plain=0.010, packed=0.005).name == "packed"

    def test_way_within_margin_does_not_replace_first(self):
        assert choose(FakeDevice(), plain=0.010, packed=0.009).name == "plain"

    def test_failing_way_is_left_out_with_reason(self):
        choice = choose(FakeDevice(), plain=0.010, packed=None)
        assert choice == Choice("plain", {"packed": "packed needs another processor"})

    def test_another_way_is_chosen_if_first_fails(self):
        assert choose(FakeDevice(), plain=None, packed=1.0).name == "packed"

    def test_first_way_is_chosen_if_all_fail(self):
        choice = choose(FakeDevice(), plain=None, packed=None)
        assert (choice.name, set(choice.failed)) == ("plain", {"plain", "packed"})

    def test_nothing_is_remembered_if_all_ways_fail(self, tmp_path):
        choose(FakeDevice(), plain=None, packed=None)
        assert not (tmp_path / FILE).exists()

    def test_lost_device_is_not_blamed_on_a_way(self, tmp_path, monkeypatch):
        """After an illegal access every later call of CUDA fails, too."""

        def is_lost(self):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

        monkeypatch.setattr("hwbench.devices.fake.FakeStopwatch.require_device", is_lost)
        with pytest.raises(RuntimeError, match="illegal memory access"):
            choose(FakeDevice(), plain=0.010, packed=None)
        assert not (tmp_path / FILE).exists()

    def test_out_of_memory_chooses_first_and_remembers_nothing(self, tmp_path):
        def exhaust():
            raise MemoryError("fake device out of memory")

        device = FakeDevice()
        two_ways = {"plain": lambda: device.launch(0.01), "packed": exhaust}
        assert device.findings.choose("question", two_ways) == Choice("plain", {})
        assert not (tmp_path / FILE).exists()
        assert choose(FakeDevice(), plain=0.010, packed=0.005).name == "packed"

    def test_choices_name_the_way_and_the_failed_ones(self):
        assert Choice("plain").as_choices("weights", "plain") == {"weights": "plain"}
        failed = Choice("plain", {"packed": "no such instruction"}).as_choices("weights", None)
        assert failed == {"weights_failed": "packed: no such instruction"}

    def test_choice_is_remembered_with_failures(self):
        first = choose(FakeDevice(), plain=0.010, other=None, packed=0.005)
        again = choose(FakeDevice(), plain=0.001, other=0.001, packed=0.005)
        assert first == Choice("packed", {"other": "other needs another processor"})
        assert again == first

    def test_choice_is_not_remembered_for_another_device(self):
        choose(FakeDevice(), plain=0.010, packed=0.005)
        device = FakeDevice()
        findings = Findings(FakeStopwatch(device), {"name": "another"}, device.is_out_of_memory)
        assert choose(device, findings, plain=0.001, packed=0.005).name == "plain"

    def test_damaged_file_is_measured_again(self, tmp_path):
        choose(FakeDevice(), plain=0.010, packed=0.005)
        (tmp_path / FILE).write_text("{")
        device = FakeDevice()
        assert choose(device, plain=0.001, packed=0.005).name == "plain"
        assert device.findings.warnings == [
            f"{tmp_path / FILE}: not a file of remembered answers; it is replaced"
        ]

    def test_remembered_way_that_no_longer_exists_is_ignored(self):
        choose(FakeDevice(), plain=0.010, packed=0.005)
        assert choose(FakeDevice(), plain=0.010, other=0.005).name == "other"


class TestFormats:
    def test_formats_are_measured_once_and_remembered(self, tmp_path):
        calls = []

        def measure():
            calls.append(1)
            return {"fp32": 2e9, "bf16": None}

        for _ in range(2):
            findings = findings_of({"name": "x"}, measure)
            assert findings.formats == {"fp32": 2e9, "bf16": None}
        assert calls == [1]
        assert len(json.loads((tmp_path / FILE).read_text())) == 1

    @pytest.mark.parametrize(
        "answer", [{}, {"bf16": 1e9}, *({"fp32": rate} for rate in (None, -1, "fast", True))]
    )
    def test_impossible_rates_are_measured_again(self, answer):
        def findings(measure):
            return findings_of({"name": "x"}, measure)

        findings(lambda: answer).formats  # noqa: B018 - remembers it
        assert findings(lambda: {"fp32": 1e9}).formats == {"fp32": 1e9}

    def test_rates_of_another_process_need_no_trial(self):
        findings = findings_of({}, lambda: pytest.fail("measured"))
        findings.take({"fp32": 4e9, "bf16": 1e9})
        assert (findings.least_s("fp32", 8 * 10**9), findings.least_s("int8", 1)) == (2.0, None)

    def test_rate_of_a_part_counts_for_all_parts(self):
        findings = findings_of({}, None, parts=4)
        findings.take({"fp32": 1e9})
        assert findings.least_s("fp32", 8 * 10**9) == 2.0


class Scripted:
    """A stopwatch that gives each format its time in `seconds`; int8 fails."""

    def __init__(self, seconds):
        self.seconds_of, self.calls, self.is_lost = seconds, [], False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def seconds(self, way):
        values = [cell.cell_contents for cell in way.__closure__]
        dtype = next(value.dtype for value in values if isinstance(value, torch.Tensor))
        if dtype is torch.int8:
            raise RuntimeError("no int8 here")
        name = next(name for name, known in FORMATS.items() if known is dtype)
        self.calls.append(name)
        return self.seconds_of[name]

    def require_device(self):
        if self.is_lost:
            raise RuntimeError("the device is lost")


def never(error):
    return False


def test_out_of_memory_does_not_make_a_format_missing():
    watch = Scripted({"fp32": 1e-3, "bf16": 1e-3, "fp16": 1e-3})
    with pytest.raises(RuntimeError, match="no int8 here"):
        measure_formats(watch, torch.device("cpu"), lambda error: True)


def test_lost_device_does_not_make_a_format_missing():
    watch = Scripted({"fp32": 1e-3, "bf16": 1e-3, "fp16": 1e-3})
    watch.is_lost = True
    with pytest.raises(RuntimeError, match="the device is lost"):
        measure_formats(watch, torch.device("cpu"), never)


def test_rate_is_that_of_product_and_none_if_it_fails():
    seconds = {"fp32": 1e-3, "bf16": 0.5e-3, "fp16": 10.0}
    rates = measure_formats(Scripted(seconds), torch.device("cpu"), never)
    flops = 2 * 256**3
    expected = {name: flops / product_s for name, product_s in seconds.items()}
    assert rates == expected | {"int8": None}


def test_slow_format_is_tried_once():
    watch = Scripted({"fp32": 1e-3, "bf16": 1e-3, "fp16": 10.0})
    measure_formats(watch, torch.device("cpu"), never)
    assert watch.calls.count("fp16") == 2  # as stored, and transposed
    assert watch.calls.count("bf16") > 10


def test_matrices_grow_until_product_is_long_enough():
    watch = Scripted({"fp32": 1e-6, "bf16": 1e-6, "fp16": 1e-6})
    rates = measure_formats(watch, torch.device("cpu"), never)
    assert rates["fp32"] == pytest.approx(2 * 4096**3 / 1e-6)


@pytest.mark.machine
def test_cpu_describes_formats_and_keeps_its_threads():
    threads = torch.get_num_threads()
    device = open_device("cpu")
    rates = device.describe()["formats"]
    assert set(rates) == set(FORMATS)
    assert rates["fp32"] > 1e8
    assert torch.get_num_threads() == threads
    assert open_device("cpu").findings.formats == rates


@pytest.mark.parametrize(("name", "has_boot"), [("unknown CPU (2 cores)", True), ("EPYC 7", False)])
def test_findings_of_an_unknown_device_hold_until_the_next_boot(monkeypatch, name, has_boot):
    monkeypatch.setattr(cpu, "cpu_name", lambda: name)
    where = cpu.CpuDevice().findings._formats._where
    assert ("boot" in where) is has_boot
    assert set(where["cpu"]) == {"name", "vendor", "family", "model"}
