from pathlib import Path

import pytest

from hwbench.discovery import discover
from hwbench.recording import sizing
from hwbench.recording.matrix import make_plan
from hwbench.recording.sizing import Searcher, Tried, is_size, largest, remembered_sizes, try_out
from hwbench.records import Policy, UserError
from hwbench.workload import axis, workload

FILE = str(Path(__file__).parent.with_name("fake_workloads.py"))
POLICY = Policy(processes=1, max_processes=1, timeout_s=60.0)
FOUND = {"name": "Fake device", "memory_bytes": 1 << 30}


def device_of(limit, peak=lambda value: 100 * value, outcome="oom"):
    """An attempt on a device of `limit`, which keeps what was tried in `.tried`."""

    def attempt(value):
        attempt.tried.append(value)
        return (
            Tried("ok", peak_bytes=peak(value))
            if peak(value) <= limit
            else Tried(outcome, "no memory")
        )

    attempt.tried = []
    return attempt


class TestLargest:
    @pytest.mark.parametrize("fits", [1, 2, 3, 7, 8, 9, 24, 31])
    def test_largest_is_exact_below_the_resolution(self, fits):
        assert largest(device_of(100 * fits), 1, 1 << 20) == fits
        assert largest(device_of(100 * fits + 99), 1, 1 << 20, limit_bytes=100 * fits + 99) == fits

    @pytest.mark.parametrize("fits", [100, 1000, 5000])
    def test_largest_is_near_above_the_resolution(self, fits):
        found = largest(device_of(100 * fits), 1, 1 << 20)
        assert fits * (1 - 2 / 32) < found <= fits

    def test_known_limit_saves_tries(self):
        blind, told = (
            device_of(50 * 100 + 4000, lambda v: 4000 + 100 * v),
            device_of(9000, lambda v: 4000 + 100 * v),
        )
        assert largest(blind, 1, 1 << 20) in (49, 50)
        assert largest(told, 1, 1 << 20, limit_bytes=9000) == 50
        assert told.tried[:3] == [1, 2, 50]
        assert len(told.tried) < len(blind.tried)

    def test_constant_peaks_give_no_guess(self):
        flat = device_of(900, lambda value: max(500, 100 * value))
        assert largest(flat, 1, 64, limit_bytes=900) == 9
        assert flat.tried[:4] == [1, 2, 4, 8]

    def test_wrong_guess_does_not_change_the_answer(self):
        assert (
            largest(device_of(1600, lambda value: value * value * 10), 1, 64, limit_bytes=100_000)
            == 12
        )

    def test_none_if_not_even_the_least_fits(self):
        attempt = device_of(0)
        assert largest(attempt, 1, 64) is None
        assert attempt.tried == [1]

    def test_axis_maximum_is_never_exceeded(self):
        attempt = device_of(10**9)
        assert largest(attempt, 1, 48) == 48
        assert max(attempt.tried) == 48

    @pytest.mark.parametrize("outcome", ["oom", "unsupported", "timeout"])
    def test_failed_outcome_does_not_fit(self, outcome):
        assert largest(device_of(500, outcome=outcome), 1, 64) == 5

    def test_error_ends_the_search_with_the_largest_that_fitted(self):
        attempt = device_of(500, outcome="error")
        assert largest(attempt, 1, 64) == 4
        assert attempt.tried == [1, 2, 4, 8]


class TestAxis:
    def plan(self, **settings):
        known = discover([FILE], ["fake/sized"])["fake/sized"]
        return make_plan(
            [(known, {})], {name: [str(value)] for name, value in settings.items()}, POLICY
        )

    def test_max_needs_an_axis_with_largest(self):
        (case,) = self.plan(batch="max").cases
        assert case.params["batch"] == "max"
        assert self.plan(batch="max").searched == {case.case_id: ("batch", 1, 1 << 20)}
        assert self.plan(batch=3).searched == {}
        with pytest.raises(UserError, match="mib=max: expected a whole number"):
            self.plan(mib="max")
        with pytest.raises(UserError, match="batch=most: expected a whole number, or max"):
            self.plan(batch="most")

    def test_two_axes_at_max_are_refused(self):
        @workload("two", batch=axis(1, largest=True), seq=axis(1, largest=True))
        def build(p, device): ...

        with pytest.raises(UserError, match="two: batch and seq cannot be max at once"):
            make_plan([(build, {})], {"batch": ["max"], "seq": ["max"]}, POLICY)


class TestSearcher:
    def searcher(self, results, told=None, info=FOUND, warn=print):
        sizes = remembered_sizes(results, info, {"torch": "2"}, POLICY.timeout_s, warn)
        tell = (told if told is not None else []).append
        return Searcher("fake", [FILE], info, sizes, tell)

    def resolved(self, results, told=None, **settings):
        return self.searcher(results, told).resolve(TestAxis().plan(batch="max", **settings))

    def test_search_with_real_processes_finds_the_number(self, tmp_path):
        told = []
        (case,) = self.resolved(tmp_path, told, mib=300).cases
        assert str(case) == "fake/sized batch=3 mib=300 bad=0 fp32"
        label = "fake/sized batch=max mib=300 bad=0 fp32"
        memory_error = "MemoryError: fake device out of memory: 1258291200 of 107…"
        assert told == [
            f"{label}: batch=1 fits (0.29 GiB at its peak)",
            f"{label}: batch=2 fits (0.59 GiB at its peak)",
            f"{label}: batch=4 does not: oom: {memory_error}",
            f"{label}: batch=3 fits (0.88 GiB at its peak)",
            f"{label}: batch=3 is the largest",
        ]

    def test_size_is_remembered_for_case_device_and_versions(self, tmp_path, monkeypatch):
        self.resolved(tmp_path, mib=600)
        monkeypatch.setattr(sizing, "try_out", lambda *_: pytest.fail("searched again"))
        told = []
        (case,) = self.resolved(tmp_path, told, mib=600).cases
        assert case.params["batch"] == 1
        assert "remembered in" in told[0]
        monkeypatch.setattr(sizing, "try_out", lambda *_: Tried("oom", "no"))
        searched = []
        other = self.searcher(tmp_path, searched, {**FOUND, "memory_bytes": 5})
        other.resolve(TestAxis().plan(batch="max", mib=600))
        assert "does not" in searched[0]

    def test_least_value_stays_unremembered_if_nothing_fits(self, tmp_path):
        told = []
        (case,) = self.resolved(tmp_path, told, mib=2000).cases
        assert case.params["batch"] == 1
        assert told[-1].endswith("not even batch=1 fits")
        assert not (tmp_path / sizing.FILE).exists()

    def test_equal_cases_after_the_search_become_one(self, tmp_path, monkeypatch):
        def four_fit(case, *_):
            return Tried("ok" if case.params["batch"] <= 4 else "oom")

        monkeypatch.setattr(sizing, "try_out", four_fit)
        known = discover([FILE], ["fake/sized"])["fake/sized"]
        plan = make_plan([(known, {})], {"batch": ["4", "max"]}, POLICY)
        resolved = self.searcher(tmp_path).resolve(plan)
        assert [case.params["batch"] for case in resolved.cases] == [4]

    def test_a_plan_without_max_stays_as_it_is(self, tmp_path):
        plan = TestAxis().plan(batch=2)
        assert self.searcher(tmp_path).resolve(plan) == plan

    def test_a_case_that_fails_says_why(self):
        (case,) = TestAxis().plan(batch=2, bad=2).cases
        tried = try_out(case, POLICY, "fake", [FILE])
        assert (tried.outcome, tried.reason) == ("error", "ValueError: this batch is bad")


def test_a_size_is_a_whole_number_above_zero():
    sizes = [answer for answer in (1, 0, True, "1", None) if is_size(answer)]
    assert sizes == [1]
