"""The thread that reads the meters: when each reading is said to have been taken, and what it does about trouble."""

from nvml_driver import Driver

from hwbench.meters import Counter, Signal
from hwbench.meters.fake import FakeMeter
from hwbench.meters.nvml import NvmlMeter
from hwbench.meters.recorder import Recorder

MS = 1_000_000
ENERGY, POWER = Signal("fake", "gpu:0", "energy", "J"), Signal("fake", "gpu:0", "power", "W")


class Clock:
    """A clock that stands still but for what its questions take."""

    def __init__(self):
        self.ns = 0

    def now_ns(self):
        return self.ns

    def after(self, milliseconds, value):
        """A question that takes so long, as on a busy interpreter, and is answered in the middle of that time."""

        def show(now_s):
            self.ns += milliseconds * MS
            return value

        return show


def stamps(recorder):
    return {signal.quantity: list(recorder.trace.series(signal)[0]) for signal in recorder.trace.signals}


class TestStamps:
    def test_each_question_is_stamped_by_itself(self):
        clock = Clock()
        signals = {ENERGY: clock.after(2, 5.0), POWER: clock.after(40, 100.0)}
        recorder = Recorder([FakeMeter(clock.now_ns, signals, [Counter(ENERGY)])], clock.now_ns)
        recorder.read_once()
        recorder.read_once()
        assert stamps(recorder) == {"energy": [1 * MS, 43 * MS], "power": [22 * MS, 64 * MS]}

    def test_a_question_that_fails_does_not_date_the_next_one_early(self):
        clock = Clock()
        recorder = Recorder(
            [FakeMeter(clock.now_ns, {ENERGY: clock.after(10, None), POWER: clock.after(4, 100.0)})], clock.now_ns
        )
        recorder.read_once()
        assert stamps(recorder) == {"power": [12 * MS]}

    def test_an_nvidia_gpu_is_asked_for_its_energy_first_and_dated_so(self):
        clock, driver = Clock(), Driver()
        meter = NvmlMeter(driver, None, clock=lambda: 0.0)
        driver.on_call = lambda: setattr(clock, "ns", clock.ns + 20 * MS)
        driver.asked.clear()
        recorder = Recorder([meter], clock.now_ns)
        recorder.read_once()
        assert driver.asked == ["energy", "temperature"]
        assert stamps(recorder) == {"energy": [10 * MS], "temperature": [30 * MS]}
