"""The nouns of hwbench: what is measured and what came out.

They are frozen dataclasses that need only the standard library: every other module builds on them,
and a worker may run where nothing but torch is installed. Names end in their unit: `_s` seconds,
`_ns` nanoseconds, `_bytes` bytes. None means unknown, never zero.
"""

from hwbench.errors import Unsupported, UserError
from hwbench.records.case import Case, Declared, Param, Policy, Run, Whole, Work, case_label
from hwbench.records.measurement import (
    FAILED,
    OUTCOMES,
    Grade,
    Measurement,
    Method,
    Outcome,
    Reading,
    Requests,
    Samples,
    Served,
    Spans,
    Telemetry,
    TimerKind,
    Window,
)

__all__ = [
    "FAILED",
    "OUTCOMES",
    "Case",
    "Declared",
    "Grade",
    "Measurement",
    "Method",
    "Outcome",
    "Param",
    "Policy",
    "Reading",
    "Requests",
    "Run",
    "Samples",
    "Served",
    "Spans",
    "Telemetry",
    "TimerKind",
    "Unsupported",
    "UserError",
    "Whole",
    "Window",
    "Work",
    "case_label",
]
