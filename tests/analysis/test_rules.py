import pytest

from hwbench.analysis.verdict.rules import Rule, Rules, read_rules
from hwbench.inputs import share, threshold
from hwbench.records import UserError

EXAMPLE = """
[default]
threshold = "4%"
metrics = ["tokens_per_s", "step_s_p50"]

[[rules]]
workload = "gpt/*"
threshold = 0.03

[[rules]]
workload = "gpt/train"
metric = "memory_peak_bytes"
threshold = "2%"
"""


@pytest.fixture
def write(tmp_path):
    def written(text: str):
        file = tmp_path / "gate.toml"
        file.write_text(text)
        return file

    return written


def test_a_file_sets_thresholds_and_metrics(write):
    rules = read_rules(write(EXAMPLE))
    memory = Rule(0.02, "gpt/train", "memory_peak_bytes")
    assert rules == Rules(("tokens_per_s", "step_s_p50"), 0.04, (Rule(0.03, "gpt/*"), memory))
    assert rules.threshold_of("gemm", "tokens_per_s") == 0.04
    assert rules.threshold_of("gpt/decode", "tokens_per_s") == 0.03
    assert rules.threshold_of("gpt/train", "memory_peak_bytes") == 0.02
    assert rules.threshold_of("gpt/decode", "memory_peak_bytes") == 0.03
    assert rules.added("gpt/train") == ["memory_peak_bytes"]
    assert rules.added("gpt/decode") == []
    assert rules.unused(["gpt/decode", "gemm"]) == [memory]


def test_an_empty_file_means_the_defaults(write):
    assert read_rules(write("")) == Rules()


def test_the_last_rule_that_matches_wins():
    rules = Rules((), 0.05, (Rule(0.01, "gpt/train"), Rule(0.02, "gpt/*")))
    assert rules.threshold_of("gpt/train", "step_s_p50") == 0.02


def test_rules_can_be_narrowed_to_some_metrics(write):
    rules = read_rules(write(EXAMPLE)).narrowed(("step_s_p50",))
    assert rules == Rules(("step_s_p50",), 0.04, (Rule(0.03, "gpt/*"),))


@pytest.mark.parametrize(
    ("word", "value"), [("5%", 0.05), (" 0.5 % ", 0.005), ("0.05", 0.05), (0.05, 0.05)]
)
@pytest.mark.parametrize("parse", [share, threshold])
def test_shares_and_thresholds_are_numbers_or_percents(parse, word, value):
    assert parse(word) == pytest.approx(value)


@pytest.mark.parametrize(("word", "value"), [("100%", 1), ("150 %", 1.5), ("1000%", 10)])
def test_a_threshold_of_100_percent_and_more_has_its_sign(word, value):
    assert threshold(word) == pytest.approx(value)
    with pytest.raises(UserError, match=r"expected a share such as 5% or 0\.05, .* below 100%"):
        share(word)


BAD = ["5", "-1%", "0", "nan", "inf", "nan%", "1e400%", "1000.1%", "five", "", "%", "1e-400%"]

GIANT = pytest.param(10**5000, id="giant")


@pytest.mark.parametrize("word", [*BAD, GIANT, 1, 1.0, None, True, [], 100])
def test_bad_thresholds_are_refused(word):
    with pytest.raises(UserError, match=r"expected a change such .* 100% to 1000% with"):
        threshold(word)
    with pytest.raises(UserError, match="expected a share"):
        share(word)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[default", "not TOML"),
        ("[defaults]", "unknown key 'defaults'; did you mean default"),
        ("default = 3", "expected a table"),
        ("rules = 3", "expected a table"),
        ("rules = [3]", "expected a table"),
        ("[rules]\nthreshold = 0.1", "expected a table"),
        ("[default]\nmetric = []", "unknown key in .default. 'metric'; did you mean metrics"),
        ("[default]\nmetrics = 'tokens_per_s'", "expected a list"),
        (
            "[default]\nmetrics = ['tokens_per_sec']",
            "unknown metric 'tokens_per_sec'; did you mean tokens_per_s",
        ),
        ("[default]\nmetrics = [3]", "unknown metric '3'"),
        ("[default]\nmetrics = ['step_*']", "unknown metric"),
        ("[default]\nthreshold = 'much'", "threshold much: expected a change"),
        ("[default]\nthreshold = 5", "threshold 5: expected a change .* with the sign"),
        ("[[rules]]\nworkload = 'gpt/*'", "rule 1 has no threshold"),
        ("[[rules]]\nthreshold = '2000%'", "rule 1: threshold 2000%: expected a change"),
        ("[[rules]]\nthreshold = 0.1\nmetric = 'foo_*'", "rule 1: unknown metric"),
        ("[[rules]]\nthreshold = 0.1\nworkload = 3", "rule 1: workload 3: expected a name"),
        (
            '[[rules]]\nthreshold = 0.1\nmetric = """' + "[\n" * 100_000 + '"""',
            "rule 1: metric: a pattern of 100,000 wildcards; use up to 100",
        ),
        (
            "[[rules]]\nthreshold = 0.1\nworkload = '" + "*a" * 101 + "'",
            "rule 1: workload: a pattern of 101 wildcards",
        ),
        ("[[rules]]\nthreshold = 0.1\n" * 1001, "1,001 rules; there may be 1,000"),
        (
            "[[rules]]\nthreshold = 0.1\nworkloads = 'x'",
            "unknown key in rule 1 'workloads'; did you mean workload",
        ),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(write, text, says):
    with pytest.raises(UserError, match=says) as caught:
        read_rules(write(text))
    assert str(caught.value).startswith(str(write(text)))
    assert len(str(caught.value).splitlines()) == 1


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_rules(tmp_path / "none.toml")


def test_a_name_with_brackets_matches_itself():
    name = "pytest-benchmark/test_a.py::test[x|1]"
    rules = Rules(special=(Rule(0.2, name),))
    assert rules.threshold_of(name, "step_s_p50") == 0.2
    assert rules.unused([name]) == []
