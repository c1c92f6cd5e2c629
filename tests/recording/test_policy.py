import pytest

from hwbench.recording.policy import checked_policy
from hwbench.records import Policy, UserError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("processes", value) for value in (0, -1, 10**9, 1.5, True)),
        *(("min_time_s", value) for value in (-1.0, float("nan"), "long")),
        *(("max_time_s", value) for value in (0.0, float("inf"))),
        *(("min_samples", value) for value in (0, 10**400)),
        *(("precision", value) for value in (0, 2, "1%")),
        ("max_processes", 0),
        ("timeout_s", -5.0),
    ],
)
def test_number_outside_its_limits_is_refused(name, value):
    with pytest.raises(UserError, match=f"{name} = .*expected"):
        checked_policy(Policy(), {name: value})


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="did you mean processes"):
        checked_policy(Policy(), {"proceses": 2})


def test_one_bound_moves_the_other_but_two_that_cross_are_refused():
    assert checked_policy(Policy(), {"max_time_s": 0.5}).min_time_s == 0.5
    assert checked_policy(Policy(), {"min_time_s": 90.0}).max_time_s == 90.0
    with pytest.raises(UserError, match="above max_time_s"):
        checked_policy(Policy(), {"min_time_s": 3.0, "max_time_s": 2.0})


def test_processes_alone_means_exactly_that_many():
    assert checked_policy(Policy(), {"processes": 5}).max_processes == 5
    assert checked_policy(Policy(), {"processes": 20}).max_processes == 20
    assert checked_policy(Policy(), {"processes": 5, "max_processes": 9}).processes == 5


def test_a_maximum_alone_moves_the_number_down_but_two_that_cross_are_refused():
    assert checked_policy(Policy(), {"max_processes": 8}).processes == 5
    assert checked_policy(Policy(), {"max_processes": 2}).processes == 2
    with pytest.raises(UserError, match="processes = 4 is above max_processes = 3"):
        checked_policy(Policy(), {"processes": 4, "max_processes": 3})
