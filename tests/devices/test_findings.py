"""What suits a device is found by trials on it: on the fake device, whose ways take known times,
and on a CPU."""

import json

import pytest
import torch

from hwbench.devices import open_device
from hwbench.devices.fake import FakeDevice, FakeStopwatch
from hwbench.devices.findings import FILE, Choice, Findings
from hwbench.devices.format_trial import FORMATS, measure_formats


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HWBENCH_CACHE", str(tmp_path))


def ways(device, **seconds):
    """Ways that take these times on the fake device; None stands for one that fails."""

    def way(name):
        if seconds[name] is None:
            raise RuntimeError(f"{name} needs another processor\nand more")
        device.launch(seconds[name])

    return {name: lambda name=name: way(name) for name in seconds}


def choose(device, findings=None, **seconds):
    return (findings or device.findings).choose("question", ways(device, **seconds))


def found_by(where, measure, parts=1):
    """Findings of a fake device whose formats `measure` measures."""
    device = FakeDevice()
    return Findings(FakeStopwatch(device), where, device.is_out_of_memory, measure, parts)


class TestChoice:
    def test_the_fastest_way_is_chosen(self):
        assert choose(FakeDevice(), plain=0.010, packed=0.005).name == "packed"

    def test_a_way_that_is_hardly_faster_does_not_replace_the_first(self):
        assert choose(FakeDevice(), plain=0.010, packed=0.009).name == "plain"

    def test_a_way_that_fails_is_left_out_with_the_reason(self):
        choice = choose(FakeDevice(), plain=0.010, packed=None)
        assert (choice.name, choice.failed) == (
            "plain",
            {"packed": "packed needs another processor"},
        )

    def test_where_the_first_fails_another_one_is_taken(self):
        assert choose(FakeDevice(), plain=None, packed=1.0).name == "packed"

    def test_where_all_fail_the_first_one_is_left_to_say_why(self):
        choice = choose(FakeDevice(), plain=None, packed=None)
        assert (choice.name, set(choice.failed)) == ("plain", {"plain", "packed"})

    def test_where_all_fail_nothing_is_remembered(self, tmp_path):
        choose(FakeDevice(), plain=None, packed=None)
        assert not (tmp_path / FILE).exists()

    def test_a_device_that_an_error_left_unfit_is_no_want_of_a_way(self, tmp_path, monkeypatch):
        """After an illegal access CUDA fails with it whatever is asked next."""

        def is_lost(self):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

        monkeypatch.setattr("hwbench.devices.fake.FakeStopwatch.require_device", is_lost)
        with pytest.raises(RuntimeError, match="illegal memory access"):
            choose(FakeDevice(), plain=0.010, packed=None)
        assert not (tmp_path / FILE).exists()

    def test_where_memory_ran_out_the_first_is_taken_and_nothing_is_remembered(self, tmp_path):
        def exhaust():
            raise MemoryError("fake device out of memory")

        device = FakeDevice()
        choice = device.findings.choose(
            "question", {"plain": lambda: device.launch(0.01), "packed": exhaust}
        )
        assert (choice.name, choice.failed) == ("plain", {})
        assert not (tmp_path / FILE).exists()
        assert choose(FakeDevice(), plain=0.010, packed=0.005).name == "packed"

    def test_what_is_declared_names_the_way_and_what_failed(self):
        assert Choice("plain").as_choices("weights", "plain") == {"weights": "plain"}
        failed = Choice("plain", {"packed": "no such instruction"}).as_choices("weights", None)
        assert failed == {"weights_failed": "packed: no such instruction"}

    def test_the_answer_is_remembered_with_what_failed(self):
        first = choose(FakeDevice(), plain=0.010, other=None, packed=0.005)
        again = choose(FakeDevice(), plain=0.001, other=0.001, packed=0.005)
        assert (
            (again.name, again.failed)
            == (first.name, first.failed)
            == ("packed", {"other": first.failed["other"]})
        )

    def test_another_device_or_version_is_asked_anew(self):
        choose(FakeDevice(), plain=0.010, packed=0.005)
        device = FakeDevice()
        findings = Findings(FakeStopwatch(device), {"name": "another"}, device.is_out_of_memory)
        assert choose(device, findings, plain=0.001, packed=0.005).name == "plain"

    def test_a_damaged_memory_is_measured_anew(self, tmp_path):
        choose(FakeDevice(), plain=0.010, packed=0.005)
        (tmp_path / FILE).write_text("{")
        device = FakeDevice()
        assert choose(device, plain=0.001, packed=0.005).name == "plain"
        assert device.findings.warnings == [
            f"{tmp_path / FILE}: not a file of remembered answers; it is replaced"
        ]

    def test_a_remembered_way_that_is_no_longer_there_is_not_taken(self):
        choose(FakeDevice(), plain=0.010, packed=0.005)
        assert choose(FakeDevice(), plain=0.010, other=0.005).name == "other"


class TestFormats:
    def test_they_are_measured_once_and_remembered(self, tmp_path):
        calls = []

        def measure():
            calls.append(1)
            return {"fp32": 2e9, "bf16": None}

        for _ in range(2):
            findings = found_by({"name": "x"}, measure)
            assert findings.formats == {"fp32": 2e9, "bf16": None}
        assert calls == [1]
        assert len(json.loads((tmp_path / FILE).read_text())) == 1

    @pytest.mark.parametrize(
        "answer", [{}, {"bf16": 1e9}, *({"fp32": rate} for rate in (None, -1, "fast", True))]
    )
    def test_an_answer_that_cannot_be_is_measured_anew(self, answer):
        def findings(measure):
            return found_by({"name": "x"}, measure)

        findings(lambda: answer).formats  # noqa: B018 - remembers it
        assert findings(lambda: {"fp32": 1e9}).formats == {"fp32": 1e9}

    def test_what_another_process_found_is_taken_without_a_trial(self):
        findings = found_by({}, lambda: pytest.fail("measured"))
        findings.take({"fp32": 4e9, "bf16": 1e9})
        assert (findings.least_s("fp32", 8 * 10**9), findings.least_s("int8", 1)) == (2.0, None)

    def test_rates_of_one_part_count_for_all_parts(self):
        findings = found_by({}, None, parts=4)
        findings.take({"fp32": 1e9})
        assert findings.least_s("fp32", 8 * 10**9) == 2.0


class Scripted:
    """A stopwatch on which a product takes as long as its format says, and int8 fails."""

    def __init__(self, seconds):
        self.seconds_of, self.calls, self.is_lost = seconds, [], False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def seconds(self, way):
        dtype = next(
            cell.cell_contents.dtype
            for cell in way.__closure__
            if hasattr(cell.cell_contents, "dtype")
        )
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


def test_a_format_is_not_called_missing_because_memory_ran_out():
    watch = Scripted({"fp32": 1e-3, "bf16": 1e-3, "fp16": 1e-3})
    with pytest.raises(RuntimeError, match="no int8 here"):
        measure_formats(watch, torch.device("cpu"), lambda error: True)


def test_a_format_is_not_called_missing_because_the_device_was_lost():
    watch = Scripted({"fp32": 1e-3, "bf16": 1e-3, "fp16": 1e-3})
    watch.is_lost = True
    with pytest.raises(RuntimeError, match="the device is lost"):
        measure_formats(watch, torch.device("cpu"), never)


def test_a_rate_is_that_of_the_product_and_null_where_it_fails():
    rates = measure_formats(
        Scripted({"fp32": 1e-3, "bf16": 0.5e-3, "fp16": 10.0}), torch.device("cpu"), never
    )
    flops = 2 * 256**3
    assert rates == {
        "fp32": flops / 1e-3,
        "bf16": flops / 0.5e-3,
        "fp16": flops / 10.0,
        "int8": None,
    }


def test_a_slow_format_is_tried_once():
    watch = Scripted({"fp32": 1e-3, "bf16": 1e-3, "fp16": 10.0})
    measure_formats(watch, torch.device("cpu"), never)
    assert watch.calls.count("fp16") == 2  # as it lies, and transposed
    assert watch.calls.count("bf16") > 10


def test_matrices_grow_until_a_product_is_long_enough():
    watch = Scripted({"fp32": 1e-6, "bf16": 1e-6, "fp16": 1e-6})
    assert measure_formats(watch, torch.device("cpu"), never)["fp32"] == pytest.approx(
        2 * 4096**3 / 1e-6
    )


@pytest.mark.machine
def test_a_cpu_says_what_it_multiplies_and_keeps_its_threads():
    threads = torch.get_num_threads()
    device = open_device("cpu")
    rates = device.describe()["formats"]
    assert set(rates) == set(FORMATS)
    assert rates["fp32"] > 1e8
    assert torch.get_num_threads() == threads
    assert open_device("cpu").findings.formats == rates
