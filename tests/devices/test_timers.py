import pytest

from hwbench.devices.fake import FakeDevice
from hwbench.devices.timers import END, HostTimer, unfold


def test_stamps_become_samples_and_spans():
    names = ["forward", "backward", END, "forward", END]
    samples, spans = unfold(100, names, [1.0, 3.0, 3.5, 4.0, 4.25], 7, False, "")
    assert samples.step == [7, 8]
    assert samples.step_s == [3.5, 0.75]
    assert samples.start_ns == [100, 100 + 3_500_000_000]
    assert (spans.step, spans.name) == ([7, 7, 8], ["forward", "backward", "forward"])
    assert spans.span_s == [1.0, 2.0, 0.5]
    assert spans.position == [0, 1, 0]


def test_stamps_that_go_back_in_time_are_refused():
    message = r"the device's event clock went back by 0\.5 s within the window"
    with pytest.raises(ValueError, match=message):
        unfold(0, [END, END], [1.0, 0.5], 0, False, "")


def test_event_timer_does_not_make_the_host_wait():
    device = FakeDevice()
    timer = device.timer()
    timer.start()
    for _ in range(3):
        device.launch(0.25)
        timer.mark("work")
        timer.end_step()
    assert (device.syncs, device.host_ns) == (0, 0)
    device.synchronize()
    samples, spans = timer.read(0, True)
    assert samples.step_s == [0.25] * 3
    assert spans.span_s == [0.25] * 3
    assert samples.warmup == [True] * 3


def test_host_timer_of_queueing_device_waits_and_flags_it():
    device = FakeDevice(timer_kind="host")
    timer = device.timer()
    timer.start()
    device.launch(0.5)
    timer.end_step()
    samples, _ = timer.read(0, False)
    assert samples.step_s == [0.5]
    assert samples.flags == ["synced"]


def test_host_timer_of_cpu_only_reads_the_clock():
    ticks = iter([0, 1_000, 3_000])
    timer = HostTimer(lambda: next(ticks))
    timer.start()
    timer.mark("a")
    timer.end_step()
    samples, spans = timer.read(0, False)
    assert spans.span_s == [pytest.approx(1e-6)]
    assert samples.step_s == [pytest.approx(3e-6)]
    assert samples.flags == [""]


def test_ended_steps_are_known_while_others_are_queued():
    device = FakeDevice()
    timer = device.timer()
    timer.start()
    for seconds in (0.1, 0.2, 0.3, 0.4):
        device.launch(seconds)
        timer.mark("work")
        timer.end_step()
    assert timer.ended(9) == []
    assert timer.wait_for(1, over=9) == pytest.approx(0.15)
    assert timer.wait_for(1, over=1) == pytest.approx(0.2)
    assert timer.ended(9) == pytest.approx([0.1, 0.2])
    assert timer.ended(1) == pytest.approx([0.2])
    assert (device.syncs, device.host_ns) == (0, 300_000_000)
    device.synchronize()
    assert timer.ended(3) == pytest.approx([0.2, 0.3, 0.4])
    assert timer.read(0, False)[0].step_s == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_steps_with_host_stamps_have_ended():
    device = FakeDevice(timer_kind="host")
    timer = device.timer()
    timer.start()
    assert timer.ended(9) == []
    for seconds in (0.1, 0.2, 0.3):
        device.compute(seconds)
        timer.mark("work")
        device.compute(seconds)
        timer.end_step()
    assert timer.ended(9) == pytest.approx([0.2, 0.4, 0.6])
    assert timer.ended(2) == pytest.approx([0.4, 0.6])
