"""The child process: open the device, build one case, run the harness, hand the measurement back.

Started as `python -m hwbench.worker`. One JSON request comes in on standard input, JSON replies go
out on standard output, one a line: `{"phase": …}` as it goes and `{"measurement": …}`, `{"device":
…}` or `{"refused": …}` at the end. What libraries print goes to standard error, the case's log.
Standard input stays open as long as the parent lives; when it closes, the worker ends itself and
all it started.
"""

import json
import math
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from hwbench import devices
from hwbench.discovery import find
from hwbench.formats import Rates, is_emulated, slowness
from hwbench.recording.foreign_load import CpuWatch
from hwbench.recording.harness import measure, measure_once
from hwbench.recording.metering import Metering
from hwbench.recording.stopping import is_steady, late_change, warmup_rule, window_rule
from hwbench.records import (
    Case,
    Measurement,
    Policy,
    Requests,
    Served,
    Unsupported,
    UserError,
    Window,
)
from hwbench.records.profile import Profile
from hwbench.workload import Built, params_of

END_S, END_SHARE = 10.0, 0.2
"""What is kept of a time limit for the end of a process: so many seconds, or this share of a short
one."""

CLOCK_SHARE, CLOCK_S = 0.05, 0.05
"""How far a window may be from the sum of its steps: such a share of it, and what a busy host may
take to wake up."""

SURE = 3.0
"""How much faster than the rate of a trial's product a step may turn out: a case is refused only
beyond that."""


class TimeLimit:
    """The time that a process may take from its start, less what its end takes. Beyond the whole of
    it the parent ends the process, and nothing of it is kept."""

    def __init__(self, timeout_s: float) -> None:
        age_s: float = max(0.0, time.time() - psutil.Process().create_time())
        self.end_s = min(END_S, END_SHARE * timeout_s)  # what is kept for the end
        self._end = time.monotonic() - age_s + timeout_s - self.end_s

    def left_s(self) -> float:
        return self._end - time.monotonic()


def main() -> None:
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not mix with the replies
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _volunteer_for_oom()

    def reply(**message: Any) -> None:
        replies.write(json.dumps(message) + "\n")
        replies.flush()

    if "case" in request:
        case, policy = Case(**request["case"]), Policy(**request["policy"])
        options = {
            name: request[name]
            for name in ("idle", "guard", "profiled", "formats")
            if name in request
        }
        found = run_case(
            case,
            policy,
            request["device"],
            request["files"],
            on_phase=lambda phase: reply(phase=phase),
            tell=lambda text: reply(tell=text),
            **options,
        )
        reply(measurement=found.as_json())
    else:
        reply(**_answer(request["device"]))


def _answer(device: str) -> dict[str, Any]:
    """The reply to who asks what `device` is: it, or why it cannot be opened."""
    try:
        spec = devices.resolve(device)
        return {"device": describe(spec), "spec": spec}
    except UserError as error:
        return {"refused": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever a driver may raise, it is in the way of every command
        traceback.print_exc()
        return {"refused": f"device {device} cannot be opened: {_in_a_line(error)}"}


def run_case(
    case: Case,
    policy: Policy,
    device_spec: str,
    files: Sequence[str],
    on_phase: Callable[[str], None],
    tell: Callable[[str], None] = lambda text: None,
    idle: bool = False,
    guard: bool = False,
    profiled: Mapping[str, Any] | None = None,
    formats: Rates | None = None,
) -> Measurement:
    """Measure one case in this process, and with `idle` the device at rest before it; with `guard`
    in no more memory than is free; with `profiled` also where the time of a step goes, after the
    window, and the trace of that to the file that it names. `formats` are the rates that the run
    has found the device to have. `tell` is told what a user should know while waiting. Whatever
    goes wrong becomes the measurement's outcome and reason."""
    device, watch, limit = None, CpuWatch(), TimeLimit(policy.timeout_s)

    def follow(phase: str) -> None:
        on_phase(phase)
        watch.start()  # the last phase is the window, and it is what happens in that which counts

    try:
        follow("build")
        device = _open(device_spec, case, policy, guard, formats)
        base_bytes = device.memory_peak_bytes()
        built = _build(case, files, device, limit, tell)
        if built.served and profiled is not None:
            raise Unsupported(
                "a test under load has no steps to profile; profile gpt/prefill and gpt/decode instead"
            )
        with Metering(device, policy.tdp_w, limit.end_s / 2) as metering:
            if idle and metering.window_s:  # before the steps, so that no interrupt can lose them
                on_phase("idle")
                metering.rest()
            window, result = _run(built, device, policy, metering.window_s, limit, follow)
            foreign = watch.notes()
            served = built.served() if built.served else Served(Requests())
            loss = _number(result)
        profile = (
            _profile(built, device, window, profiled, limit, on_phase)
            if profiled is not None
            else None
        )
        return Measurement(
            outcome="ok",
            work=built.work,
            declared=built.declared,
            window=window,
            memory_base_bytes=base_bytes,
            compile_s=_compile_s(window) if built.compiled else None,
            loss=loss,
            notes=[
                *device.notes,
                *_dtype_notes(case.dtype, device.findings.formats),
                *_clock_notes(window),
                *_cut_notes(window, policy),
                *metering.notes(window),
                *foreign,
                *_steady_notes(window.timed_s, policy.precision),
                *_loss_notes(loss),
                *served.notes,
            ],
            readings=metering.readings(window),
            telemetry=metering.trace.as_telemetry(),
            requests=served.requests,
            profile=profile,
        )
    except Unsupported as answer:
        return Measurement("unsupported", str(answer))
    except BaseException as error:  # noqa: BLE001 - a workload may raise anything; it is this row's outcome
        traceback.print_exc()
        return _failure(error, device)


def _failure(error: BaseException, device: devices.Device | None) -> Measurement:
    """The outcome of a case in which `error` was raised; `device` is None where it could not even
    be opened."""
    missing = device.missing_operator(error) if device else None
    if missing:
        return Measurement("unsupported", missing)
    out_of_memory = (
        device.is_out_of_memory(error) if device else "out of memory" in str(error).lower()
    )
    return Measurement("oom" if out_of_memory else "error", _in_a_line(error))


def _open(
    spec: str, case: Case, policy: Policy, guard: bool, formats: Rates | None
) -> devices.Device:
    """The device, seeded, with its peak of memory at what it holds before anything is built."""
    device = devices.open_device(spec)
    if formats is not None:
        device.findings.take(formats)
    _seed(device, policy.seed)
    device.require(case.dtype)
    device.use_precision(case.dtype)
    if guard:
        device.guard_memory()
    device.reset_memory_peak()
    return device


def _build(
    case: Case,
    files: Sequence[str],
    device: devices.Device,
    limit: TimeLimit,
    tell: Callable[[str], None],
) -> Built:
    """The workload made ready. An emulated format is told of before, and what its steps take at
    least after that. Unsupported if they would not be done in time."""
    rates = device.findings.formats
    is_slow = is_emulated(case.dtype, rates)
    if is_slow:
        tell(slowness(case.dtype, rates))
    built = find(case.workload, files).build(params_of(case.params, case.dtype), device)
    step_s = device.findings.least_s(case.dtype, built.work.flops) if built.work.flops else None
    if is_slow and step_s:
        tell(f"by the rate of a product a step takes {step_s:.2g} s or more")
    _require_time(case.dtype, built.least_s, step_s, limit.left_s())
    return built


def _run(
    built: Built,
    device: devices.Device,
    policy: Policy,
    least_s: float,
    limit: TimeLimit,
    on_phase: Callable[[str], None],
) -> tuple[Window, object]:
    """The window, `least_s` seconds long for the meters' sake, and what its last step returned."""
    if built.served:
        return measure_once(built.step, device, on_phase)
    is_longer = built.compiled or built.first_is_longer
    rules = warmup_rule(policy), window_rule(policy, least_s)
    return measure(built.step, device, *rules, on_phase, limit.left_s, is_longer)


def _profile(
    built: Built,
    device: devices.Device,
    window: Window,
    asked: Mapping[str, Any],
    limit: TimeLimit,
    on_phase: Callable[[str], None],
) -> Profile:
    """Where the time goes; a pass that fails, or would not end in time, says so in the profile, and
    costs nothing of what was measured before."""
    from hwbench import profiling  # brings torch, which not every device needs

    on_phase("profile")
    step_s, left_s = median(window.timed_s), limit.left_s()
    steps = profiling.steps_taken(step_s)
    if steps * step_s > left_s:
        long = f"{steps} steps of {step_s:.3g} s, and {max(0.0, left_s):.3g} s of the time limit are left"
        return Profile(0, step_s, None, 0.0, f"the pass takes {long}: allow more (--timeout)")
    try:
        return profiling.profile(
            built, device, window, Path(asked["trace"]) if asked.get("trace") else None
        )
    except Exception as error:  # noqa: BLE001 - as of a step, anything
        traceback.print_exc()
        return Profile(0, step_s, None, 0.0, f"the pass failed: {_in_a_line(error)}")


def _require_time(dtype: str, set_s: float | None, step_s: float | None, left_s: float) -> None:
    """Unsupported if what a step is set to take, or two steps of `step_s` by the rate of products,
    pass the limit."""
    left = f"{max(0.0, left_s):.3g} s of the time limit are left"
    if set_s is not None and set_s > left_s:
        raise Unsupported(f"a step takes {set_s:g} s or more, and {left}: allow more (--timeout)")
    if step_s is not None and 2 * step_s > SURE * left_s:
        step = f"by the rate of a product in {dtype} a step takes {step_s:.3g} s or more"
        raise Unsupported(f"{step}, and {left}: allow more (--timeout), or take another dtype")


def _dtype_notes(dtype: str, rates: Rates) -> list[str]:
    return [f"emulated_dtype: {slowness(dtype, rates)}"] if is_emulated(dtype, rates) else []


def _clock_notes(window: Window) -> list[str]:
    """Where the steps by the device's events do not add up to the window by the host's clock."""
    events_s = sum(window.timed_s)
    far_apart_s = CLOCK_SHARE * window.window_s + CLOCK_S
    if window.timer_kind != "device_event" or abs(events_s - window.window_s) <= far_apart_s:
        return []
    times = f"{events_s:.3g} s by the device's events, to {window.window_s:.3g} s by the host"
    return [f"clock_jump: the steps add up to {times}"]


def _cut_notes(window: Window, policy: Policy) -> list[str]:
    if not window.cut_short:
        return []
    steps = f"{window.timed_steps} step{'s' if window.timed_steps > 1 else ''}"
    return [
        f"cut_short: ended after {steps} of {window.window_s:.3g} s: the limit is {policy.timeout_s:g} s"
    ]


def describe(device_spec: str) -> dict[str, Any]:
    """What the device is, asked in a process that ends, so that the parent holds nothing of it."""
    device = devices.open_device(device_spec)
    return {**device.describe(), "notes": device.notes, "warnings": device.findings.warnings}


def _seed(device: devices.Device, seed: int) -> None:
    random.seed(seed)
    device.seed(seed)


def _compile_s(window: Window) -> float:
    """What the first step took beyond a steady one: compilation, and whatever else only the first
    step pays."""
    return max(0.0, window.samples.step_s[0] - median(window.timed_s))


def _number(result: Any) -> float | None:
    """The loss, if that is what a step returned: one floating-point number, plain or in a
    tensor."""
    if isinstance(result, float):
        return result
    if (
        getattr(result, "numel", lambda: 0)() == 1
        and getattr(result, "is_floating_point", lambda: False)()
    ):
        return float(result.item())
    return None


def _steady_notes(step_s: Sequence[float], precision: float) -> list[str]:
    if is_steady(step_s, precision) is not False:
        return []
    change, _ = late_change(step_s)
    where = "above" if change > 0 else "below"
    return [
        f"no_steady_state: the last quarter's median step is {abs(change):.1%} {where} the first half's"
    ]


def _loss_notes(loss: float | None) -> list[str]:
    if loss is None or math.isfinite(loss):
        return []
    return [f"loss_not_finite: the last step returned {loss}"]


def _in_a_line(error: BaseException) -> str:
    """The error's type and the line that says what is wrong: torch adds advice below it, and dynamo
    a line before."""
    kind = type(error)
    name = (
        kind.__qualname__
        if kind.__module__ in ("builtins", "__main__")
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = lines[1:] if lines and lines[0].endswith("raised:") else lines
    # as "Error(s) in loading state_dict for Linear:"
    heading = bool(lines) and lines[0].endswith(":")
    says = " ".join(lines[: 2 if heading else 1])
    line = f"{name}: {says}" if says else name
    return line.encode(errors="backslashreplace").decode()  # half a surrogate pair cannot be stored


def _end_with_parent() -> None:
    while os.read(0, 1):  # blocks until the parent is gone, however it went
        pass  # and holds no lock of sys.stdin, on which an interpreter that ends would abort
    # the parent gave this process a group of its own: all in it was started here
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _volunteer_for_oom() -> None:
    """Be the process that the kernel ends when memory runs out, so that the parent can write the
    row about it."""
    with suppress(OSError):  # not Linux
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    main()
