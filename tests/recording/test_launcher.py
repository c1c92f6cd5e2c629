"""What is made of a launcher's messages, with one that says what the test tells it to."""

import pytest
from runs import measured

from hwbench.recording.launch.exchange import describe_device, run_process
from hwbench.records import Measurement, UserError

ANSWER = {"measurement": measured().as_json()}


class CannedLauncher:
    """Starts jobs that yield these messages, one after the other; an exception is raised."""

    def __init__(self, *messages, log=b""):
        self.messages, self.log = list(messages), log
        self.requests, self.closed = [], 0

    def start(self, request, log):
        self.requests.append(request)
        log.write(self.log)
        return self

    def receive(self, timeout_s):
        assert timeout_s > 0
        message = self.messages.pop(0) if self.messages else None
        if isinstance(message, Exception):
            raise message
        return message

    def death(self):
        return Measurement("error", "rank 3 of 8 died")

    def close(self):
        self.closed += 1


class TestMeasurement:
    def run(self, tmp_path, *messages):
        """The measurement that comes of these messages; what was heard before it in `.heard`."""
        launcher, self.heard = CannedLauncher(*messages), []
        measurement = run_process(
            {"case": "x"}, 5.0, tmp_path / "log", self.heard.append, launcher, self.heard.append
        )
        assert launcher.requests == [{"case": "x"}]
        assert launcher.closed == 1
        return measurement

    def test_valid_reply_is_the_measurement(self, tmp_path):
        found = self.run(tmp_path, {"phase": "build"}, {"tell": "slow here"}, ANSWER)
        assert found == measured()
        assert self.heard == ["build", "slow here"]

    @pytest.mark.parametrize(
        "garbage", [ValueError("no JSON"), {}, {"measurement": 3}, {"measurement": {"odd": 1}}]
    )
    def test_garbage_is_an_error(self, tmp_path, garbage):
        found = self.run(tmp_path, {"phase": "build"}, garbage, ANSWER)
        assert found.outcome == "error"
        assert found.reason == "the worker's reply was not a valid JSON message"

    def test_silence_is_a_timeout(self, tmp_path):
        found = self.run(tmp_path, {"phase": "build"}, TimeoutError())
        assert found.outcome == "timeout"
        assert found.reason.startswith("not done after 5 s")

    def test_death_is_told_by_the_launcher(self, tmp_path):
        found = self.run(tmp_path, {"phase": "build"})
        assert (found.outcome, found.reason) == ("error", "rank 3 of 8 died")

    def test_interrupt_closes_the_job(self, tmp_path):
        launcher = CannedLauncher({"phase": "build"})

        def interrupt(phase):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_process({}, 5.0, tmp_path / "log", interrupt, launcher)
        assert launcher.closed == 1


class TestDevice:
    def test_valid_reply_describes_it(self):
        warned = []
        info = {"name": "X", "warnings": ["no cache"]}
        launcher = CannedLauncher({"spec": "x:0", "device": info})
        assert describe_device("x", warned.append, launcher) == ("x:0", {"name": "X"})
        assert warned == ["no cache"]
        assert launcher.closed == 1

    @pytest.mark.parametrize(
        ("messages", "says"),
        [
            ([{"refused": "no device x here"}], "no device x here"),
            ([ValueError()], "device x cannot be opened: the worker's reply was not a valid"),
            ([{"name": "X"}], "device x cannot be opened: the worker's reply was not a valid"),
            ([TimeoutError()], "device x cannot be opened: driver busy"),
            ([], "device x cannot be opened: driver busy"),
        ],
    )
    def test_a_failure_is_one_line(self, messages, says):
        launcher = CannedLauncher(*messages, log=b"starting\ndriver busy\n")
        with pytest.raises(UserError, match=f"^{says}"):
            describe_device("x", print, launcher)
        assert launcher.closed == 1
