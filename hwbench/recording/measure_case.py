"""One case, measured in this process: open the device, build the workload, run its steps beside the
meters, put together what came out."""

import random
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from hwbench import devices
from hwbench.discovery import find
from hwbench.formats import Rates, is_emulated, slowness
from hwbench.recording import notes
from hwbench.recording.failures import failure_of, in_a_line
from hwbench.recording.foreign_load import CpuWatch
from hwbench.recording.harness import measure, measure_once
from hwbench.recording.metering import Metering
from hwbench.recording.stopping import InHostTime, warmup_rule, window_rule
from hwbench.recording.time_limit import TimeLimit
from hwbench.records import (
    Case,
    Measurement,
    Param,
    Policy,
    Requests,
    Served,
    Unsupported,
    Whole,
    Window,
)
from hwbench.records.profile import Profile
from hwbench.workload import Built, params_of

Listener = Callable[[str], None]

SURE = 3.0
"""How much faster than the rate of a trial's product a step may turn out: a case is refused only
beyond that."""


@dataclass(frozen=True)
class CaseRequest:
    """A case to measure: under which policy, on which device, with workloads from `files` too.

    With `idle` the device at rest is measured before the steps; with `guard` no more memory is used
    than is free; with `profiled` a pass after the window finds where the time of a step goes, and
    its trace goes to the file `profiled["trace"]`, if that is not None. `formats` are the rates
    that the run has found the device to have.
    """

    case: Case
    policy: Policy
    device: str
    files: Sequence[str] = ()
    idle: bool = False
    guard: bool = False
    profiled: Mapping[str, Any] | None = None
    formats: Rates | None = None

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "CaseRequest":
        """The request as a parent sends it, which may be older or newer than this process."""
        options = {
            name: content[name]
            for name in ("idle", "guard", "profiled", "formats")
            if name in content
        }
        case, policy = Case(**content["case"]), Policy(**content["policy"])
        return cls(case, policy, content["device"], content["files"], **options)


def measure_case(
    request: CaseRequest,
    on_phase: Listener = lambda phase: None,
    tell: Listener = lambda text: None,
) -> Measurement:
    """Measure a case. Whatever goes wrong becomes the measurement's outcome and reason.

    `on_phase` is called as each phase begins, `tell` with what a user who waits should know.
    """
    device, limit = None, TimeLimit.of_this_process(request.policy.timeout_s)
    try:
        on_phase("build")
        device = open_device(request)
        base_bytes = device.memory_peak_bytes()
        built = build(request, device, limit, tell)
        measurement = measure_built(built, device, request, limit, on_phase)
        return replace(measurement, memory_base_bytes=base_bytes)
    except Unsupported as answer:
        return Measurement("unsupported", str(answer))
    except BaseException as error:  # noqa: BLE001 - a workload may raise anything; it is this row's outcome
        traceback.print_exc()
        return failure_of(error, device)


def open_device(request: CaseRequest) -> devices.Device:
    """The device, seeded and set to the case's precision; its memory peak starts at what it holds
    before anything is built. Unsupported if the case's dtype does not run on it."""
    device, dtype = devices.open_device(request.device), request.case.dtype
    if request.formats is not None:
        device.findings.take(request.formats)
    random.seed(request.policy.seed)
    device.seed(request.policy.seed)
    device.require(dtype)
    device.use_precision(dtype)
    if request.guard:
        device.guard_memory()
    device.reset_memory_peak()
    return device


def build(request: CaseRequest, device: devices.Device, limit: TimeLimit, tell: Listener) -> Built:
    """The case's workload, made ready. Unsupported if its steps would not be done within `limit`,
    or if it has none to profile.

    `tell` is called before the building if the device only emulates the dtype, and after it with
    what a step takes at least then.
    """
    case, rates = request.case, device.findings.formats
    is_slow = is_emulated(case.dtype, rates)
    if is_slow:
        tell(slowness(case.dtype, rates))
    workload = find(case.workload, request.files)
    built = workload.build(params_of(case.params, case.dtype), device)
    if built.declared.slice_of:
        _check_slice(built.declared.slice_of, case.params)
    step_s = device.findings.least_s(case.dtype, built.work.flops) if built.work.flops else None
    if is_slow and step_s:
        tell(f"by the rate of a product a step takes {step_s:.2g} s or more")
    _require_time(case.dtype, built.least_s, step_s, limit.left_s())
    if built.served and request.profiled is not None:
        raise Unsupported(
            "a test under load has no steps to profile; profile gpt/prefill and gpt/decode instead"
        )
    return built


def _check_slice(whole: Whole, params: Mapping[str, Param]) -> None:
    """ValueError unless the case and its whole have whole numbers of the axis: others are damage in
    a stored run."""
    for value in (params.get(whole.axis), whole.value):
        if type(value) is not int or value < 1:
            raise ValueError(f"slice_of {whole.axis!r}: {value!r} is not a whole number from 1 on")


def measure_built(
    built: Built,
    device: devices.Device,
    request: CaseRequest,
    limit: TimeLimit,
    on_phase: Listener = lambda phase: None,
) -> Measurement:
    """Measure the steps of a workload that is ready, with the meters, the foreign load and the
    notes. What a step raises passes through; Unsupported if none would end within `limit`."""
    policy, watch = request.policy, CpuWatch()

    def follow(phase: str) -> None:
        on_phase(phase)
        watch.start()  # the last phase is the window, and only what happens in that counts

    with Metering(device, policy.tdp_w, limit.end_s / 2) as metering:
        if request.idle and metering.window_s:  # before the steps: no interrupt can lose them
            on_phase("idle")
            metering.rest()
        window, result = _run_steps(built, device, policy, metering.window_s, limit, follow)
        foreign = watch.notes()
        served = built.served() if built.served else Served(Requests())
        loss = _loss(result)
    profile = None
    if request.profiled is not None:
        profile = _profile(built, device, window, request.profiled, limit, on_phase)
    readings = metering.readings(window)
    return Measurement(
        outcome="ok",
        work=built.work,
        declared=built.declared,
        window=window,
        compile_s=_compile_s(window) if built.compiled else None,
        loss=loss,
        notes=[
            *device.notes,
            *notes.emulated_dtype(request.case.dtype, device.findings.formats),
            *notes.clock_jump(window),
            *notes.cut_short(window, policy),
            *metering.notes(window, readings),
            *foreign,
            *notes.no_steady_state(window.timed_s, policy.precision),
            *notes.loss_not_finite(loss),
            *served.notes,
        ],
        readings=readings,
        telemetry=metering.trace.as_telemetry(),
        requests=served.requests,
        profile=profile,
    )


def _run_steps(
    built: Built,
    device: devices.Device,
    policy: Policy,
    least_s: float,
    limit: TimeLimit,
    on_phase: Listener,
) -> tuple[Window, object]:
    """The window, `least_s` seconds long for the meters' sake, and what its last step returned."""
    if built.served:
        return measure_once(built.step, device, on_phase)
    is_longer = built.compiled or built.first_is_longer
    rules = warmup_rule(policy), window_rule(policy, least_s)
    if not device.has_own_clock:
        return measure(built.step, device, *rules, on_phase, limit.left_s, is_longer)
    warmup, window_end = (InHostTime(rule, policy.max_time_s) for rule in rules)
    window, result = measure(
        built.step, device, warmup, window_end, on_phase, limit.left_s, is_longer
    )
    if window.window_s <= 0:
        raise Unsupported(
            f"no time has passed on the clock of {device.name}: its workloads call `device.launch`"
            " or `device.compute`"
        )
    return window, result


def _profile(
    built: Built,
    device: devices.Device,
    window: Window,
    asked: Mapping[str, Any],
    limit: TimeLimit,
    on_phase: Listener,
) -> Profile:
    """Where the time of a step goes. A pass that fails, or would not end in time, says so in the
    profile and costs nothing of what was measured before."""
    from hwbench import profiling  # brings torch, which not every device needs

    on_phase("profile")
    step_s, left_s = median(window.timed_s), limit.left_s()
    steps = profiling.steps_taken(step_s)
    if steps * step_s > left_s:
        needs = f"{steps} steps of {step_s:.3g} s"
        left = f"{max(0.0, left_s):.3g} s of the time limit are left"
        reason = f"the pass takes {needs}, and {left}: allow more (--timeout)"
        return Profile(0, step_s, None, 0.0, reason)
    trace = Path(asked["trace"]) if asked.get("trace") else None
    try:
        return profiling.profile(built, device, window, trace)
    except Exception as error:  # noqa: BLE001 - as of a step, anything
        traceback.print_exc()
        return Profile(0, step_s, None, 0.0, f"the pass failed: {in_a_line(error)}")


def _require_time(dtype: str, set_s: float | None, step_s: float | None, left_s: float) -> None:
    """Unsupported if a step that is set to take `set_s` seconds, or two steps of `step_s` by the
    rate of products, take longer than `left_s`."""
    left = f"{max(0.0, left_s):.3g} s of the time limit are left"
    if set_s is not None and set_s > left_s:
        raise Unsupported(f"a step takes {set_s:g} s or more, and {left}: allow more (--timeout)")
    if step_s is not None and 2 * step_s > SURE * left_s:
        step = f"by the rate of a product in {dtype} a step takes {step_s:.3g} s or more"
        raise Unsupported(f"{step}, and {left}: allow more (--timeout), or take another dtype")


def _compile_s(window: Window) -> float:
    """What the first step took beyond a steady one: compilation, and whatever else only the first
    step pays."""
    return max(0.0, window.samples.step_s[0] - median(window.timed_s))


def _loss(result: Any) -> float | None:
    """The loss, if that is what a step returned: one floating-point number, plain or in a
    tensor."""
    if isinstance(result, float):
        return result
    has_one = getattr(result, "numel", lambda: 0)() == 1
    if has_one and getattr(result, "is_floating_point", lambda: False)():
        return float(result.item())
    return None
