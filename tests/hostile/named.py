"""Attacks that were found once, each by a name: they run before all others, and each once."""

import gzip
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

from commands import FILE
from foreign import SOURCES

from hostile import columns, crowds, imports, shapes, stored
from hostile.attack import REFUSED, Attack, Build, Kind
from hostile.reading import BY_LABEL, FIGURES, READERS, RESULTS, Reader, read
from hostile.stored import GOOD, SLOW, TRAIN
from hostile.texts import SHA
from hostile.variables import SECRET

PAGE = next(reader for reader in READERS if reader.words == "report RUN -o page.html")
MARKDOWN = next(reader for reader in READERS if reader.words == "report RUN --format markdown")
GATE = next(reader for reader in READERS if reader.on_github)
SUMMARY = next(reader for reader in READERS if reader.words == "summarize RUN")


SHOWERS = {
    "page": PAGE,
    "markdown": MARKDOWN,
    "sheet": next(reader for reader in READERS if reader.words == "report RUN --format csv"),
    "gate": GATE,
    "summary": SUMMARY,
    "comparison": next(reader for reader in READERS if reader.words == "compare BASE RUN"),
    "profile": next(reader for reader in READERS if reader.words == "profile --diff BASE RUN"),
    "figure": FIGURES[0],
}
TEXTS = [
    *(("runs", name) for name in ("device_name", "label")),
    *(("measurements", name) for name in ("workload", "reason")),
    *(("spans", "name"), ("readings", "reason"), ("ops", "name"), ("ops", "module")),
    *(("modules", "module"), ("gaps", "after"), ("memory", "name")),
]
"""Columns of texts that may be anything, and are shown."""

BEGINS = {"formula": "=1+1", "command": "::add-mask::", "tag": "</title></svg>"}
MARKED = "<script>alert(1)</script>\x1b]0;owned\x07 ##[add-mask]1 \u202ewww.evil.example GH-1"
"""What something acts upon: a page, a terminal, a log, a reader's eye, GitHub."""


def changed(
    table: str, column: str, value: Any, is_damaged: bool = True, reader: Any = PAGE
) -> Build:
    """A build of a run with one value in all rows of a column."""

    def build(rng: Random, work: Path) -> Attack:
        run = columns.lay(rng, work)
        told = value(work) if callable(value) else value
        for file in stored.parts(run, table):
            columns.change(file, column, lambda values: [told] * len(values))
        return read(reader, SLOW, is_damaged=is_damaged)

    return build


def everywhere(begin: str, reader: Reader) -> Build:
    """A build of a run in which every text that is shown begins like this; it must be read."""

    def build(rng: Random, work: Path) -> Attack:
        run = columns.lay(rng, work)
        for table, column in TEXTS:
            for file in stored.parts(run, table):
                columns.change(file, column, lambda values: [begin + MARKED] * len(values))
        plan = stored.parts(run, "runs")[0]
        name, marked = json.dumps(TRAIN.workload), json.dumps(begin + MARKED)
        columns.change(plan, "plan", lambda values: [values[0].replace(name, marked)])
        return replace(read(reader, SLOW), statuses=frozenset(reader.statuses))

    return build


def in_all_tables(name: str | Callable[[Path], str]) -> Build:
    """A build of a run whose tables say that it has this id."""

    def build(rng: Random, work: Path) -> Attack:
        run = columns.lay(rng, work)
        told = name(work) if callable(name) else name
        for file in [file for file in stored.parts(run) if "noise" not in str(file)]:
            columns.change(file, "run_id", lambda values: [told] * len(values))
        return read(READERS[0], SLOW, is_damaged=True)

    return build


def other_parts(table: str) -> Build:
    """A build of a run with another's parts in place of its own."""

    def build(rng: Random, work: Path) -> Attack:
        run = columns.lay(rng, work)
        for file in stored.parts(work / RESULTS / GOOD, table):
            (run / table / file.name).write_bytes(file.read_bytes())
        return read(SUMMARY, SLOW, is_damaged=True)

    return build


def piped(words: str, status: int, stdout: str = "broken", stderr: str = "file") -> Build:
    """A build of a command whose reader has left."""

    def build(rng: Random, work: Path) -> Attack:
        stored.lay(work / RESULTS, GOOD, SLOW, stored.CALM, stored.CALMER)
        writes = [f"{RESULTS}/{SLOW}"] if "summarize" in words else []
        return Attack(words.split(), frozenset({status}), writes, stdout=stdout, stderr=stderr)

    return build


def measured(stdout: str = "broken", stderr: str = "file", **environment: str | bytes) -> Build:
    """A build of a true run, on the fake device."""

    def build(rng: Random, work: Path) -> Attack:
        words = ["run", "fake/known", "--device", "fake", "--workloads", FILE, "--name", "measured"]
        words += ["--processes", "1", "--min-time", "0.03", "--min-samples", "10"]
        return Attack(
            words,
            frozenset({0}),
            [RESULTS],
            environment,
            stdout=stdout,
            stderr=stderr,
            measures=True,
            then=[["report", "label:measured", "-o", "page.html"]],
        )

    return build


def versioned(version: bytes) -> Build:
    def build(rng: Random, work: Path) -> Attack:
        run = columns.lay(rng, work)
        file = stored.parts(run, "samples")[0]
        stored.write_part(file, stored.read_part(file), version)
        return read(PAGE, SLOW, is_damaged=True)

    return build


def doubled(rng: Random, work: Path) -> Attack:
    run = columns.lay(rng, work)
    file = stored.parts(run, "measurements")[0]
    table = stored.read_part(file)
    stored.write_part(file, table.append_column("outcome", table.column("outcome")))
    return read(PAGE, SLOW, is_damaged=True)


def with_file(
    name: str, content: str, *words: str, statuses: tuple[int, ...] = (REFUSED,)
) -> Build:
    """A build of a command line over one file."""

    def build(rng: Random, work: Path) -> Attack:
        columns.lay(rng, work)
        (work / name).write_text(content)
        return Attack(words, frozenset(statuses))

    return build


def imported(tool: str, grow: Callable[[Any], None]) -> Build:
    def build(rng: Random, work: Path) -> Attack:
        content = json.loads(json.dumps(SOURCES[tool]))
        grow(content)
        imports.lay(work, tool).write_text(json.dumps(content))
        return imports.command(tool, "file.json")

    return build


def pipe_as_part(rng: Random, work: Path) -> Attack:
    file = stored.parts(columns.lay(rng, work), "samples")[0]
    file.unlink()
    os.mkfifo(file)
    return read(PAGE, SLOW, is_damaged=True)


def written_to(place: bytes, *words: str, status: int) -> Build:
    def build(rng: Random, work: Path) -> Attack:
        columns.lay(rng, work)
        (work / "loop").symlink_to("loop")
        return Attack([*words, place], frozenset({status, REFUSED}), [os.fsdecode(place)])

    return build


def in_locale_c(rng: Random, work: Path) -> Attack:
    columns.lay(rng, work)
    attack = read(PAGE, SLOW)
    return replace(attack, locale_c=True, statuses=frozenset({0}))


def of_many_rows(rng: Random, work: Path, count: int = 4_000_000) -> Attack:
    run = columns.lay(rng, work)
    crowds.inflate(stored.parts(run, "telemetry")[0], count)
    return read(PAGE, SLOW)


def folder_named(name: str) -> Build:
    """A build of a damaged neighbour, of which the command warns by its folder's name."""

    def build(rng: Random, work: Path) -> Attack:
        stored.lay(work / RESULTS, GOOD, SLOW)
        (work / RESULTS / name / "runs").mkdir(parents=True)
        (work / RESULTS / name / "runs" / "run.parquet").write_bytes(b"PAR1")
        return replace(read(BY_LABEL[0], GOOD), statuses=frozenset({0}))

    return build


def into_a_link(rng: Random, work: Path) -> Attack:
    """A run that came from elsewhere, whose derived tables are to be written elsewhere."""
    run = columns.lay(rng, work)
    elsewhere = work.parent / "elsewhere"
    for table in ("metrics", "span_metrics"):
        (run / table).rename(elsewhere.with_name(f"{elsewhere.name}-{table}"))
        (run / table).symlink_to(elsewhere.with_name(f"{elsewhere.name}-{table}"))
    return read(SUMMARY, SLOW)


def secrets(rng: Random, work: Path) -> Attack:
    environment: dict[str, str | bytes | None] = dict.fromkeys(
        ("TORCH_PASSWORD", "NCCL_SECRET", "OMP_AUTH"), SECRET
    )
    environment["MALLOC_CONF"] = f"prof_prefix:/home/{SECRET}/prof"
    words = ["meter", "--name", "metered", "--output", RESULTS, "--", "true"]
    then = [["report", "label:metered", "-o", "page.html"]]
    return Attack(words, frozenset({0}), [RESULTS], environment, then=then, secrets=[SECRET])


def bomb(rng: Random, work: Path) -> Attack:
    (work / "file.json.gz").write_bytes(gzip.compress(b" " * (1 << 26)) * 32)
    return imports.command("pyperf", "file.json.gz", statuses=frozenset({REFUSED}))


def inside(words: str, folder: str) -> Build:
    """A build of a sound run that is read from elsewhere: it must be read."""

    def build(rng: Random, work: Path) -> Attack:
        columns.lay(rng, work)
        (work / "latest").symlink_to(f"{RESULTS}/{SLOW}")
        name = folder.replace("WORK", str(work))
        return Attack([name if word == "RUN" else word for word in words.split()], frozenset({0}))

    return build


BY_RULES = ["gate", "--baseline", GOOD, "--candidate", SLOW, "--rules", "gate.toml"]
BY_SUITE = ["run", "--suite", "suite.toml"]
OSC = "card\x1b]0;owned\x07"
DOCUMENTS = {
    "choices": "measurements",
    "span_work": "measurements",
    "slice_of": "measurements",
    "notes": "measurements",
    "params": "measurements",
    "plan": "runs",
    "environment": "runs",
    "argv": "runs",
    "unknown": "profiles",
    "shapes": "ops",
}
FREE = ("environment", "unknown", "shapes")
"""Whose values a reader may take as they come, if it can show them."""

OTHER_SHAPES = {
    "choices": '{"a": [1]}',
    "span_work": '{"forward": [1]}',
    "slice_of": '{"axis": "nothing", "value": [], "work": 1}',
    "notes": '{"a": 1}',
    "params": "[1]",
    "plan": '{"policy": [], "cases": 1}',
    "environment": '{"device": [], "cpu": 1, "packages": "x", "nvidia": {}}',
    "argv": '[{"a": 1}, null]',
    "unknown": '{"modules": [1]}',
    "shapes": '{"a": 1}',
}
DEEP = "[" * 100_000 + "]" * 100_000

BUILDS: Mapping[str, Build] = {
    "an_id_that_is_a_path": in_all_tables("../../VICTIM"),
    "an_id_that_is_absolute": in_all_tables(lambda work: str(work.parent / "VICTIM")),
    "an_id_of_a_neighbour": in_all_tables(GOOD),
    "gate_passes_into_a_broken_pipe": piped("gate --baseline calm --candidate calmer", 0),
    "gate_fails_into_a_broken_pipe": piped("gate --baseline good --candidate slow", 1),
    "compare_into_a_broken_pipe": piped("compare good slow", 0),
    "summarize_into_a_broken_pipe": piped("summarize slow", 0),
    "meters_into_a_broken_pipe": piped("meter --list", 0),
    "gate_passes_with_full_errors": piped(
        "gate --baseline calm --candidate calmer", 0, "file", "full"
    ),
    "gate_passes_without_streams": piped(
        "gate --baseline calm --candidate calmer", 0, "closed", "closed"
    ),
    "run_into_a_broken_pipe": measured("broken", "broken"),
    "run_with_hostile_variables": measured(
        "file", OMP_PLACES=OSC, CUDA_X=b"\xff", TORCH_LOGS="a\n::x::"
    ),
    **{
        f"device_{name}": changed("runs", "device_name", text, is_damaged=False, reader=reader)
        for name, text, reader in (
            ("of_a_title", OSC, SUMMARY),
            ("that_stops_commands", "card\n::stop-commands::pause", GATE),
            ("that_masks", "card\r\n::add-mask::0", GATE),
            ("turned_round", "card\u202eevil", PAGE),
            ("turned_round_in_markdown", "card\u202eevil", MARKDOWN),
            ("with_a_script", "<script>alert(1)</script>", PAGE),
        )
    },
    **{
        f"a_{begin}_everywhere_in_a_{shower}": everywhere(BEGINS[begin], SHOWERS[shower])
        for begin, shower in product(BEGINS, SHOWERS)
    },
    "reason_of_a_title": changed("measurements", "reason", OSC, is_damaged=False, reader=SUMMARY),
    "reason_of_links": changed(
        "measurements", "reason", f"www.evil.example GH-1 {SHA}", is_damaged=False, reader=MARKDOWN
    ),
    "folder_of_a_title": folder_named(OSC),
    "folder_of_a_command": folder_named("x\n::stop-commands::pause"),
    "tables_to_derive_into_a_link": into_a_link,
    "secrets": secrets,
    **{
        f"parts_of_another_run_in_{table}": other_parts(table)
        for table in ("readings", "telemetry", "profiles", "ops", "modules", "gaps", "memory")
    },
    **{
        f"{column}_of_another_shape": changed(
            table, column, OTHER_SHAPES[column], is_damaged=column not in FREE
        )
        for column, table in DOCUMENTS.items()
    },
    **{
        f"{column}_deep": changed(table, column, DEEP, is_damaged=column not in FREE)
        for column, table in DOCUMENTS.items()
    },
    **{
        f"{column}_null": changed(table, column, None)
        for column, table in {
            "workload": "measurements",
            "outcome": "measurements",
            "device_name": "runs",
            "label": "runs",
            "started_at": "runs",
        }.items()
    },
    "a_column_twice": doubled,
    "a_version_of_5000_digits": versioned(b"5" * 5000),
    "a_step_beyond_all_bounds": changed("samples", "step_s", 1.7976931348623157e308),
    "all_steps_with_one_number": changed("samples", "step", 0),
    "half_a_surrogate": changed(
        "runs", "environment", '{"cpu": {"name": "\\ud800"}}', is_damaged=False
    ),
    "a_giant_number_in_rules": with_file(
        "gate.toml",
        f"[default]\nthreshold = {shapes.DIGITS}",
        *BY_RULES,
    ),
    "deep_rules": with_file(
        "gate.toml",
        f"rules = {DEEP}",
        *BY_RULES,
    ),
    "a_metric_of_brackets": with_file(
        "gate.toml",
        f'[[rules]]\nmetric = "{"[" * 100_000}"\nthreshold = "5%"',
        *BY_RULES,
    ),
    "a_giant_number_in_a_suite": with_file(
        "suite.toml",
        f'[policy]\nseed = {shapes.DIGITS}\n[[cases]]\nworkload = "gemm"',
        *BY_SUITE,
    ),
    "a_giant_value_in_a_suite": with_file(
        "suite.toml",
        f'[[cases]]\nworkload = "gemm"\nn = {shapes.DIGITS}',
        *BY_SUITE,
    ),
    "a_deep_suite": with_file("suite.toml", f"cases = {DEEP}", *BY_SUITE),
    "an_import_of_many_parameters": imported(
        "llama-bench", lambda content: content[0].update({f"p{n}": n for n in range(20_000)})
    ),
    "a_bomb_to_import": bomb,
    "a_pipe_as_part": pipe_as_part,
    "a_page_into_a_loop": written_to(b"loop", "report", SLOW, "-o", status=REFUSED),
    "junit_into_a_loop": written_to(
        b"loop", "gate", "--baseline", GOOD, "--candidate", SLOW, "--junit", status=REFUSED
    ),
    "markdown_into_a_loop": written_to(
        b"loop", "gate", "--baseline", GOOD, "--candidate", SLOW, "--markdown", status=REFUSED
    ),
    "a_page_with_a_name_in_latin_1": written_to(b"caf\xe9.html", "report", SLOW, "-o", status=0),
    "a_page_in_locale_c": in_locale_c,
    "a_comparison_in_ascii": piped("compare good slow", 0, "ascii"),
    "a_comparison_in_latin_1": piped("compare good slow", 0, "latin-1"),
    "a_bomb_of_rows": of_many_rows,
    **{
        f"a_sound_run_{name}": inside(words, place)
        for name, words, place in (
            ("by_a_link", "report RUN --format csv", "latest"),
            ("with_a_slash", "compare RUN good", f"{RESULTS}/{SLOW}/"),
            ("by_dots", "compare RUN good", f"{RESULTS}/../{RESULTS}/{SLOW}/."),
            ("in_full", "gate --self-test --pairs 10 --candidate RUN", f"WORK/{RESULTS}/{SLOW}"),
        )
    },
}
LONG = {"a_bomb_of_20_million_rows": partial(of_many_rows, count=20_000_000)}
"""Those that take seconds to lay."""

NAMED = [Kind(name, build) for name, build in BUILDS.items()]
NAMED_LONG = [Kind(name, build) for name, build in LONG.items()]
