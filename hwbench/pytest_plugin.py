"""The pytest fixture `hwbench_measure`: time a step in a test, and store a run that the gate takes.

    def test_matmul(hwbench_measure):
        x = torch.randn(512, 512)
        hwbench_measure(lambda: x @ x, work=hwbench.Work(flops=2 * 512**3))

All measuring tests of a session make one run in --hwbench-output, each test a case. A pytest
process is one process of a case, which has no interval: --hwbench-processes N runs the measuring
tests N - 1 times more, each time in a fresh pytest.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hwbench.errors import UserError
from hwbench.printable import printable
from hwbench.records import Case, Measurement, Work

if TYPE_CHECKING:
    from hwbench.recording.in_process import InProcess

COLLECTOR = pytest.StashKey["Collector"]()

PART = "--hwbench-part"
NODES, MEASURED = "nodes.json", "measured.json"
"""In the folder of a further process: which tests it runs, and what it hands back."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hwbench", "time steps with the fixture hwbench_measure")
    group.addoption("--hwbench-output", default="results", help="Folder of the runs (results).")
    group.addoption("--hwbench-name", default="", help="A label for the run.")
    group.addoption(
        "--hwbench-processes",
        type=int,
        default=1,
        metavar="N",
        help="Fresh pytest processes to measure in (1); with 3 or more the gate has intervals.",
    )
    group.addoption(PART, help="Used by hwbench itself: the folder of a further process.")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--hwbench-processes") < 1:
        raise pytest.UsageError("--hwbench-processes: expected 1 or more")
    if config.getoption("--hwbench-name"):
        from hwbench.tables import labels

        try:
            labels.checked(config.getoption("--hwbench-name"))
        except UserError as error:
            raise pytest.UsageError(f"--hwbench-name: {error}") from error
    config.stash[COLLECTOR] = Collector(config)
    config.pluginmanager.register(config.stash[COLLECTOR], "hwbench-collector")


@pytest.fixture
def hwbench_measure(request: pytest.FixtureRequest) -> Callable[..., Measurement]:
    """A function that times a step and keeps the outcome for the session's run.

    `hwbench_measure(step, *, work=None, device="auto", name="", **limits) -> Measurement`, with
    the arguments of `hwbench.measure`. `name` tells the steps of one test apart.
    """
    collector: Collector = request.config.stash[COLLECTOR]
    if hasattr(request.config, "workerinput"):
        pytest.skip("tests that run side by side disturb each other's times: run without -n")

    def measure(
        step: Callable[..., object],
        *,
        work: Work | None = None,
        device: str = "auto",
        name: str = "",
        **limits: float | int | None,
    ) -> Measurement:
        case = case_of(request.node, name)
        return collector.measure(request.node.nodeid, device, case, step, work or Work(), limits)

    return measure


def case_of(item: pytest.Item, name: str) -> Case:
    """The case of a test: its node id without parameters, and these."""
    callspec: Any = getattr(item, "callspec", None)
    params = dict(callspec.params) if callspec else {}
    if not all(isinstance(value, str | int | float | bool | None) for value in params.values()):
        params = {"id": callspec.id}  # objects have no value that is the same in another process
    test = item.nodeid.partition("[")[0]
    return Case(f"pytest/{test}{f':{name}' if name else ''}", params, "-")


class Collector:
    """What the tests of a session measured, on one device, and the run that it becomes."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._part: str | None = config.getoption(PART)
        self._output = Path(config.getoption("--hwbench-output"))
        self._processes: int = config.getoption("--hwbench-processes")
        self._here: InProcess | None = None
        self._asked = ""
        self._nodes: dict[str, str] = {}  # the test of each case
        self._lines: list[str] = []

    def measure(
        self,
        node: str,
        device: str,
        case: Case,
        step: Callable[..., object],
        work: Work,
        limits: dict[str, Any],
    ) -> Measurement:
        """Measure a step on the session's device. UserError for a second device, or for a case
        that was measured before."""
        from hwbench.recording.in_process import InProcess
        from hwbench.recording.session import require_output

        if self._here is None:
            if not self._part:
                require_output(self._output)
            self._here, self._asked = InProcess(device), device
        if device != self._asked:
            raise UserError(f"device {device}: a run has one device, and {self._asked} was first")
        earlier = self._nodes.get(case.case_id)
        if earlier is not None:
            told = "measured twice" if earlier == node else f"measured in {earlier} too"
            raise UserError(f"{case}: {told}; tell the steps apart by name=…")
        self._nodes[case.case_id] = node
        return self._here.measure(case, step, work, limits)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """In a further process, leave out tests that measure nothing."""
        if self._part:
            wanted = set(json.loads((Path(self._part) / NODES).read_text(encoding="utf-8")))
            left_out = [item for item in items if item.nodeid not in wanted]
            items[:] = [item for item in items if item.nodeid in wanted]
            self._config.hook.pytest_deselected(items=left_out)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not self._here:
            return
        if self._part:
            rows = [
                {"case": vars(case), "measurement": measurement.as_json()}
                for case, measurement in self._here.measured
            ]
            (Path(self._part) / MEASURED).write_text(json.dumps(rows), encoding="utf-8")
            return
        try:
            self._measure_again()
        except KeyboardInterrupt:
            self._lines.append("interrupted; what was measured before is stored")
            session.exitstatus = pytest.ExitCode.INTERRUPTED
        self._count_processes(session)
        self._store(session)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for line in self._lines:
            terminalreporter.write_line(printable(f"hwbench: {line}"))

    def _measure_again(self) -> None:
        """Run the measuring tests in further processes, and take over what they measured."""
        assert self._here
        reporter: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        for number in range(2, self._processes + 1):
            if reporter:
                reporter.ensure_newline()
                reporter.write_line(f"hwbench: process {number} of {self._processes}")
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / NODES).write_text(
                    json.dumps(sorted(set(self._nodes.values()))), encoding="utf-8"
                )
                words, status = self._run_pytest(Path(folder))
                answer = Path(folder) / MEASURED
                rows = json.loads(answer.read_text(encoding="utf-8")) if answer.is_file() else None
            if rows is None:
                line = f"process {number}: pytest exited with {status}: {_cause(words)}"
                self._lines.append(line)
                continue
            for row in rows:
                measurement = Measurement.from_json(row["measurement"])
                self._here.measured.append((Case(**row["case"]), measurement))

    def _run_pytest(self, folder: Path) -> tuple[str, int]:
        """The session's own command once more; its cache and its reports go elsewhere."""
        params = self._config.invocation_params
        command = [sys.executable, "-P", "-m", "pytest", *map(str, params.args)]
        command += [f"{PART}={folder}", "--hwbench-processes=1"]
        command += ["-o", f"cache_dir={folder}/cache"]  # --lf would leave out what has passed
        if self._config.pluginmanager.hasplugin("junitxml"):
            command += [f"--junit-xml={folder}/junit.xml"]
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        done = subprocess.run(
            command,
            cwd=params.dir,
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
        return done.stdout + done.stderr, done.returncode

    def _count_processes(self, session: pytest.Session) -> None:
        """Say which cases were not measured in all processes, and fail the session for them."""
        assert self._here
        counts = Counter(case.case_id for case, _ in self._here.measured)
        for case_id, node in self._nodes.items():
            if counts[case_id] < self._processes:
                measured = f"measured in {counts[case_id]} of {self._processes} processes"
                self._lines.append(f"{node}: {measured}")
                if session.exitstatus == pytest.ExitCode.OK:
                    session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _store(self, session: pytest.Session) -> None:
        """Store the run and say where it lies. What cannot be written fails the session."""
        from hwbench.recording.collected import store

        assert self._here
        label = self._config.getoption("--hwbench-name")
        try:
            run = store(self._here.collected("pytest"), self._output, label, ["pytest"])
        except (UserError, OSError) as error:
            self._lines.append(str(error))
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            return
        self._lines.append(f"run {run.run_id} in {run.folder}")
        if self._processes < 3:
            self._lines.append("no interval of so few processes: add --hwbench-processes 5")


def _cause(words: str) -> str:
    """The line of pytest's output that says why it ended: the first with an error, or the last."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines[-1:] or ["no output"])[0]
