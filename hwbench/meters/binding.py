"""What the Python binding of a vendor's library raises, in one line for a user.

Each binding has one place that turns whatever it raises into the reason why a quantity is unknown:
`nvml.library.answer`, `amdsmi.answer`, `powermetrics.parse`, `PerfMeter`.
"""


def one_line(error: Exception, named: bool = False) -> str:
    """The error's message in one line; its class too if `named`, or if there is no message."""
    name = type(error).__name__
    try:
        message = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - NVML is asked for the message, which may be no UTF-8 either
        return name
    if not message:
        return name
    return f"{name}: {message}" if named else message
