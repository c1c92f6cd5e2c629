"""Signals that ask a command to end."""

import os
import signal
import subprocess
import sys

import pytest
from commands import environment

from hwbench.cli import signals

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_first_signal_is_an_interrupt_with_its_own_status(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt) as end, signals.raised():
        os.kill(os.getpid(), number)
    assert end.value.status == 128 + number
    assert signal.getsignal(number) == before


def test_an_ignored_signal_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.raised():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


STUBBORN = """
import os, signal, time
from hwbench.cli import signals
signals.AS_ONE_S = {as_one_s}
with signals.raised():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except KeyboardInterrupt:
        os.kill(os.getpid(), signal.SIGINT)
        print("goes on", flush=True)
"""


@pytest.mark.parametrize(("as_one_s", "status", "said"), [(60, 0, b"goes on\n"), (0, -2, b"")])
def test_a_second_signal_ends_at_once_unless_it_is_the_same_one(as_one_s, status, said):
    command = [sys.executable, "-c", STUBBORN.format(as_one_s=as_one_s)]
    done = subprocess.run(command, env=environment(), capture_output=True, timeout=30)
    assert (done.returncode, done.stdout) == (status, said)


def test_a_metered_command_keeps_what_nohup_ignores():
    command = "trap '' HUP; exec \"$0\" -m hwbench meter -- sh -c 'kill -HUP $$; echo lives'"
    done = subprocess.run(
        ["sh", "-c", command, sys.executable],
        env=environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "lives")
