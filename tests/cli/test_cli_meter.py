"""`hwbench meter` as a user meets it, and each fault of a meter from the counter's file or the
driver up to the figure.

The counters are a powercap tree that a thread advances by the clock, and the scripted driver
library of NVIDIA's.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from nvml_library import SOURCE, uuid
from powercap_tree import INTEL_RANGE_UJ, PowercapTree

ROOT = Path(__file__).resolve().parents[2]
HWBENCH = [sys.executable, "-W", "error", "-m", "hwbench"]
PACKAGE = "intel-rapl:0"

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="powercap is Linux's")


class Machine:
    """A powercap tree whose zones take `watts` (by the zone's id, in W, to be changed meanwhile)
    from `with` on.

    `joules` tells the truth. Whoever holds `still` keeps the counters from being brought up to
    date.
    """

    def __init__(self, root: Path, watts: dict[str, float], **tree: object) -> None:
        self.tree = PowercapTree(root, **tree)
        self.watts, self.still = watts, threading.Lock()
        self.environment = {"HWBENCH_POWERCAP": str(self.tree.folder)}
        self._over = threading.Event()
        self._times_ns = [time.monotonic_ns()]
        self._taken = {zone: [0.0] for zone in watts}
        self._thread = threading.Thread(target=self._advance)

    def joules(self, zone: str, begin_ns: int, end_ns: int) -> float:
        with self.still:
            begin, end = np.interp([begin_ns, end_ns], self._times_ns, self._taken[zone])
        return float(end - begin)

    @property
    def late_s(self) -> float:
        """How long the counters stood still at most, of which no meter can know: a test's machine
        may be busy."""
        return float(np.diff(self._times_ns).max()) / 1e9

    def __enter__(self) -> "Machine":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _advance(self) -> None:
        while not self._over.wait(0.002):
            with self.still:
                now_ns = time.monotonic_ns()
                seconds = (now_ns - self._times_ns[-1]) / 1e9
                self._times_ns.append(now_ns)
                self.tree.advance(self.watts, seconds)
                for zone, power in self.watts.items():
                    self._taken[zone].append(self._taken[zone][-1] + power * seconds)


@pytest.fixture
def package(tmp_path):
    """One package that takes 30 W."""
    with Machine(tmp_path / "machine", {PACKAGE: 30.0}) as machine:
        yield machine


def surroundings(environment=None):
    """This process's environment without the machine's own counters, and with `environment`."""
    hidden = {"HWBENCH_POWERCAP": "/nowhere", "PYTHONPATH": str(ROOT), "COLUMNS": "300"}
    return {**os.environ, **hidden, **(environment or {})}


def hwbench(*words, environment=None, **options):
    """The command when it has ended."""
    command, options = [*HWBENCH, *map(str, words)], {"text": True, **options}
    return subprocess.run(
        command, env=surroundings(environment), capture_output=True, timeout=60, **options
    )


class Started:
    """A shell's `script` that runs under the meter; the test does something to it meanwhile."""

    def __init__(self, script, *options, environment=None, before=()):
        handle, name = tempfile.mkstemp(suffix=".json")
        os.close(handle)
        self.file = Path(name)
        words = [*HWBENCH, "meter", "--json", name, *map(str, options), "--"]
        words += ["sh", "-c", f"echo started; {script}"]
        self.process = subprocess.Popen(
            [*before, *words],
            env=surroundings(environment), start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        if self.process.stdout.readline() != "started\n":
            raise AssertionError(self.process.communicate()[1])

    def end(self):
        """What was written as JSON."""
        with self.process as process:  # not communicate: it loses what came with the first line
            output, errors = process.stdout.read(), process.stderr.read()
        assert errors == "" or errors.startswith("run: "), errors
        assert output == ""
        found = json.loads(self.file.read_text())
        self.file.unlink()
        assert found["exit_status"] == process.returncode
        return found | (window_of(Path(found["folder"])) if found["folder"] else {})


def metered(script, *options, **how):
    return Started(script, *options, **how).end()


def window_of(folder):
    """When a stored command began and ended, on the monotonic clock."""
    (sample,) = pd.read_parquet(folder / "samples").itertuples()
    return {"window_ns": (sample.start_ns, sample.start_ns + round(sample.step_s * 1e9))}


def energies(found):
    """By scope the reading of energy, which has either a value above 0 or the reason why not."""
    readings = [reading for reading in found["readings"] if reading["quantity"] == "energy"]
    for reading in readings:
        known = reading["value"] is not None
        assert known != bool(reading["reason"]), reading
        assert not known or (reading["value"] > 0 and reading["uncertainty"] > 0), reading
        assert (reading["grade"] is not None, reading["method"] is not None) == (known, known), (
            reading
        )
    assert len({reading["scope"] for reading in readings}) == len(readings)
    return {reading["scope"]: reading for reading in readings}


def assert_holds(reading, truth, late_j=0.0):
    """The truth is within the uncertainty, to which comes what nobody could see: the counter itself
    was late."""
    assert reading["value"] is not None, reading["reason"]
    assert abs(reading["value"] - truth) <= reading["uncertainty"] + late_j, (
        reading,
        truth,
        late_j,
    )


def assert_unknown(reading, reason):
    assert reading["value"] is None
    assert re.search(reason, reading["reason"]), reading["reason"]


class TestCommand:
    def test_a_table_follows_what_the_command_printed(self, package):
        script = r"printf 'out\377\0'; printf err >&2; cat; sleep 0.6"
        done = hwbench(
            "meter",
            "--",
            "sh",
            "-c",
            script,
            environment=package.environment,
            text=False,
            input=b"from outside\n",
        )
        assert done.returncode == 0
        assert done.stderr == b"err"
        begin = b"out\xff\0from outside\n"
        assert done.stdout.startswith(begin)
        titles, row, last = done.stdout.removeprefix(begin).decode().splitlines()
        assert titles.split() == ["scope", "energy", "±", "power", "peak", "grade", "from"]
        found = re.fullmatch(
            r"package:0 +([\d.]+) J +([\d.]+) % +([\d.]+) W +≥ \d+\.\d+ W +C +rapl counter *", row
        )
        joules, percent, watts = map(float, found.groups())
        took = re.match(r"([\d.]+) (ms|s), exit status 0, memory peak at least [\d.]+ [KM]iB", last)
        took_s = float(took[1]) / (1e3 if took[2] == "ms" else 1.0)
        assert watts == pytest.approx(30.0, rel=percent / 100)
        assert joules == pytest.approx(watts * took_s, rel=0.02)

    def test_json_has_every_reading_with_the_true_value(self, package):
        found = metered("sleep 0.6", environment=package.environment)
        assert (found["exit_status"], found["folder"], found["notes"]) == (0, None, [])
        assert 0.6 < found["elapsed_s"] < 5
        assert found["memory_peak_bytes"] > 0
        assert found["memory_peak_bound"] == "at least"  # a shell and what it ran
        by_quantity = {reading["quantity"]: reading for reading in found["readings"]}
        assert list(by_quantity) == ["energy", "power", "power_peak"]
        energy, power, _ = by_quantity.values()
        assert (energy["meter"], energy["method"], energy["grade"], energy["unit"]) == (
            "rapl",
            "counter",
            "C",
            "J",
        )
        assert energy["window_s"] == found["elapsed_s"]
        assert power["value"] == pytest.approx(energy["value"] / found["elapsed_s"])
        assert_holds(energy, 30 * found["elapsed_s"], 30 * package.late_s)

    @pytest.mark.parametrize(
        ("command", "status", "says"),
        [
            (["true"], 0, None),
            (["sh", "-c", "exit 3"], 3, None),
            (["sh", "-c", "kill -TERM $$"], 128 + 15, None),
            (["sh", "-c", "kill -KILL $$"], 128 + 9, None),
            (
                ["no-such-command"],
                127,
                "no-such-command: cannot be started: No such file or directory",
            ),
            ([str(ROOT)], 126, f"{ROOT}: cannot be started: Permission denied"),
            (
                [str(ROOT / "pyproject.toml")],
                126,
                "pyproject.toml: cannot be started: Permission denied",
            ),
        ],
    )
    def test_the_exit_status_is_the_commands(self, command, status, says):
        done = hwbench("meter", "--", *command)
        assert done.returncode == status
        if says:
            assert done.stderr.splitlines() == [
                f"hwbench: {done.stderr.partition(': ')[2].strip()}"
            ]
            assert says in done.stderr
            assert done.stdout == ""
        else:
            assert f"exit status {status}" in done.stdout
            assert done.stderr == ""

    def test_json_leaves_the_commands_output_alone(self, tmp_path):
        file = tmp_path / "metered.json"
        file.write_text("of another time")
        done = hwbench("meter", "--json", file, "--", "sh", "-c", "printf '{}'; exit 3")
        assert (done.returncode, done.stdout, done.stderr) == (3, "{}", "")
        found = json.loads(file.read_text())
        assert (found["exit_status"], found["problem"]) == (3, None)
        assert list(tmp_path.iterdir()) == [file]

    def test_json_of_a_command_that_does_not_start_says_why(self, tmp_path):
        done = hwbench("meter", "--json", tmp_path / "m", "--", "no-such-command")
        found = json.loads((tmp_path / "m").read_text())
        assert (done.returncode, found["exit_status"]) == (127, 127)
        assert "cannot be started" in found["problem"]

    @pytest.mark.parametrize(
        ("file", "says"),
        [
            (".", "Is a directory"),
            ("file/m.json", "Not a directory"),
            ("m" * 300, "File name too long"),
            ("-", "standard output belongs to the command; name a file"),
        ],
    )
    def test_place_of_json_is_checked_before_the_command_runs(self, tmp_path, file, says):
        (tmp_path / "file").touch()
        done = hwbench("meter", "--json", file, "--", "touch", "ran", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"hwbench: --json {file}: ")
        assert done.stderr.endswith(f"{says}\n")
        assert not (tmp_path / "ran").exists()

    def test_json_goes_into_a_pipe_as_it_is(self, tmp_path):
        with (tmp_path / "stream").open("w") as stream:
            name = f"/dev/fd/{stream.fileno()}"
            done = hwbench("meter", "--json", name, "--", "true", pass_fds=[stream.fileno()])
        assert done.returncode == 0, done.stderr
        assert json.loads((tmp_path / "stream").read_text())["exit_status"] == 0

    def test_figures_are_shown_where_json_cannot_be_written(self, tmp_path):
        folder = tmp_path / "folder"
        folder.mkdir()
        script = f"rm -r {folder}; touch {folder}"
        done = hwbench("meter", "--json", folder / "m", "--", "sh", "-c", script)
        assert done.returncode == 2
        assert "exit status 0" in done.stdout
        assert done.stderr.startswith(f"hwbench: {folder}/m: cannot be written: ")

    def test_too_short_command_has_unknown_energy_not_zero(self, package):
        for _ in range(5):  # on a busy machine even this one may last long enough
            reading = energies(metered("", environment=package.environment))["package:0"]
            if reading["value"] is None:
                break
        assert_unknown(reading, "fewer than two readings|measure longer")

    def test_words_after_the_dashes_belong_to_the_command(self):
        done = hwbench("meter", "--", "echo", "--debug", "--json", "--", "--list")
        assert done.stdout.splitlines()[0] == "--debug --json -- --list"
        assert done.returncode == 0

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            ([], "no command to measure"),
            (["--"], "no command to measure"),
            (["--tdp", "0", "--", "true"], "--tdp 0: expected watts above 0"),
            (["--tdp", "nan", "--", "true"], "--tdp nan: expected watts above 0"),
            (
                ["--name", "a/b", "--output", "there", "--", "true"],
                "--name 'a/b': use up to 100 letters",
            ),
        ],
    )
    def test_bad_usage_exits_2(self, words, says, tmp_path):
        done = hwbench("meter", *words, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"hwbench: {says}")
        assert list(tmp_path.iterdir()) == []

    def test_estimate_is_labelled(self):
        found = metered("while :; do :; done & sleep 1.7; kill $!", "--tdp", "40")
        energy = energies(found)["package:0"]
        assert (energy["meter"], energy["method"], energy["grade"]) == (
            "estimate",
            "estimated",
            "C",
        )
        assert energy["uncertainty"] > 0.5 * energy["value"]
        assert 0 < energy["value"] < 1.1 * 40 * found["elapsed_s"]  # time comes in ticks of 10 ms


class TestSignals:
    def test_interrupt_goes_to_the_command(self, package):
        begun = Started(
            'trap "exit 5" INT; while :; do sleep 0.1; done', environment=package.environment
        )
        time.sleep(0.6)
        os.killpg(begun.process.pid, signal.SIGINT)  # as the terminal does
        found = begun.end()
        assert found["exit_status"] == 5
        assert_holds(energies(found)["package:0"], 30 * found["elapsed_s"], 30 * package.late_s)

    def test_interrupted_command_still_has_a_table(self):
        begun = Started("exec sleep 30")
        time.sleep(0.1)
        os.killpg(begun.process.pid, signal.SIGINT)
        assert begun.end()["exit_status"] == 128 + signal.SIGINT

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
    def test_signals_are_passed_to_the_command(self, number):
        begun = Started(f'trap "exit 6" {number.name[3:]}; while :; do sleep 0.1; done')
        time.sleep(0.1)
        begun.process.send_signal(number)
        assert begun.end()["exit_status"] == 6


ZONES = {
    "package:0": PACKAGE,
    "dram:0": "intel-rapl:0:2",
    "package:1": "intel-rapl:1",
    "dram:1": "intel-rapl:1:2",
    "psys": "intel-rapl:2",
}


@pytest.fixture(scope="module")
def stored(nvml_library, tmp_path_factory):
    """Two packages with memory, the board, and two GPUs, over 0.9 s in which the first package
    takes more for a while: the machine, what was printed, and the run's folder."""
    root = tmp_path_factory.mktemp("stored")
    watts = dict(zip(ZONES.values(), (20.0, 4.0, 10.0, 3.0, 50.0), strict=True))
    with Machine(root / "machine", watts, packages=2, dram=True, psys=True) as machine:
        environment = nvml_library.environment(GPUS=2, POWER_W="100,250") | machine.environment
        begun = Started(
            "sleep 0.9", "--output", root / "results", "--name", "one", environment=environment
        )
        time.sleep(0.3)
        machine.watts |= {PACKAGE: 60.0, ZONES["psys"]: 90.0}
        time.sleep(0.3)
        machine.watts |= {PACKAGE: 20.0, ZONES["psys"]: 50.0}
        found = begun.end()
    return machine, found, Path(found["folder"])


class TestStored:
    def read(self, stored, table):
        return pd.read_parquet(stored[2] / table)

    def test_every_scope_has_the_true_energy(self, stored):
        machine, found, _ = stored
        readings = energies(found)
        assert set(readings) == {*ZONES, "gpu:0", "gpu:1"}
        for scope, zone in ZONES.items():
            assert_holds(
                readings[scope],
                machine.joules(zone, *found["window_ns"]),
                machine.late_s * machine.watts[zone],
            )
        for scope, watts in (("gpu:0", 100), ("gpu:1", 250)):
            assert_holds(readings[scope], watts * found["elapsed_s"])

    def test_the_readings_are_stored_as_they_were_printed(self, stored):
        table = self.read(stored, "readings")
        printed = {(one["scope"], one["quantity"]): one["value"] for one in stored[1]["readings"]}
        assert (
            dict(zip(zip(table.scope, table.quantity, strict=True), table.value, strict=True))
            == printed
        )
        telemetry = self.read(stored, "telemetry")
        assert {"energy", "power", "sm_clock", "rss", "cpu_use"} <= set(telemetry.quantity)
        assert set(telemetry.device_index.dropna()) == {0, 1}

    def test_headline_sums_gpus_without_the_board(self, stored):
        values = {scope: reading["value"] for scope, reading in energies(stored[1]).items()}
        metrics = self.read(stored, "metrics").set_index("metric").value
        gpus = values["gpu:0"] + values["gpu:1"]
        assert metrics.energy_j == pytest.approx(gpus)
        assert metrics.host_energy_j == pytest.approx(sum(values.values()) - values["psys"] - gpus)
        assert metrics.power_w == pytest.approx(metrics.energy_j / stored[1]["elapsed_s"])
        assert metrics.total_energy_j == pytest.approx(sum(values.values()) - values["psys"])

    def test_other_commands_take_the_run(self, stored, tmp_path):
        folder = stored[2]
        assert self.read(stored, "runs").label.tolist() == ["one"]
        shutil.rmtree(folder / "metrics")
        summary = hwbench("summarize", folder)
        assert (summary.returncode, summary.stderr) == (0, "")
        assert (folder / "metrics").is_dir()
        compared = hwbench(
            "compare", folder, folder, "--metric", "energy_j,total_energy_j,step_s_p50", "--json"
        )
        assert compared.returncode == 0, compared.stderr
        rows = json.loads(compared.stdout)["rows"]
        assert [(row["metric"], row["ratio"]) for row in rows] == [
            ("energy_j", 1.0), ("total_energy_j", 1.0), ("step_s_p50", 1.0)
        ]  # fmt: skip
        report = hwbench("report", folder, "-o", tmp_path / "page.html")
        assert report.returncode == 0, report.stderr
        assert "sleep 0.9" in (tmp_path / "page.html").read_text()

    @pytest.mark.parametrize(
        ("command", "reason"), [("exit 4", "exit status 4"), (None, "cannot be started")]
    )
    def test_a_command_that_fails_is_a_row_with_the_reason(self, command, reason, tmp_path):
        words = ["sh", "-c", command] if command else ["no-such-command"]
        done = hwbench("meter", "--output", tmp_path, "--", *words)
        assert done.returncode == (4 if command else 127)
        (row,) = pd.concat(map(pd.read_parquet, tmp_path.glob("*/measurements"))).itertuples()
        assert row.outcome == "error"
        assert reason in row.reason

    def test_figures_are_shown_even_if_storing_fails(self, tmp_path):
        """As on a disk that has become full."""
        output = tmp_path / "results"
        script = f"rm -r {shlex.quote(str(output))}; touch {shlex.quote(str(output))}"
        done = hwbench("meter", "--output", output, "--", "sh", "-c", script)
        assert done.returncode == 2
        assert re.match(r"hwbench: \S*results/\S+: Not a directory", done.stderr)
        assert "exit status 0" in done.stdout

    def test_command_is_not_started_if_nothing_can_be_stored(self, tmp_path):
        (tmp_path / "results").touch()
        done = hwbench(
            "meter", "--output", tmp_path / "results", "--", "touch", tmp_path / "started"
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("hwbench: ")
        assert not (tmp_path / "started").exists()


class TestList:
    def test_list_shows_meters_and_cures(self, package, nvml_library):
        environment = (
            nvml_library.environment(GPUS=1, FAIL="nvmlDeviceGetUtilizationRates=3")
            | package.environment
        )
        done = hwbench("meter", "--list", environment=environment)
        assert (done.returncode, done.stderr) == (0, "")
        lines = {line.split()[0]: line for line in done.stdout.splitlines()}
        assert set(lines) == {
            "meter",
            "nvml",
            "amdsmi",
            "rapl",
            "perf",
            "powermetrics",
            "estimate",
            "host",
        }
        assert re.match(r"rapl +yes +package:0 energy *$", lines["rapl"])
        assert re.match(
            r"nvml +yes +gpu:0 energy, .*no utilization: the driver does not show it", lines["nvml"]
        )
        assert re.match(r"powermetrics +no +it is a part of macOS", lines["powermetrics"])

    def test_list_as_json(self, package):
        done = hwbench("meter", "--list", "--json", "-", environment=package.environment)
        (rapl,) = [line for line in json.loads(done.stdout) if line["meter"] == "rapl"]
        assert rapl == {
            "meter": "rapl",
            "works": True,
            "signals": ["package:0 energy"],
            "reason": "",
            "cure": "",
        }
        assert all(line["works"] or line["reason"] for line in json.loads(done.stdout))


class TestFaultsOfCounters:
    @pytest.mark.parametrize(("range_j", "begin_j", "wraps"), [(1000, 990, {1}), (9, 0, {2, 3})])
    def test_wraps(self, tmp_path, range_j, begin_j, wraps):
        for attempt in range(5):
            reading, truth, late_s = self.measure_wraps(tmp_path / str(attempt), range_j, begin_j)
            is_in_time = (begin_j + truth) // range_j in wraps
            if is_in_time and "readings are missing" not in reading["reason"]:
                break  # a machine that is too busy to read the counter in time rightly says nothing
        assert is_in_time
        assert_holds(reading, truth, 30 * late_s)

    def measure_wraps(self, folder, range_j, begin_j):
        """The reading of a command while the counter wraps so often, the truth, and how late the
        counter was."""
        tree = {"range_uj": range_j * 10**6, "start_uj": begin_j * 10**6}
        with Machine(folder / "machine", {PACKAGE: 0.0}, **tree) as machine:
            begun = Started("sleep 0.8", "--output", folder, environment=machine.environment)
            machine.watts[PACKAGE] = 30.0  # not before, so that the number of wraps is known
            found = begun.end()
        truth = machine.joules(PACKAGE, *found["window_ns"])
        return energies(found)["package:0"], truth, machine.late_s

    @pytest.mark.parametrize(
        ("range_j", "reason"), [(INTEL_RANGE_UJ / 1e6, None), (9, "the counter went back")]
    )
    def test_a_range_that_cannot_be_read_matters_only_at_a_wrap(self, tmp_path, range_j, reason):
        with Machine(tmp_path, {PACKAGE: 30.0}, range_uj=round(range_j * 1e6)) as machine:
            (machine.tree.zone(PACKAGE) / "max_energy_range_uj").unlink()
            found = metered("sleep 0.6", environment=machine.environment)
        energy = energies(found)["package:0"]
        assert_unknown(energy, reason) if reason else assert_holds(
            energy, 30 * found["elapsed_s"], 30 * machine.late_s
        )

    @pytest.mark.parametrize("to_j", [0.0, 990.0])
    def test_a_counter_that_goes_back(self, package, to_j):
        begun = Started("sleep 0.7", environment=package.environment)
        time.sleep(0.3)
        with package.still:
            package.tree.set_uj(PACKAGE, round(to_j * 1e6))
        assert_unknown(energies(begun.end())["package:0"], "the counter went back")

    def test_a_counter_that_vanishes(self, package):
        begun = Started("sleep 0.9", environment=package.environment)
        time.sleep(0.2)
        with package.still:
            shutil.rmtree(package.tree.zone(PACKAGE))
            package.watts.clear()
        assert_unknown(energies(begun.end())["package:0"], "intel-rapl:0/energy_uj is not there")

    def test_a_counter_that_stands_still(self, package):
        package.watts[PACKAGE] = 0.0
        assert_unknown(
            energies(metered("sleep 0.5", environment=package.environment))["package:0"],
            "did not move",
        )

    @pytest.mark.parametrize("zones", [(PACKAGE,), (PACKAGE, "intel-rapl:0:2")])
    def test_permission_denied(self, tmp_path, zones):
        """To one counter, or to all: root has to do without its right to read what it may not."""
        before = (
            ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
            if os.geteuid() == 0
            else []
        )
        if before and subprocess.run([*before, "true"], capture_output=True).returncode:
            pytest.skip("root, and setpriv cannot take its rights away")
        with Machine(tmp_path, {PACKAGE: 30.0, "intel-rapl:0:2": 5.0}, dram=True) as machine:
            with machine.still:
                for zone in zones:
                    (machine.tree.zone(zone) / "energy_uj").chmod(0)
                    del machine.watts[zone]
            found = metered("sleep 0.6", environment=machine.environment, before=before)
        readings = energies(found)
        assert_unknown(readings["package:0"], "permission denied: since CVE-2020-8694.*chmod a\\+r")
        if len(zones) == 1:
            assert_holds(readings["dram:0"], 5 * found["elapsed_s"], 5 * machine.late_s)

    def test_a_tick_that_is_missed(self, package):
        begun = Started("sleep 0.8", environment=package.environment)
        time.sleep(0.3)
        with package.still:
            time.sleep(0.2)
        found = begun.end()
        assert_holds(energies(found)["package:0"], 30 * found["elapsed_s"])

    def test_the_meter_is_suspended(self, package, tmp_path):
        """The power rises and falls back meanwhile: the counter has it all."""
        begun = Started(
            "sleep 2.6", "--output", tmp_path / "results", environment=package.environment
        )
        time.sleep(0.3)
        begun.process.send_signal(signal.SIGSTOP)
        package.watts[PACKAGE] = 45.0
        time.sleep(2)
        package.watts[PACKAGE] = 30.0
        begun.process.send_signal(signal.SIGCONT)
        found = begun.end()
        truth = package.joules(PACKAGE, *found["window_ns"])
        assert truth > 100
        assert_holds(energies(found)["package:0"], truth, 30 * package.late_s)


CALLS = (*re.findall(r"^int (nvml\w+)\(Device ", SOURCE.read_text(), re.MULTILINE), "field")
"""Whatever the scripted library can be asked about a GPU."""
ENERGY = "nvmlDeviceGetTotalEnergyConsumption"
POWERS = ("nvmlDeviceGetFieldValues", "nvmlDeviceGetSamples", "nvmlDeviceGetPowerUsage")


class TestFaultsOfDrivers:
    """What is asked of NVML fails, by its numbers of errors: 3 is not supported, 18 another
    version."""

    @pytest.mark.parametrize("half", [0, 1])
    def test_a_call_that_is_not_supported(self, nvml_library, half):
        """Each by a GPU of its own: the counter or the sensor still tells the energy."""
        calls = CALLS[half::2]
        fail = ",".join(f"{call}@{gpu}=3" for gpu, call in enumerate(calls))
        found = metered(
            "sleep 0.8", environment=nvml_library.environment(GPUS=len(calls), FAIL=fail)
        )
        readings = energies(found)
        for gpu, call in enumerate(calls):
            assert_holds(readings[f"gpu:{gpu}"], 100 * found["elapsed_s"])
            by_sensor = call == ENERGY
            assert readings[f"gpu:{gpu}"]["method"] == ("integrated" if by_sensor else "counter"), (
                call
            )

    @pytest.mark.parametrize(
        ("script", "reason"),
        [
            ({"POWER_W": "0,100"}, "the driver shows 0, which is no reading"),
            ({"LOST": "0@0.3"}, "the GPU is lost; sudo dmesg"),
            ({"LOST": "0@0"}, "the GPU is lost; sudo dmesg"),
            (
                {"FAIL": ",".join(f"{call}@0=3" for call in (ENERGY, *POWERS))},
                "the driver does not show it for this GPU",
            ),
            ({"FAIL": "nvmlDeviceGetHandleByIndex_v2@0=4"}, "no permission to ask the driver"),
        ],
    )
    def test_unreadable_gpu_does_not_hide_the_other(self, nvml_library, script, reason):
        found = metered("sleep 0.8", environment=nvml_library.environment(GPUS=2, **script))
        readings = energies(found)
        assert_unknown(readings["gpu:0"], reason)
        assert_holds(readings["gpu:1"], 100 * found["elapsed_s"])

    def test_ticks_that_are_missed(self, nvml_library):
        found = metered("sleep 1.2", environment=nvml_library.environment(TICK_S="0.2"))
        assert_holds(energies(found)["gpu:0"], 100 * found["elapsed_s"])

    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            (18, "are of different versions"),
            (9, "is not loaded"),
            (None, "no NVIDIA driver library"),
        ],
    )
    def test_a_driver_that_does_not_open(self, nvml_library, tmp_path, code, reason):
        """A case on a GPU has it in its readings; of a command nobody knows whether it uses one, so
        `--list` tells."""
        (tmp_path / "libnvidia-ml.so.1").touch()  # before any that this machine may have
        none = {"LD_LIBRARY_PATH": str(tmp_path)}
        environment = nvml_library.environment(FAIL=f"nvmlInitWithFlags={code}") if code else none
        assert_unknown(energies(of_worker([uuid(0)], environment))["gpu"], f"{reason}.*Cure: ")

    def test_a_command_where_no_driver_opens(self, tmp_path):
        (tmp_path / "libnvidia-ml.so.1").touch()
        found = metered("", environment={"LD_LIBRARY_PATH": str(tmp_path)})
        assert set(energies(found)) == {"package:0"}

    @pytest.mark.parametrize("gpu", [0, 1])
    def test_only_the_gpu_that_a_case_uses_counts(self, nvml_library, gpu):
        found = of_worker([uuid(gpu)], nvml_library.environment(GPUS=2, POWER_W="100,250"))
        readings = energies(found)
        assert set(readings) == {f"gpu:{gpu}", "package:0"}
        assert_holds(readings[f"gpu:{gpu}"], (100, 250)[gpu] * found["elapsed_s"])

    def test_a_gpu_of_a_case_that_the_driver_does_not_know(self, nvml_library):
        readings = energies(of_worker([uuid(7)], nvml_library.environment(GPUS=2)))
        assert_unknown(readings[f"gpu:{uuid(7)}"], "the driver knows no such GPU")


WORKER = """
import json, sys, time
from hwbench.recording.metering import Metering
from hwbench.meters.selection import open_meters
from hwbench.records import Samples, Spans, Window

class Device:
    now_ns = staticmethod(time.perf_counter_ns)
    def meters(self, tdp_w):
        return open_meters(json.loads(sys.argv[1]), tdp_w)

with Metering(Device(), None) as metering:
    begin = Device.now_ns()
    time.sleep(0.6)
    took = (Device.now_ns() - begin) / 1e9
samples = Samples([0], [False], [begin], [took], [""])
window = Window("host", samples, Spans(), took, True, begin_ns=begin)
print(json.dumps({"elapsed_s": took, "readings": [vars(one) for one in metering.readings(window)]}))
"""


def of_worker(gpus, environment):
    """What a case that uses `gpus` has in its readings, of a window of 0.6 s: no GPU is needed to
    open its meters."""
    command = [sys.executable, "-W", "error", "-c", WORKER, json.dumps(gpus)]
    done = subprocess.run(
        command, env=surroundings(environment), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
