import pytest

from hwbench.discovery import discover
from hwbench.recording.matrix import make_plan, named, parse_settings
from hwbench.recording.policy import checked_policy
from hwbench.recording.suites import from_suite, load_suite, suite_names
from hwbench.records import Policy, UserError
from hwbench.workload import axis, workload


@workload("gpt/train", size=["nano"], batch=[1, 2], dtype=["fp32"])
def train(p, device): ...


@workload("gemm", m=[64], dtype=["fp32", "bf16"])
def gemm(p, device): ...


KNOWN = {"gpt/train": train, "gemm": gemm}
CHOICES = [(train, {}), (gemm, {})]


def test_cases_are_the_product_of_the_axes():
    plan = make_plan(CHOICES, {}, Policy())
    assert [str(case) for case in plan.cases] == [
        "gpt/train size=nano batch=1 fp32",
        "gpt/train size=nano batch=2 fp32",
        "gemm m=64 fp32",
        "gemm m=64 bf16",
    ]


def test_a_setting_goes_to_every_workload_that_has_the_axis():
    plan = make_plan(CHOICES, {"dtype": ["bf16"], "batch": ["4"]}, Policy())
    assert [str(case) for case in plan.cases] == [
        "gpt/train size=nano batch=4 bf16",
        "gemm m=64 bf16",
    ]


def test_an_axis_that_none_has_is_an_error_with_near_names():
    with pytest.raises(UserError, match=r"unknown axis 'bach'; did you mean batch"):
        make_plan(CHOICES, {"bach": ["4"]}, Policy())


def test_a_value_that_is_none_names_the_workload_and_the_axis():
    with pytest.raises(UserError, match=r"gpt/train: batch=x: expected a whole number"):
        make_plan(CHOICES, {"batch": ["x"]}, Policy())
    with pytest.raises(
        UserError, match=r"gpt/train: dtype=bf61: unknown value 'bf61'; did you mean bf16"
    ):
        make_plan(CHOICES, {"dtype": ["bf61"]}, Policy())


def test_cases_that_settings_make_equal_are_one_case():
    assert (
        len(
            make_plan(
                [(gemm, {"m": [1]}), (gemm, {"m": [2]})], {"m": ["3"], "dtype": ["fp32"]}, Policy()
            ).cases
        )
        == 1
    )


def test_too_many_cases_are_refused():
    with pytest.raises(UserError, match="a run takes 1000"):
        make_plan(CHOICES, {"m": [str(m) for m in range(1, 1200)]}, Policy())


def test_settings_are_parsed():
    assert parse_settings(["size=124m,350m", "batch=1"]) == {
        "size": ["124m", "350m"],
        "batch": ["1"],
    }


@pytest.mark.parametrize("word", ["batch", "=4", "batch=", "batch=1,,2"])
def test_settings_of_another_form_are_refused(word):
    with pytest.raises(UserError, match="expected AXIS=VALUE"):
        parse_settings([word])


def test_an_axis_given_twice_is_refused():
    with pytest.raises(UserError, match="given twice"):
        parse_settings(["batch=1", "batch=2"])


def test_unknown_workloads_suggest_near_names():
    with pytest.raises(UserError, match="did you mean gpt/train"):
        named(KNOWN, ["gpt/trian"])


class TestPolicy:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("processes", 0), ("processes", -1), ("processes", 10**9), ("processes", 1.5), ("processes", True),
            ("min_time_s", -1.0), ("min_time_s", float("nan")), ("max_time_s", 0.0), ("max_time_s", float("inf")),
            ("min_samples", 0), ("timeout_s", -5.0), ("min_time_s", "long"),
            ("min_samples", 10**400), ("precision", 0), ("precision", 2), ("precision", "1%"), ("max_processes", 0),
        ],
    )  # fmt: skip
    def test_numbers_that_make_no_sense_are_refused(self, name, value):
        with pytest.raises(UserError, match=f"{name} = .*expected"):
            checked_policy(Policy(), {name: value})

    def test_unknown_names_are_refused(self):
        with pytest.raises(UserError, match="did you mean processes"):
            checked_policy(Policy(), {"proceses": 2})

    def test_one_bound_moves_the_other_but_two_that_cross_are_refused(self):
        assert checked_policy(Policy(), {"max_time_s": 0.5}).min_time_s == 0.5
        assert checked_policy(Policy(), {"min_time_s": 90.0}).max_time_s == 90.0
        with pytest.raises(UserError, match="above max_time_s"):
            checked_policy(Policy(), {"min_time_s": 3.0, "max_time_s": 2.0})

    def test_a_number_of_processes_alone_is_the_number(self):
        assert checked_policy(Policy(), {"processes": 5}).max_processes == 5
        assert checked_policy(Policy(), {"processes": 20}).max_processes == 20
        assert checked_policy(Policy(), {"processes": 5, "max_processes": 9}).processes == 5

    def test_a_maximum_alone_moves_the_number_down_but_two_that_cross_are_refused(self):
        assert checked_policy(Policy(), {"max_processes": 8}).processes == 5
        assert checked_policy(Policy(), {"max_processes": 2}).processes == 2
        with pytest.raises(UserError, match="processes = 4 is above max_processes = 3"):
            checked_policy(Policy(), {"processes": 4, "max_processes": 3})


class TestSuites:
    def suite(self, tmp_path, text):
        file = tmp_path / "my.toml"
        file.write_text(text)
        return load_suite(str(file))

    def test_a_file_sets_policy_and_axes(self, tmp_path):
        suite = self.suite(
            tmp_path,
            'description = "d"\n[policy]\nprocesses = 5\n[[cases]]\nworkload = "gpt/train"\nbatch = [4, 8]\n'
            '[[cases]]\nworkload = "gemm"\ndtype = "bf16"\n',
        )
        plan = make_plan(from_suite(suite, KNOWN), {}, suite.policy)
        assert plan.policy.processes == 5
        assert [str(c) for c in plan.cases] == [
            "gpt/train size=nano batch=4 fp32", "gpt/train size=nano batch=8 fp32", "gemm m=64 bf16",
        ]  # fmt: skip
        assert [w.name for w, _ in from_suite(suite, KNOWN, ["gemm"])] == ["gemm"]
        with pytest.raises(UserError, match="suite my has no copy"):
            from_suite(suite, KNOWN, ["copy"])

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("cases = [", "not TOML"),
            ("", "no cases"),
            ("cases = []", "no cases"),
            ("cases = 3", "no cases"),
            ('[polcy]\n[[cases]]\nworkload="gemm"', "did you mean policy"),
            ('policy = 3\n[[cases]]\nworkload="gemm"', "policy must be a table"),
            ('[policy]\nprocesses = 0\n[[cases]]\nworkload="gemm"', "processes = 0"),
        ],
    )
    def test_a_file_that_is_broken_or_names_nothing_is_refused(self, tmp_path, text, says):
        with pytest.raises(UserError, match=says):
            self.suite(tmp_path, text)

    @pytest.mark.parametrize(
        ("case", "says"),
        [
            ("batch = 4", "unknown workload ''"),
            ('workload = "gem"', "did you mean gemm"),
            ('workload = "gemm"\nn = 4', "unknown axis 'n'"),
            ('workload = "gemm"\nm = 0', "from 1 to"),
            ('workload = "gemm"\nm = 1.5', "whole number"),
            ('workload = "gemm"\nm = []', "axis m has no value"),
        ],
    )
    def test_a_case_that_cannot_be_is_refused(self, tmp_path, case, says):
        with pytest.raises(UserError, match=says):
            make_plan(from_suite(self.suite(tmp_path, f"[[cases]]\n{case}\n"), KNOWN), {}, Policy())

    def test_unknown_suites_suggest_near_names(self, tmp_path):
        with pytest.raises(UserError, match="did you mean quick"):
            load_suite("quik")
        with pytest.raises(UserError, match="no such suite file"):
            load_suite(str(tmp_path / "absent.toml"))

    def test_every_suite_that_ships_makes_a_plan(self):
        known = discover()
        assert {"quick", "standard"} <= set(suite_names())
        for name in suite_names():
            suite = load_suite(name)
            assert suite.description
            assert make_plan(from_suite(suite, known), {}, suite.policy).cases


def test_a_boolean_in_a_suite_reads_as_on_the_command_line(tmp_path):
    @workload("x", compile=[False], layers=axis(None, kind=int))
    def build(p, device): ...

    file = tmp_path / "s.toml"
    file.write_text('[[cases]]\nworkload = "x"\ncompile = true\nlayers = 2\n')
    plan = make_plan(from_suite(load_suite(str(file)), {"x": build}), {}, Policy())
    assert plan.cases[0].params == {"compile": True, "layers": 2}
