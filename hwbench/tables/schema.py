"""The columns of the result tables: a public interface, described for users in docs/tables.md."""

import re

import pyarrow as pa

from hwbench.records.profile import PROFILE_TABLES

SCHEMA_VERSION = 5
"""The version of these tables. All came in November 2026:

1. runs, measurements, samples, spans, metrics, noise.
2. readings, telemetry; metrics with source, uncertainty and grade; measurements with
   flops_full_attention.
3. measurements with hardware_flops, span_work, choices, slice_of, memory_base_bytes and
   memory_predicted_bytes; metrics with convention, peak and peak_dtype; requests; span_metrics.
4. profiles, ops, modules, gaps, memory.
5. measurements with memory_build_peak_bytes.

Runs of earlier versions are read too. Tables that came later are empty there, and columns that came
later (ADDED) are null. Derived tables are computed again.
"""

ADDED = {
    "measurements": frozenset(
        {
            "flops_full_attention",
            "hardware_flops",
            "span_work",
            "choices",
            "memory_build_peak_bytes",
            "memory_base_bytes",
            "memory_predicted_bytes",
            "slice_of",
        }
    )
}
"""Columns that were added to a table later. An older part lacks them and reads as null."""

KEY = ["case_id", "process"]
"""The columns that identify a process of a run."""

OF_A_SHARE = ["convention", "peak", "peak_dtype", "source"]
"""The columns that only a share has: which part of the work it counts, and the peak that it is a
share of."""

_CASE = [("run_id", pa.string()), ("case_id", pa.string()), ("process", pa.int32())]
_VALUE = [
    ("metric", pa.string()),
    ("value", pa.float64()),
    ("ci_low", pa.float64()),
    ("ci_high", pa.float64()),
    ("unit", pa.string()),
    ("n", pa.int64()),
    ("method", pa.string()),
    ("validity", pa.string()),
    ("reasons", pa.string()),  # JSON
]
_SHARE = [
    ("convention", pa.string()),
    ("peak", pa.float64()),  # in FLOP/s or B/s
    ("peak_dtype", pa.string()),
]


def _schema(columns: list[tuple[str, pa.DataType]], nullable: str = "") -> pa.Schema:
    """A table whose columns hold no null, except for those named in `nullable`."""
    names = nullable.split()
    assert set(names) <= {name for name, _ in columns}
    return pa.schema([pa.field(name, kind, name in names) for name, kind in columns])


SCHEMAS: dict[str, pa.Schema] = {
    "runs": _schema(
        [
            ("run_id", pa.string()),
            ("started_at", pa.string()),
            ("label", pa.string()),
            ("device_kind", pa.string()),
            ("device_name", pa.string()),
            ("hwbench_version", pa.string()),
            ("schema_version", pa.int32()),
            ("environment", pa.string()),  # JSON
            ("argv", pa.string()),  # JSON
            ("plan", pa.string()),  # JSON: policy and cases; a report names those that are missing
        ]
    ),
    "measurements": _schema(
        [
            *_CASE,
            ("workload", pa.string()),
            ("params", pa.string()),  # JSON
            ("dtype", pa.string()),
            ("outcome", pa.string()),
            ("reason", pa.string()),
            ("warmup_steps", pa.int64()),
            ("samples", pa.int64()),
            ("converged", pa.bool_()),
            ("timer_kind", pa.string()),
            ("tokens", pa.int64()),
            ("flops", pa.int64()),
            ("bytes", pa.int64()),
            ("flops_full_attention", pa.int64()),
            ("hardware_flops", pa.int64()),
            ("span_work", pa.string()),  # JSON: the work of each span of a step
            ("choices", pa.string()),  # JSON: what the workload chose
            ("window_s", pa.float64()),
            ("memory_peak_bytes", pa.int64()),
            ("memory_build_peak_bytes", pa.int64()),
            ("memory_base_bytes", pa.int64()),
            ("memory_predicted_bytes", pa.int64()),
            # JSON: the axis of which the case is a slice, its full value, the whole's work
            ("slice_of", pa.string()),
            ("compile_s", pa.float64()),
            ("loss", pa.float64()),
            ("notes", pa.string()),  # JSON
        ],
        nullable="""warmup_steps samples converged timer_kind window_s compile_s loss tokens flops
        bytes flops_full_attention hardware_flops span_work choices slice_of memory_peak_bytes
        memory_build_peak_bytes memory_base_bytes memory_predicted_bytes""",
    ),
    "samples": _schema(
        [
            *_CASE,
            ("step", pa.int64()),
            ("warmup", pa.bool_()),
            ("start_ns", pa.int64()),
            ("step_s", pa.float64()),
            ("flags", pa.string()),
        ],
        nullable="start_ns",
    ),
    "spans": _schema(
        [
            *_CASE,
            ("step", pa.int64()),
            ("name", pa.string()),
            ("position", pa.int32()),
            ("span_s", pa.float64()),
        ]
    ),
    "readings": _schema(
        [
            *_CASE,
            ("meter", pa.string()),
            ("scope", pa.string()),
            ("quantity", pa.string()),
            ("value", pa.float64()),
            ("unit", pa.string()),
            ("method", pa.string()),
            ("window_s", pa.float64()),
            ("uncertainty", pa.float64()),  # in the unit of the value
            ("grade", pa.string()),
            ("reason", pa.string()),
            ("span", pa.string()),
        ],
        nullable="value method uncertainty grade",
    ),
    "telemetry": _schema(
        [
            *_CASE,
            ("time_ns", pa.int64()),
            ("meter", pa.string()),
            ("scope", pa.string()),
            ("device_index", pa.int32()),
            ("quantity", pa.string()),
            ("value", pa.float64()),
            ("unit", pa.string()),
        ],
        nullable="device_index",
    ),
    "requests": _schema(
        [
            *_CASE,
            ("request", pa.int64()),
            ("query", pa.int64()),
            ("scheduled_ns", pa.int64()),
            ("issued_ns", pa.int64()),
            ("first_token_ns", pa.int64()),
            ("done_ns", pa.int64()),
            ("prompt_tokens", pa.int64()),
            ("new_tokens", pa.int64()),
            ("batch", pa.int64()),
        ],
        nullable="first_token_ns prompt_tokens new_tokens batch",
    ),
    "profiles": _schema(
        [
            *_CASE,
            ("steps", pa.int64()),
            ("clean_step_s", pa.float64()),
            ("profiled_step_s", pa.float64()),
            ("events", pa.float64()),
            ("invalid", pa.string()),
            ("device_busy_s", pa.float64()),
            ("launch_s", pa.float64()),
            ("copy_s", pa.float64()),
            ("threads", pa.int32()),
            ("busy_share", pa.float64()),
            # JSON: {"modules" | "memory" | "bytes": why they are unknown}
            ("unknown", pa.string()),
        ],
        nullable="profiled_step_s device_busy_s launch_s copy_s threads busy_share",
    ),
    "ops": _schema(
        [
            *_CASE,
            ("level", pa.string()),
            ("span", pa.string()),
            ("module", pa.string()),
            ("backward", pa.bool_()),
            ("name", pa.string()),
            ("shapes", pa.string()),  # JSON
            ("dtype", pa.string()),
            ("calls", pa.float64()),
            ("events", pa.float64()),
            ("seconds", pa.float64()),
            ("host_s", pa.float64()),
            ("flops", pa.float64()),
            ("bytes", pa.float64()),
        ],
        nullable="flops bytes",
    ),
    "modules": _schema(
        [
            *_CASE,
            ("module", pa.string()),
            ("kind", pa.string()),
            ("calls", pa.float64()),
            ("forward_s", pa.float64()),
            ("backward_s", pa.float64()),
            ("self_forward_s", pa.float64()),
            ("self_backward_s", pa.float64()),
            ("flops", pa.float64()),
        ],
        nullable="flops",
    ),
    "gaps": _schema(
        [
            *_CASE,
            ("step", pa.int64()),
            ("span", pa.string()),
            ("start_s", pa.float64()),
            ("gap_s", pa.float64()),
            ("cause", pa.string()),
            ("after", pa.string()),
            ("before", pa.string()),
        ]
    ),
    "memory": _schema(
        [
            *_CASE,
            ("position", pa.int64()),
            ("span", pa.string()),
            ("name", pa.string()),
            ("weights_bytes", pa.int64()),
            ("gradients_bytes", pa.int64()),
            ("optimizer_bytes", pa.int64()),
            ("activations_bytes", pa.int64()),
            ("temporary_bytes", pa.int64()),
            ("other_bytes", pa.int64()),
        ]
    ),
    "metrics": _schema(
        [
            ("run_id", pa.string()),
            ("case_id", pa.string()),
            ("device_kind", pa.string()),
            ("workload", pa.string()),
            *_VALUE,
            # for energy and power the meters and their method, for a share the peak
            ("source", pa.string()),
            # of the source, in the unit of the value; ci_low and ci_high are without it
            ("uncertainty", pa.float64()),
            ("grade", pa.string()),
            *_SHARE,
        ],
        nullable="value ci_low ci_high source uncertainty grade convention peak peak_dtype",
    ),
    "span_metrics": _schema(
        [
            ("run_id", pa.string()),
            ("case_id", pa.string()),
            ("device_kind", pa.string()),
            ("workload", pa.string()),
            ("span", pa.string()),
            *_VALUE,
            ("source", pa.string()),
            *_SHARE,
        ],
        nullable="value ci_low ci_high source convention peak peak_dtype",
    ),
    "noise": _schema(
        [
            ("run_id", pa.string()),
            ("started_at", pa.string()),
            ("case_id", pa.string()),
            ("metric", pa.string()),
            ("floor", pa.float64()),  # a share: 0.01 is 1 %
            ("n", pa.int64()),  # processes of each half
            ("device_kind", pa.string()),
            ("device_name", pa.string()),
        ]
    ),
}


VERSION_KEY = b"hwbench_schema_version"
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
REFERENCE = "reference"  # the folder of runs that are kept, beside the others
RAW = (
    "runs",
    "measurements",
    "samples",
    "spans",
    "readings",
    "telemetry",
    "requests",
    "profiles",
    *PROFILE_TABLES,
)
"""The tables that a run writes while it measures. All others are derived from them."""
