"""What was raised while a case was measured, as the outcome of that case."""

from hwbench.devices.protocol import Device
from hwbench.records import Measurement


def failure_of(error: BaseException, device: Device | None) -> Measurement:
    """The outcome of a case in which `error` was raised; `device` is None where it could not even
    be opened."""
    missing = device.missing_operator(error) if device else None
    if missing:
        return Measurement("unsupported", missing)
    return Measurement("oom" if _is_out_of_memory(error, device) else "error", in_a_line(error))


def _is_out_of_memory(error: BaseException, device: Device | None) -> bool:
    if device is None:
        return "out of memory" in str(error).lower()
    return device.is_out_of_memory(error)


def in_a_line(error: BaseException) -> str:
    """The error's type and the line that says what is wrong: torch adds advice below it, and dynamo
    a line before."""
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        name = f"{kind.__module__}.{name}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and lines[0].endswith("raised:"):
        lines = lines[1:]
    # as "Error(s) in loading state_dict for Linear:"
    is_heading = bool(lines) and lines[0].endswith(":")
    message = " ".join(lines[: 2 if is_heading else 1])
    line = f"{name}: {message}" if message else name
    return line.encode(errors="backslashreplace").decode()  # half a surrogate pair cannot be stored
