import pytest

from hwbench.discovery import discover
from hwbench.recording.matrix import make_plan
from hwbench.recording.suites import from_suite, load_suite, suite_names
from hwbench.records import Policy, UserError
from hwbench.workload import axis, workload


@workload("gpt/train", size=["nano"], batch=[1, 2], dtype=["fp32"])
def train(p, device): ...


@workload("gemm", m=[64], dtype=["fp32", "bf16"])
def gemm(p, device): ...


KNOWN = {"gpt/train": train, "gemm": gemm}


class TestSuites:
    def suite(self, tmp_path, text):
        file = tmp_path / "my.toml"
        file.write_text(text)
        return load_suite(str(file))

    def test_a_file_sets_policy_and_axes(self, tmp_path):
        suite = self.suite(
            tmp_path,
            'description = "d"\n[policy]\nprocesses = 5\n'
            '[[cases]]\nworkload = "gpt/train"\nbatch = [4, 8]\n'
            '[[cases]]\nworkload = "gemm"\ndtype = "bf16"\n',
        )
        plan = make_plan(from_suite(suite, KNOWN), {}, suite.policy)
        assert plan.policy.processes == 5
        assert [str(c) for c in plan.cases] == [
            "gpt/train size=nano batch=4 fp32",
            "gpt/train size=nano batch=8 fp32",
            "gemm m=64 bf16",
        ]
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
    def test_impossible_case_is_refused(self, tmp_path, case, says):
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
