"""What is judged, and what change matters: the same for all cases, or by workload and metric from a
`gate.toml`.

[default]
threshold = "5%"
metrics = ["tokens_per_s", "step_s_p50"]

[[rules]]
workload = "gpt/*"
metric = "memory_peak_bytes"
threshold = "2%"
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from hwbench import inputs
from hwbench.analysis.metrics.summary import METRICS
from hwbench.documents import read_toml
from hwbench.inputs import shortened, unknown
from hwbench.records import UserError

THRESHOLD = 0.05
"""A smaller change matters to few."""

MOST_RULES = 1000
MOST_WILDCARDS = 100
"""In a pattern: the time to match one grows with the square of their number."""


@dataclass(frozen=True)
class Rule:
    """The threshold, a relative change, of the workloads and metrics that match the patterns (`*`,
    `?` and `[…]`, as in file names)."""

    threshold: float
    workload: str = "*"
    metric: str = "*"

    @property
    def names_a_metric(self) -> bool:
        return self.metric in METRICS


@dataclass(frozen=True)
class Rules:
    """`metrics` to judge of every case (none: those that judgement.judge_runs chooses), the default
    `threshold`, and the `special` rules, of which the last that matches wins. A metric that a
    special rule names is judged for the workloads that the rule matches."""

    metrics: tuple[str, ...] = ()
    threshold: float = THRESHOLD
    special: tuple[Rule, ...] = ()

    def threshold_of(self, workload: str, metric: str) -> float:
        matching = [rule for rule in self._of(workload) if _fits(metric, rule.metric)]
        return matching[-1].threshold if matching else self.threshold

    def added(self, workload: str) -> list[str]:
        """The metrics that special rules name for a workload."""
        return [rule.metric for rule in self._of(workload) if rule.names_a_metric]

    def unused(self, workloads: Iterable[str]) -> list[Rule]:
        """The special rules that apply to none of the workloads."""
        names = set(workloads)
        return [
            rule for rule in self.special if not any(_fits(name, rule.workload) for name in names)
        ]

    def narrowed(self, metrics: tuple[str, ...]) -> "Rules":
        """These rules for some metrics alone."""
        special = tuple(
            rule for rule in self.special if not rule.names_a_metric or rule.metric in metrics
        )
        return replace(self, metrics=metrics, special=special)

    def _of(self, workload: str) -> list[Rule]:
        return [rule for rule in self.special if _fits(workload, rule.workload)]


def _fits(name: str, pattern: str) -> bool:
    """Whether a pattern matches the name, or equals it (a name may have brackets in it)."""
    return name == pattern or fnmatchcase(name, pattern)


def read_rules(file: Path) -> Rules:
    """The rules of a TOML file. UserError, one line that names the file, if it is not valid."""
    content = read_toml(file)
    try:
        return _rules(content)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error


def _rules(content: dict[str, Any]) -> Rules:
    _check_keys("key", content, ("default", "rules"))
    default, special = content.get("default", {}), content.get("rules", [])
    are_tables = isinstance(special, list) and all(isinstance(rule, dict) for rule in special)
    if not isinstance(default, dict) or not are_tables:
        raise UserError("expected a table [default] and tables [[rules]]")
    if len(special) > MOST_RULES:
        raise UserError(f"{len(special):,} rules; there may be {MOST_RULES:,}")
    _check_keys("key in [default]", default, ("threshold", "metrics"))
    metrics = default.get("metrics", [])
    if not isinstance(metrics, list):
        raise UserError('metrics in [default]: expected a list such as ["tokens_per_s"]')
    rules = [_rule(number, rule) for number, rule in enumerate(special, start=1)]
    known = tuple(dict.fromkeys(_metric(name) for name in metrics))
    return Rules(known, _threshold(default.get("threshold", THRESHOLD)), tuple(rules))


def _rule(number: int, rule: dict[str, Any]) -> Rule:
    where = f"rule {number}"
    _check_keys(f"key in {where}", rule, ("workload", "metric", "threshold"))
    if "threshold" not in rule:
        raise UserError(f"{where} has no threshold")
    workload, metric = rule.get("workload", "*"), rule.get("metric", "*")
    if not isinstance(workload, str) or not workload:
        raise UserError(
            f"{where}: workload {shortened(workload)}: expected a name or a pattern such as gpt/*"
        )
    try:
        _check_pattern("workload", workload)
        _check_pattern("metric", metric)
        return Rule(_threshold(rule["threshold"]), workload, _metric(metric, patterns=True))
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def _check_pattern(what: str, pattern: object) -> None:
    count = sum(map(str(pattern).count, "*?["))
    if count > MOST_WILDCARDS:
        raise UserError(f"{what}: a pattern of {count:,} wildcards; use up to {MOST_WILDCARDS}")


def _threshold(word: object) -> float:
    try:
        return inputs.threshold(word)
    except UserError as error:
        raise UserError(f"threshold {error}") from error


def _metric(name: object, patterns: bool = False) -> str:
    """The name of a metric, or a pattern that some metric matches. UserError for another name; it
    suggests similar ones."""
    if isinstance(name, str):
        if name in METRICS:
            return name
        if patterns and any(fnmatchcase(metric, name) for metric in METRICS):
            return name
    raise UserError(unknown("metric", str(name), METRICS))


def _check_keys(what: str, table: dict[str, Any], known: Sequence[str]) -> None:
    for key in table:
        if key not in known:
            raise UserError(unknown(what, key, known))
