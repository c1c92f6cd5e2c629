import pytest
from conftest import fake_step

from hwbench.devices.fake import FakeDevice
from hwbench.harness import MOST_STEPS, FixedWindow, measure, run_phase


def test_a_step_of_known_duration_comes_out_exactly():
    device = FakeDevice()
    window, result = measure(fake_step(device), device, FixedWindow(0, 1, 1), FixedWindow(0, 1, 5))
    assert window.timer_kind == "device_event"
    assert (window.warmup_steps, window.timed_steps) == (2, 5)
    assert window.samples.step == list(range(7))
    assert window.samples.warmup == [True] * 2 + [False] * 5
    assert window.window_s == 0.015
    assert [round(s, 12) for s in window.samples.step_s] == [0.003] * 7
    assert window.spans.name == ["forward", "backward"] * 7
    assert [round(s, 12) for s in window.spans.span_s] == [0.001, 0.002] * 7
    assert window.converged
    assert result == 1.0


def test_the_host_waits_only_at_the_two_ends_of_a_phase():
    device = FakeDevice()
    run_phase(fake_step(device), device, FixedWindow(0, 1, 50), 0, False, 2)
    assert device.syncs == 2


def test_the_window_counts_what_the_queue_still_holds_when_the_last_step_is_submitted():
    device = FakeDevice()
    phase = run_phase(lambda mark: device.launch(1.0), device, FixedWindow(0, 9, 4), 0, False, 2)
    assert phase.elapsed_s == 4.0


def test_the_host_is_held_back_when_it_runs_far_ahead_and_the_device_never_idles():
    """A window of half a second over steps of 0.1 s ends on time, though the host could submit thousands at once."""
    device = FakeDevice()
    window, _ = measure(lambda mark: device.launch(0.1), device, FixedWindow(0, 1, 1), FixedWindow(0.5, 2, 1))
    assert window.window_s == 0.6  # 0.5 s, and the step that was in the queue by then
    assert [round(s, 9) for s in window.samples.step_s] == [0.1] * 8


def test_host_work_between_launches_is_part_of_the_step():
    device = FakeDevice(timer_kind="host")

    def step(mark):
        device.compute(0.2)
        device.launch(0.1)

    phase = run_phase(step, device, FixedWindow(0, 10, 3), 0, False, 2)
    assert [round(s, 9) for s in phase.samples.step_s] == [0.3] * 3
    assert phase.elapsed_s == 0.9


class TestFixedWindow:
    def test_goes_on_until_it_has_both_time_and_samples(self):
        rule = FixedWindow(2.0, 10.0, 5)
        assert not rule.is_finished(100, 1.9)
        assert not rule.is_finished(4, 2.0)
        assert rule.is_finished(5, 2.0)
        assert rule.is_satisfied(5, 2.0)

    def test_stops_when_time_is_up_and_is_then_not_satisfied(self):
        rule = FixedWindow(2.0, 10.0, 5)
        assert rule.is_finished(1, 10.0)
        assert not rule.is_satisfied(1, 10.0)

    def test_always_takes_one_step(self):
        assert not FixedWindow(0.0, 0.001, 5).is_finished(0, 1.0)


def test_a_first_step_that_compiles_does_not_use_up_the_warm_up():
    device, durations = FakeDevice(), iter([30.0] + [0.01] * 1000)
    warmup, window = FixedWindow(0.5, 3, 1), FixedWindow(0.5, 3, 1)
    found, _ = measure(lambda mark: device.launch(next(durations)), device, warmup, window)
    assert found.warmup_steps == 1 + 51  # half a second, and the step in the queue by then
    assert found.samples.step_s[0] == 30.0
    assert found.timed_steps == 54  # held back five steps behind, as steps of 0.01 s are, not of 30


def test_a_window_has_an_end_even_if_steps_take_no_time():
    rule = FixedWindow(1.0, 2.0, 3)
    assert rule.is_finished(MOST_STEPS, 0.1)
    assert rule.is_satisfied(MOST_STEPS, 0.1)


@pytest.mark.parametrize("name", ["", 3, None, "\ud800", "two\nlines"])
def test_a_mark_that_is_no_text_is_refused(name):
    device = FakeDevice()
    with pytest.raises(ValueError, match="the name of a span is a printable text"):
        run_phase(lambda mark: mark(name), device, FixedWindow(0, 1, 1), 0, False, 2)


def test_phases_are_told():
    told = []
    device = FakeDevice()
    measure(fake_step(device), device, FixedWindow(0, 1, 1), FixedWindow(0, 1, 1), told.append)
    assert told == ["warmup", "measure"]
