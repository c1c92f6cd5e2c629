"""powermetrics of macOS, with written traces and scripts that replace the tool."""

import sys
import time
from pathlib import Path

import pytest

from hwbench.meters import powermetrics, read_all
from hwbench.meters.powermetrics import CPU, GPU

DATA = Path(__file__).parents[1] / "data"
APPLE, INTEL = DATA / "powermetrics-apple.plist", DATA / "powermetrics-intel.plist"

TOOL = """
import pathlib, sys, time
text = pathlib.Path(sys.argv[1]).read_bytes()
sys.stdout.buffer.write(text)
sys.stdout.flush()
time.sleep(60)  # like the tool, until terminated
"""


def tool(file, code=TOOL):
    return [sys.executable, "-c", code, str(file)]


@pytest.fixture
def root(monkeypatch):
    monkeypatch.setattr(powermetrics.os, "geteuid", lambda: 0, raising=False)


def test_tool_that_does_not_end_is_killed(root, monkeypatch):
    monkeypatch.setattr(powermetrics, "END_S", 0.2)
    stubborn = tool(APPLE, "import signal; signal.signal(15, signal.SIG_IGN)" + TOOL)
    meter = powermetrics.open_meter(stubborn, "darwin")
    began = time.monotonic()
    meter.close()
    assert time.monotonic() - began < 10
    assert meter._tool.returncode == -9


def test_samples_of_apple_silicon_have_cpu_and_gpu():
    samples = powermetrics.samples(APPLE.read_bytes().splitlines(True))
    assert list(map(powermetrics.watts, samples)) == [
        {CPU: pytest.approx(0.99325), GPU: pytest.approx(0.4765)},
        {CPU: pytest.approx(14.82), GPU: pytest.approx(3.1005)},
        {CPU: pytest.approx(23.7645), GPU: pytest.approx(18.25075)},
    ]


def test_samples_of_intel_have_only_the_package():
    samples = powermetrics.samples(INTEL.read_bytes().splitlines(True))
    assert list(map(powermetrics.watts, samples)) == [{CPU: 12.5}, {CPU: 41.25}]


def test_line_may_end_one_sample_and_begin_the_next():
    lines = APPLE.read_bytes().replace(b"</plist>\n", b"</plist>").splitlines(True)
    assert len(list(powermetrics.samples(lines))) == 3


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"powermetrics must be invoked as the superuser\n",
        b"<?xml <broken></plist>\n",
        b"x</plist>\n",
        b"<plist><array/></plist>\n",
    ],
)
def test_other_output_is_skipped(text):
    good = APPLE.read_bytes().split(b"\0")[0]
    lines = [*text.splitlines(True), b"\0", *good.splitlines(True)]
    assert len(list(powermetrics.samples(lines))) == 1


@pytest.mark.parametrize("sample", [{}, {"processor": None}, {"processor": {"cpu_power": "N/A"}}])
def test_sample_without_power_shows_nothing(sample):
    assert powermetrics.watts(sample) == {}


def test_each_sample_is_shown_once(root):
    meter = powermetrics.open_meter(tool(APPLE), "darwin")
    try:
        assert [source.signal for source in meter.energy] == [CPU, GPU]
        assert all(source.is_estimate for source in meter.energy)
        shown, until = {}, time.monotonic() + 10
        while shown.get(CPU) != pytest.approx(23.7645) and time.monotonic() < until:
            shown = read_all(meter) or shown
        assert shown[GPU] == pytest.approx(18.25075)
        assert read_all(meter) == {}
        assert meter.failures == {}
    finally:
        meter.close()


def test_ended_tool_is_named_with_its_last_line(root):
    ends = TOOL.replace("time.sleep(60)", "print('second level lost')")
    meter = powermetrics.open_meter(tool(INTEL, ends), "darwin")
    meter._thread.join()
    assert meter.failures == {CPU: "powermetrics ended: second level lost"}
    meter.close()


def test_working_tool_is_listed(root):
    (source,) = powermetrics.sources(tool(APPLE), "darwin")
    assert source.works
    assert [name.split()[0] for name in source.signals] == ["package:0", "gpu:0"]


def test_missing_meter_has_a_reason(root, monkeypatch):
    code = "print('powermetrics must be invoked as the superuser'); raise SystemExit(1)"
    refuses = tool(APPLE, code)
    assert powermetrics.open_meter(refuses, "darwin") is None
    assert "superuser" in powermetrics.sources(refuses, "darwin")[0].reason
    assert "not found" in powermetrics.sources(["no-such-tool"], "darwin")[0].reason
    assert "macOS" in powermetrics.sources(platform="linux")[0].reason
    monkeypatch.setattr(powermetrics.os, "geteuid", lambda: 501)
    (source,) = powermetrics.sources(tool(APPLE), "darwin")
    assert not source.works
    assert "root" in source.reason
    assert "sudo" in source.cure
