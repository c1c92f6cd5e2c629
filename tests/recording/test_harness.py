import pytest
from runs import fake_step

from hwbench.devices.fake import FakeDevice
from hwbench.recording.harness import RunAhead, measure, measure_once, run_phase
from hwbench.recording.stopping import FixedWindow
from hwbench.records import Unsupported


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


def test_whole_test_runs_once_without_warmup():
    device, told = FakeDevice(), []
    window, result = measure_once(fake_step(device), device, told.append)
    assert (window.warmup_steps, window.timed_steps, window.window_s) == (0, 1, 0.003)
    assert window.spans.name == ["forward", "backward"]
    assert window.converged
    assert told == ["measure"]
    assert result == 1.0


def test_host_synchronizes_only_at_both_ends_of_a_phase():
    device = FakeDevice()
    run_phase(fake_step(device), device, FixedWindow(0, 1, 50), 0, False)
    assert device.syncs == 2


def test_window_includes_steps_still_queued_at_the_end():
    device = FakeDevice()
    phase = run_phase(lambda mark: device.launch(1.0), device, FixedWindow(0, 9, 4), 0, False)
    assert phase.elapsed_s == 4.0


def test_host_far_ahead_is_held_back_without_idling_the_device():
    """A window of half a second over steps of 0.1 s ends on time, though the host could submit
    thousands at once."""
    device = FakeDevice()
    window, _ = measure(
        lambda mark: device.launch(0.1), device, FixedWindow(0, 1, 1), FixedWindow(0.5, 2, 1)
    )
    assert window.window_s == 0.6  # 0.5 s, and the step that was in the queue by then
    assert [round(s, 9) for s in window.samples.step_s] == [0.1] * 8


def slower_and_slower(device, first_s, last_s, steps):
    """A step whose duration grows from one to the other in so many steps, and stays there."""
    growth, taken = (last_s / first_s) ** (1 / steps), iter(range(10**9))
    return lambda mark: device.launch(first_s * growth ** min(next(taken), steps))


def test_slower_steps_shrink_the_queue():
    """From 1 ms to 100 ms: fifty steps ahead, as those of the warm-up are, would be five seconds by
    the end."""
    device = FakeDevice()
    step = slower_and_slower(device, 0.001, 0.1, 100)
    window, _ = measure(step, device, FixedWindow(0, 1, 50), FixedWindow(2, 2, 1))
    assert max(window.timed_s) == pytest.approx(0.1)
    assert 2.0 <= window.window_s < 2.0 + 3 * 0.1


def test_one_slow_step_does_not_drain_the_queue():
    device, durations = FakeDevice(), iter([0.001] * 300 + [0.02] + [0.001] * 10**4)
    phase = run_phase(
        lambda mark: device.launch(next(durations)), device, FixedWindow(0.6, 1, 1), 0, False
    )
    assert phase.steps_ahead == 50
    assert phase.samples.step_s[300] == pytest.approx(0.02)


class Told:
    """A timer on which a step takes what it is told."""

    def __init__(self, *step_s):
        self._step_s, self.waits = iter(step_s), 0

    def wait_for(self, step, over):
        self.waits += 1
        return next(self._step_s)


@pytest.mark.parametrize("step_s", [0.0, -0.01])
def test_stuck_clock_does_not_fill_the_queue(step_s):
    ahead = RunAhead(Told(step_s), 5)
    ahead.hold_back(10)
    assert ahead.steps == 5


def test_a_queue_at_most_doubles_at_a_time():
    ahead = RunAhead(Told(1e-9), 5)
    ahead.hold_back(10)
    assert ahead.steps == 10


def test_host_work_between_launches_is_part_of_the_step():
    device = FakeDevice(timer_kind="host")

    def step(mark):
        device.compute(0.2)
        device.launch(0.1)

    phase = run_phase(step, device, FixedWindow(0, 10, 3), 0, False)
    assert [round(s, 9) for s in phase.samples.step_s] == [0.3] * 3
    assert phase.elapsed_s == 0.9


def test_a_first_step_that_compiles_does_not_use_up_the_warm_up():
    device, durations = FakeDevice(), iter([30.0] + [0.01] * 1000)
    warmup, window = FixedWindow(0.5, 3, 1), FixedWindow(0.5, 3, 1)
    found, _ = measure(lambda mark: device.launch(next(durations)), device, warmup, window)
    assert found.warmup_steps == 1 + 54  # half a second, and the steps in the queue by then
    assert found.samples.step_s[0] == 30.0
    assert found.timed_steps == 54  # held back five steps behind, as steps of 0.01 s are, not of 30


@pytest.mark.parametrize("name", ["", 3, None, "\ud800", "two\nlines"])
def test_mark_without_printable_text_is_refused(name):
    device = FakeDevice()
    with pytest.raises(ValueError, match="the name of a span is a printable text"):
        run_phase(lambda mark: mark(name), device, FixedWindow(0, 1, 1), 0, False)


def test_on_phase_is_called_for_each_phase():
    told = []
    device = FakeDevice()
    measure(fake_step(device), device, FixedWindow(0, 1, 1), FixedWindow(0, 1, 1), told.append)
    assert told == ["warmup", "measure"]


def test_window_begins_with_its_first_timed_step():
    device = FakeDevice()
    device.compute(7.0)
    window, _ = measure(fake_step(device), device, FixedWindow(0, 1, 1), FixedWindow(0, 1, 1))
    timed = [
        start
        for start, warmup in zip(window.samples.start_ns, window.samples.warmup, strict=True)
        if not warmup
    ]
    assert window.begin_ns == timed[0] > 7e9


class Thoughtful:
    """A rule that takes a second to think before it ends the phase after three steps."""

    def __init__(self, device):
        self.device = device

    def is_finished(self, steps, elapsed_s, ended):
        if steps == 3:
            self.device.compute(1.0)
        return steps == 3

    def is_satisfied(self, step_s, elapsed_s):
        return True


def test_time_of_the_last_look_is_not_in_the_window():
    device = FakeDevice(timer_kind="host")
    phase = run_phase(lambda mark: device.compute(0.2), device, Thoughtful(device), 0, False)
    assert phase.elapsed_s == 0.6
    device = FakeDevice()
    phase = run_phase(lambda mark: device.launch(2.0), device, Thoughtful(device), 0, False)
    assert phase.elapsed_s == 6.0  # the queue had more to do than the rule to think


class Clock:
    """The time left of a limit, on the fake device's own clock."""

    def __init__(self, device, limit_s):
        self._device, self._limit_s = device, limit_s

    def __call__(self):
        return self._limit_s - max(self._device.host_ns, self._device.queue_ns) / 1e9


class TestTimeLimit:
    """Steps of one second, of which five are asked for after a warm-up of two."""

    def measure(self, limit_s, cold_s=1.0, is_longer=False):
        device = FakeDevice(timer_kind="host")
        durations = iter([cold_s])

        def step(mark):
            device.launch(next(durations, 1.0))

        rules = FixedWindow(0, 99, 2), FixedWindow(0, 99, 5)
        window, _ = measure(
            step, device, *rules, left_s=Clock(device, limit_s), is_longer=is_longer
        )
        return window.warmup_steps, window.timed_steps, window.cut_short, window.converged

    def test_with_time_enough_nothing_is_cut(self):
        assert self.measure(8.0) == (3, 5, False, True)

    def test_a_window_ends_before_a_step_that_would_not_end_in_time(self):
        assert self.measure(6.0) == (3, 3, True, False)

    def test_a_warm_up_takes_no_more_than_half_of_what_is_left(self):
        assert self.measure(3.5) == (2, 1, True, False)

    def test_without_time_for_both_only_the_cold_step_warms_up(self):
        assert self.measure(2.9) == (1, 1, True, False)

    def test_a_step_is_refused_after_a_warm_up_that_took_all_that_was_left(self):
        with pytest.raises(Unsupported, match="the step before took 1 s"):
            self.measure(61.5, cold_s=60.0, is_longer=True)

    def test_no_time_for_a_step_is_refused_with_its_duration(self):
        with pytest.raises(
            Unsupported, match=r"the step before took 1 s, and 0\.5 s of the time limit are left"
        ):
            self.measure(1.5)

    def test_a_first_step_that_compiles_says_nothing_of_the_others(self):
        assert self.measure(66.0, cold_s=60.0, is_longer=True) == (3, 4, True, False)
        with pytest.raises(Unsupported):
            self.measure(66.0, cold_s=60.0)
