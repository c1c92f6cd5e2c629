"""The device module for CUDA, ROCm, XPU and TPU in this process, on a queue that is really
asynchronous."""

import time

import pytest
import torch

from hwbench import devices
from hwbench.devices import accelerator
from hwbench.devices.accelerator import AcceleratorDevice
from hwbench.devices.stopwatches import Queue
from hwbench.devices.timers import EventTimer, HostTimer
from hwbench.discovery import find
from hwbench.recording.harness import measure, run_phase
from hwbench.recording.stopping import FixedWindow
from hwbench.records import Unsupported


@pytest.fixture(scope="module")
def device(torch_tpu):
    return devices.open_device("tpu:0")


def sleep(seconds):
    torch.ops.toy_tpu.sleep(seconds)


class TestOpening:
    def test_opening_a_resolved_spec_loads_its_backend(self, device):
        assert (device.kind, device.name) == ("tpu", "Toy TPU (a thread)")

    def test_accelerator_is_listed_before_cpu(self, device):
        assert list(devices.available()) == ["tpu:0", "cpu"]
        assert devices.resolve("auto") == devices.resolve("tpu") == "tpu:0"

    def test_events_that_agree_with_host_are_used_without_note(self, device):
        assert isinstance(device.timer(), EventTimer)
        assert device.notes == []

    def test_single_late_comparison_does_not_decide_timer(self, device, monkeypatch):
        """The first comparison is too late, the second is not."""
        synchronize, late = torch.accelerator.synchronize, iter([0, 0, 0, 0, 0, 0.2])

        def sometimes_late():
            synchronize()
            time.sleep(next(late, 0))

        monkeypatch.setattr(torch.accelerator, "synchronize", sometimes_late)
        opened = AcceleratorDevice("tpu", 0)
        assert next(late, None) is None
        assert isinstance(opened.timer(), EventTimer)
        assert opened.notes == []

    def test_host_that_is_always_late_uses_its_own_clock(self, device, monkeypatch):
        synchronize = torch.accelerator.synchronize
        monkeypatch.setattr(
            torch.accelerator, "synchronize", lambda: (synchronize(), time.sleep(0.2))
        )
        opened = AcceleratorDevice("tpu", 0)
        assert isinstance(opened.timer(), HostTimer)
        assert [note.partition(":")[0] for note in opened.notes] == ["clock_disagreement"]


class TestTiming:
    def test_steps_and_spans_have_times_of_the_queue(self, device):
        def step(mark):
            sleep(0.02)
            mark("short")
            sleep(0.04)
            mark("long")

        window, _ = measure(step, device, FixedWindow(0, 1, 1), FixedWindow(0, 1, 5))
        spans = dict(zip(window.spans.name[-2:], window.spans.span_s[-2:], strict=True))
        assert window.timer_kind == "device_event"
        assert spans["short"] >= 0.02
        assert spans["long"] >= 0.04
        assert sum(window.spans.span_s) == pytest.approx(sum(window.samples.step_s), rel=0.01)
        assert sum(window.timed_s) <= window.window_s

    def test_host_runs_ahead_by_a_bounded_time(self, device):
        """The host could submit a second of steps within a millisecond."""
        began = time.perf_counter()
        phase = run_phase(
            lambda mark: sleep(0.01), device, FixedWindow(0.3, 9, 1), 0, is_warmup=False
        )
        assert phase.elapsed_s == pytest.approx(time.perf_counter() - began, abs=0.1)
        submitted_s = phase.steps_ahead * 0.01
        assert phase.elapsed_s < 0.3 + submitted_s + 0.3  # what a busy machine adds to a sleep
        assert 2 <= phase.steps_ahead <= 5

    def test_ended_events_are_reused(self, device):
        small = torch.zeros(1, device=device.torch)

        def step(mark):
            small.neg_()
            mark("negate")

        made = torch.ops.toy_tpu.events_made()
        phase = run_phase(
            step, device, FixedWindow(0, 9, 20_000), 0, is_warmup=False, steps_ahead=100
        )
        assert len(phase.samples.step) == 20_000
        assert torch.ops.toy_tpu.events_made() - made <= 2 * phase.steps_ahead + 2_000

    def test_waiting_for_device_leaves_host_a_core(self, device):
        """The stand-in's own wait for an event spins, as CUDA's does."""
        timer = device.timer()
        timer.start()
        sleep(0.5)
        timer.end_step()
        began, cpu = time.perf_counter(), time.process_time()
        timer.wait_for(0, 1)
        assert (time.process_time() - cpu) / (time.perf_counter() - began) < 0.5

    def test_end_of_window_of_long_steps_leaves_host_a_core(self, device):
        cpu = time.process_time()
        phase = run_phase(lambda mark: sleep(0.3), device, FixedWindow(0, 9, 2), 0, is_warmup=False)
        assert (time.process_time() - cpu) / phase.elapsed_s < 0.5


class TestTrials:
    def test_short_way_is_timed_over_many_calls(self, device):
        calls = []
        begin = time.perf_counter()
        seconds = Queue(device.synchronize).seconds(lambda: (calls.append(1), sleep(0.0001)))
        assert len(calls) > 1
        assert 0.0001 <= seconds < (time.perf_counter() - begin) / 2  # of one call

    def test_long_way_is_called_once(self, device):
        calls = []
        Queue(device.synchronize).seconds(lambda: (calls.append(1), sleep(0.01)))
        assert calls == [1]


class TestMemory:
    def test_memory_peak_without_tensors_is_zero(self, device):
        device.reset_memory_peak()
        assert device.memory_peak_bytes() == 0

    def test_memory_peak_counts_allocations_and_is_reset(self, device):
        device.reset_memory_peak()
        torch.empty(1 << 20, device=device.torch)
        assert device.memory_peak_bytes() == 4 << 20
        device.reset_memory_peak()
        assert device.memory_peak_bytes() == 0

    def test_out_of_memory_is_recognised(self, device):
        with pytest.raises(RuntimeError) as error:
            torch.empty(1 << 40, device=device.torch)
        assert device.is_out_of_memory(error.value)


class TestWorkloads:
    def build(self, name, device, **params):
        workload = find(name, ())
        p = {axis: of.defaults[0] for axis, of in workload.axes.items()} | params
        return workload.build(type("P", (), p)(), device)

    @pytest.mark.parametrize("memory", ["pinned", "pageable"])
    @pytest.mark.parametrize("direction", ["to_device", "to_host"])
    def test_transfer_runs_both_ways(self, device, memory, direction):
        built = self.build("transfer", device, direction=direction, memory=memory, mb=1)
        window, _ = measure(built.step, device, FixedWindow(0, 1, 1), FixedWindow(0, 1, 3))
        assert window.timed_steps == 3

    def test_missing_operator_is_named(self, device):
        with pytest.raises(NotImplementedError) as error:
            torch.erfinv(torch.zeros(1, device=device.torch))
        message = device.missing_operator(error.value)
        assert message == "Could not run 'aten::erfinv' with arguments from the 'tpu' backend"

    @pytest.mark.parametrize(
        "error",
        [
            NotImplementedError("write me"),
            # no device multiplies this dtype
            NotImplementedError("\"addmm_impl_cpu_\" not implemented for 'Bool'"),
            RuntimeError("aten::mm failed"),
        ],
    )
    def test_other_errors_are_not_missing_operators(self, device, error):
        assert device.missing_operator(error) is None

    def test_attention_choice_is_not_that_of_another_device(self, device):
        built = self.build("gpt/prefill", device, size="nano", batch=1, prompt=16, dtype="fp32")
        assert built.declared.choices.get("attention") in (None, "eager")

    def test_fp32_keeps_all_bits_in_recurrent_layers(self, device):
        message = "has no tf32: torch multiplies all bits of fp32 here"
        with pytest.raises(Unsupported, match=message):
            device.use_precision("tf32")
        assert torch.backends.cudnn.rnn.fp32_precision == "tf32"
        device.use_precision("fp32")
        assert torch.backends.cudnn.rnn.fp32_precision != "tf32"
        assert device.notes == []


def test_stand_in_launches_return_at_once(device):
    began = time.perf_counter()
    sleep(0.3)
    assert time.perf_counter() - began < 0.2
    device.synchronize()
    assert time.perf_counter() - began >= 0.3
    assert accelerator.available("cuda") == {}
