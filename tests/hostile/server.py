"""Runs hwbench's commands in forks of one warm process, which has imported all that they need: a
fresh Python would take a second or two for each.

Requests and answers are pickles on standard input and output. A request is a dictionary:

    words, folder, environment     of the command, as bytes
    stdout, stderr                 as in `attack.Attack`
    files                          where the two streams go
    locale_c, measures, seconds    see `attack.Attack`; `seconds` is when it is killed
"""

import gc
import importlib
import locale
import os
import pickle
import resource
import select
import signal
import sys
import time
import traceback
import warnings
from contextlib import suppress
from typing import Any, BinaryIO, NoReturn

MORE_ADDRESSES = 4 << 30
"""Bytes of address space that a command may take beyond the server's: a bomb must not take the
machine's memory."""

BROKEN = 99
"""The exit status of a fork that was not even the command, or whose `main` let an error pass."""

LARGEST_FILE = 1 << 30


def serve() -> None:
    own_bytes = _memory_of_a_fork()
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            request = pickle.load(requests)
        except EOFError:
            return
        terminal, inner = os.openpty() if request["stdout"] == "terminal" else (None, None)
        child = os.fork()
        if not child:
            try:
                status = _run(request, inner)
            except BaseException:  # noqa: BLE001 - whatever a command lets pass is its fault
                traceback.print_exc()
                os._exit(BROKEN)
            _end(status, request)
        with open(request["files"][0], "ab") as shown:
            answer = _watch(child, request["seconds"], terminal, shown)
        answer["memory_bytes"] -= own_bytes
        pickle.dump(answer, answers)
        answers.flush()
        for handle in filter(None, (terminal, inner)):
            os.close(handle)


def _memory_of_a_fork() -> int:
    """Bytes that a fork has at once: how many depends on the build of torch."""
    child = os.fork()
    if not child:
        os._exit(0)
    _, _, use = os.wait4(child, 0)
    return use.ru_maxrss * 1024


def _watch(child: int, seconds: float, terminal: int | None, shown: BinaryIO) -> dict[str, Any]:
    """Wait for a command to end, for so long at most, and keep what its terminal shows."""
    begin = time.monotonic()
    end = begin + seconds
    pid = 0
    while not pid and time.monotonic() < end:
        time.sleep(0.002)
        pid, status, use = os.wait4(child, os.WNOHANG)
        # one that never stops showing something hangs, too
        while terminal and select.select([terminal], [], [], 0)[0] and time.monotonic() < end:
            shown.write(os.read(terminal, 1 << 16))
    is_late = not pid
    try:
        os.killpg(child, signal.SIGKILL)  # and what it has left behind
    except ProcessLookupError:
        if is_late:
            os.kill(child, signal.SIGKILL)
    if is_late:
        _, status, use = os.wait4(child, 0)
    return {
        "status": os.waitstatus_to_exitcode(status),
        "is_late": is_late,
        "seconds": time.monotonic() - begin,
        "cpu_s": use.ru_utime + use.ru_stime,
        "memory_bytes": use.ru_maxrss * 1024,
    }


def _run(request: dict[str, Any], terminal: int | None) -> int:
    """Become the command. Returns its exit status."""
    os.setsid()
    os.chdir(request["folder"])
    os.environb.clear()
    os.environb.update(request["environment"])
    _limit(request["measures"])
    _open_streams(request, terminal)
    sys.argv = ["hwbench", *map(os.fsdecode, request["words"])]
    if not request["measures"]:
        _without_devices()
    from hwbench.cli import main

    try:
        _read_from_python(sys.argv[2:]) if sys.argv[1] == "api" else main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _end(status: int, request: dict[str, Any]) -> NoReturn:
    """Exit. Python's own end flushes the streams once more, which may fail; it is left out where
    it cannot, since it takes half a second of a process that has imported so much."""
    if request["stdout"] not in ("file", "terminal") or request["stderr"] != "file":
        sys.exit(status)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _limit(measures: bool) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    if not measures:
        with open("/proc/self/statm") as file:
            most = int(file.read().split()[0]) * resource.getpagesize() + MORE_ADDRESSES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _open_streams(request: dict[str, Any], terminal: int | None) -> None:
    """Standard streams as Python opens them when it starts."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = os.fdopen(0, closefd=False)
    for number, name in ((1, "stdout"), (2, "stderr")):
        is_shown = request[name] == "terminal"
        file = request["files"][number - 1]
        handle = terminal if is_shown else _opened(request[name], file)
        if handle is None:
            os.close(number)
            setattr(sys, name, None)
            setattr(sys, f"__{name}__", None)
            continue
        os.dup2(handle, number)
        os.close(handle)
        stream = os.fdopen(
            number,
            "w",
            encoding=_encoding(request[name], request["locale_c"]),
            errors=_errors(name, request["locale_c"]),
            closefd=False,
        )
        stream.reconfigure(line_buffering=is_shown or name == "stderr")
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    locale.setlocale(locale.LC_CTYPE, "C" if request["locale_c"] else "C.UTF-8")


def _opened(kind: str, file: str) -> int | None:
    if kind == "closed":
        return None
    if kind == "full":
        return os.open("/dev/full", os.O_WRONLY)
    if kind == "broken":
        reading, writing = os.pipe()
        os.close(reading)
        return writing
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def _encoding(kind: str, locale_c: bool) -> str:
    known = kind in ("file", "terminal", "closed", "full", "broken")
    return ("ascii" if locale_c else "utf-8") if known else kind


def _errors(stream: str, locale_c: bool) -> str:
    if stream == "stderr":
        return "backslashreplace"
    return "surrogateescape" if locale_c else "strict"


def _without_devices() -> None:
    """Let a command go as far as it goes without a process of its own, which takes seconds."""
    from hwbench.errors import UserError
    from hwbench.recording import session
    from hwbench.recording.launch import exchange

    def describe_device(device: str, *_: Any) -> NoReturn:
        raise UserError("there is no device here")

    session.describe_device = exchange.describe_device = describe_device


def _read_from_python(names: list[str]) -> None:
    """Load runs as a user of the library does, and look at all that they hold."""
    import hwbench

    warnings.simplefilter("ignore", UserWarning)  # of runs that are left out
    try:
        runs = hwbench.load(*names)
        print(runs, [run.metrics.shape for run in runs], runs.cases.shape, runs.spans.shape)
        print(runs.span_times.shape, runs.span_metrics.shape, runs[0].environment.keys())
        print(len(runs[0].to_html()), len(runs._repr_html_()))
        print(hwbench.compare(runs[0], runs[-1]) if len(runs) > 1 else "")
    except hwbench.UserError as error:
        for line in str(error).splitlines():  # what it says is for the program to show
            print(f"hwbench: a refusal of {len(line)} characters", file=sys.stderr)
        sys.exit(2)


def _import_all() -> None:
    """All that a command imports when it is called."""
    from hwbench.cli import COMMANDS

    for name in COMMANDS:
        importlib.import_module(f"hwbench.cli.{'import_' if name == 'import' else name}")
    for name in (
        *("api", "analysis.history", "analysis.roofline", "analysis.profile.diff"),
        *("recording.collected", "recording.session", "report.figures.export"),
        *("report.formats.data", "report.formats.junit", "report.formats.markdown_gate"),
        *("report.formats.markdown_report", "report.page.html", "report.terminal.profile"),
        *("machine.environment", "meters.command", "meters.selection"),
    ):
        importlib.import_module(f"hwbench.{name}")
    from hwbench.discovery import discover
    from hwbench.errors import UserError

    discover(())
    with suppress(ImportError, UserError):
        from workloads.models.hf.configuration import check

        check("gpt2")


if __name__ == "__main__":
    _import_all()
    gc.collect()
    gc.freeze()  # a collection in a fork would copy all of it
    serve()
