import pytest
from runs import measured

from hwbench.recording.matrix import Plan
from hwbench.recording.rounds import Rounds
from hwbench.records import Case, Measurement, Policy, Samples, Spans, Window

A, B = Case("a", {}, "fp32"), Case("b", {}, "fp32")


def stepped(step_s):
    samples = Samples(
        list(range(len(step_s))),
        [False] * len(step_s),
        [None] * len(step_s),
        step_s,
        [""] * len(step_s),
    )
    return Measurement("ok", window=Window("host", samples, Spans(), sum(step_s), converged=True))


def carry_out(step_s, **policy):
    """The rounds of cases A and B, whose processes have these median steps; None stands for a
    failure."""
    rounds, done = Rounds(Plan((A, B), Policy(**policy))), []
    left = {name: iter(values) for name, values in step_s.items()}
    for process, case in rounds:
        found = next(left[case.workload])
        rounds.add(
            case, Measurement("error", "x") if found is None else measured(step_s=found, steps=1)
        )
        done.append((process, case.workload))
    return rounds, done


def test_cases_without_noise_have_the_planned_rounds_interleaved():
    _, done = carry_out({"a": [1.0] * 9, "b": [2.0] * 9}, processes=2, max_processes=2)
    assert done == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]


def test_only_a_case_that_is_not_precise_goes_on_until_it_is():
    drifting = [1.0, 1.02, 1.01, 1.0, 1.02, *[1.01] * 9]
    _, done = carry_out({"a": drifting, "b": [1.0] * 9}, processes=5, max_processes=10)
    assert done[:10] == [(process, name) for process in range(5) for name in "ab"]
    assert done[10:] == [(5, "a")]  # t(5) · 0.0089/√6 is 0.94 %; of five processes it was 1.24 %


def test_interval_is_not_looked_at_before_five_processes():
    _, done = carry_out({"a": [1.0] * 9, "b": [1.0, None]}, processes=2, max_processes=10)
    assert [process for process, name in done if name == "a"] == [0, 1, 2, 3, 4]
    _, done = carry_out({"a": [1.0] * 9, "b": [1.0] * 9}, processes=2, max_processes=3)
    assert [process for process, name in done if name == "a"] == [0, 1, 2]


def test_max_processes_is_never_exceeded():
    rounds, done = carry_out(
        {"a": [1.0, 2.0] * 9, "b": [1.0, 3.0] * 9}, processes=3, max_processes=5
    )
    assert [process for process, name in done if name == "a"] == [0, 1, 2, 3, 4]
    assert len(done) == 10
    assert not rounds.is_precise(A)
    assert rounds.most_left(A) == rounds.fewest_left(A) == 0


def test_a_case_that_fails_is_not_tried_again():
    _, done = carry_out({"a": [1.0, None], "b": [1.0] * 9}, processes=3, max_processes=3)
    assert done == [(0, "a"), (0, "b"), (1, "a"), (1, "b"), (2, "b")]


def test_one_process_alone_is_never_precise():
    _, done = carry_out({"a": [1.0] * 9, "b": [1.0] * 9}, processes=1, max_processes=2)
    assert len(done) == 4


@pytest.mark.parametrize(
    ("taken", "fewest", "most"),
    [([], 5, 7), ([1.0] * 4, 1, 3), ([1.0] * 5, 0, 0), ([1, 2] * 3, 1, 1)],
)
def test_remaining_processes_are_known_as_a_range(taken, fewest, most):
    rounds = Rounds(Plan((A,), Policy(processes=5, max_processes=7)))
    for step_s in taken:
        rounds.add(A, measured(step_s=step_s, steps=1))
    assert (rounds.fewest_left(A), rounds.most_left(A)) == (fewest, most)


def test_a_maximum_below_the_minimum_does_not_count():
    rounds, _ = carry_out({"a": [1.0] * 9, "b": [1.0] * 9}, processes=4, max_processes=2)
    assert rounds.most == 4


def test_the_throughput_has_to_be_precise_too():
    """Medians that agree say nothing of a mean that a few slow steps move."""
    rounds = Rounds(Plan((A,), Policy(processes=5, max_processes=6)))
    for slowest in (1.0, 2.0, 1.0, 3.0, 1.0):
        rounds.add(A, stepped([0.1] * 9 + [slowest]))
    assert not rounds.is_precise(A)


class TestBudget:
    """Cases whose processes take 10 s each, on a clock of the test's own."""

    def carry_out(self, step_s, budget_s, took_s=10.0, **policy):
        now = [0.0]
        plan = Plan(
            (A, B), Policy(**{"processes": 3, "max_processes": 10, "budget_s": budget_s, **policy})
        )
        rounds, done = Rounds(plan, lambda: now[0]), []
        left = {name: iter(values) for name, values in step_s.items()}
        for process, case in rounds:
            found = next(left[case.workload])
            rounds.add(
                case,
                Measurement("error", "x") if found is None else measured(step_s=found, steps=1),
            )
            done.append((process, case.workload))
            now[0] += took_s
        return rounds, done

    def test_each_case_has_one_process_even_beyond_the_budget(self):
        rounds, done = self.carry_out({"a": [1.0] * 9, "b": [1.0] * 9}, budget_s=1.0)
        assert done == [(0, "a"), (0, "b")]
        assert rounds.cut() == [(A, 1), (B, 1)]

    def test_rounds_go_on_while_the_next_process_ends_in_time(self):
        rounds, done = self.carry_out({"a": [1.0] * 9, "b": [1.0] * 9}, budget_s=46.0)
        assert done == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]
        assert rounds.cut() == [(A, 2), (B, 2)]

    def test_remaining_budget_goes_to_the_widest_case(self):
        rounds, done = self.carry_out({"a": [1.0] * 9, "b": [1.0, 1.5] * 9}, budget_s=96.0)
        assert done[:6] == [(process, name) for process in range(3) for name in "ab"]
        assert done[6:] == [(3, "b"), (4, "b"), (5, "b")]  # a, of 0 %, has had three
        assert rounds.cut() == []

    def test_budget_is_not_used_up_when_all_cases_are_precise(self):
        _, done = self.carry_out({"a": [1.0] * 9, "b": [1.0] * 9}, budget_s=1e6)
        assert len(done) == 10

    def test_max_processes_is_never_exceeded(self):
        _, done = self.carry_out({"a": [1.0, 2.0] * 9, "b": [1.0] * 9}, budget_s=1e6)
        assert [process for process, name in done if name == "a"] == list(range(10))

    def test_a_case_that_fails_is_not_tried_again(self):
        rounds, done = self.carry_out({"a": [None], "b": [1.0] * 9}, budget_s=1e6)
        assert [name for _, name in done] == ["a", "b", "b", "b", "b", "b"]
        assert rounds.cut() == []
