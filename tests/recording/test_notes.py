"""The notes on one measured process."""

from dataclasses import replace

import pytest
from runs import measured

from hwbench.recording.notes import clock_jump


class TestClock:
    """A window of 300 ms, of 100 steps of 3 ms."""

    window = measured(0.003, steps=100).window

    def test_steps_that_add_up_to_the_window_need_no_note(self):
        assert clock_jump(self.window) == []

    @pytest.mark.parametrize("window_s", [0.2, 0.4, 1.3])
    def test_steps_that_do_not_add_up_are_noted(self, window_s):
        (note,) = clock_jump(replace(self.window, window_s=window_s))
        times = f"0.3 s by the device's events, to {window_s:g} s by the host"
        assert note == f"clock_jump: the steps add up to {times}"

    def test_late_host_is_not_a_clock_jump(self):
        assert clock_jump(replace(self.window, window_s=0.34)) == []

    def test_host_timer_has_no_clock_jump(self):
        assert clock_jump(replace(self.window, window_s=1.3, timer_kind="host")) == []
