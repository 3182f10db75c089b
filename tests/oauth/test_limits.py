import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.oauth import limits
from gatepost.oauth.limits import (
    MICROSECONDS,
    MOST_BEGUN,
    REGISTRATIONS_OF_ALL,
    Rate,
    RegistrationBudget,
    Taken,
    Use,
    give_back,
    take,
)

LIMITS = Path(__file__).parents[2] / "docs" / "limits.md"
NOW = 1_800_000_000
TEN_PER_MINUTE = Use("key", Rate(10, 60))


def test_a_burst_is_allowed_and_one_more_is_told_when_to_come_back() -> None:
    spent = None
    for number in range(1, 11):
        taken = take(spent, TEN_PER_MINUTE, now=NOW)
        assert taken == Taken(NOW * MICROSECONDS + number * 6 * MICROSECONDS, wait=0)
        spent = taken.spent_until

    assert take(spent, TEN_PER_MINUTE, now=NOW) == Taken(spent or 0, wait=6)
    assert take(spent, TEN_PER_MINUTE, now=NOW + 5).wait == 1
    assert take(spent, TEN_PER_MINUTE, now=NOW + 6).wait == 0


def test_several_uses_at_once_cost_as_many_single_ones() -> None:
    at_once = take(None, Use("key", Rate(10, 60), count=3), now=NOW)

    spent = None
    for _ in range(3):
        spent = take(spent, TEN_PER_MINUTE, now=NOW).spent_until
    assert at_once == Taken(spent or 0, wait=0)


def test_a_use_that_does_not_divide_the_period_costs_whole_microseconds() -> None:
    assert Use("key", Rate(7, 60), count=2).microseconds == 17_142_857


@pytest.mark.parametrize("spent_until", [None, 0, (NOW - 1) * MICROSECONDS, NOW * MICROSECONDS])
def test_an_allowance_that_is_back_is_as_if_never_used(spent_until: int | None) -> None:
    assert take(spent_until, TEN_PER_MINUTE, now=NOW) == Taken((NOW + 6) * MICROSECONDS, wait=0)
    assert give_back(spent_until, TEN_PER_MINUTE, now=NOW) == NOW * MICROSECONDS


@pytest.mark.parametrize(("over", "wait"), [(0, 0), (1, 1), (MICROSECONDS, 1), (MICROSECONDS + 1, 2)])
def test_a_use_fits_to_the_microsecond_and_the_wait_is_whole_seconds(over: int, wait: int) -> None:
    full = (NOW + 54) * MICROSECONDS
    taken = take(full + over, TEN_PER_MINUTE, now=NOW)
    assert taken == Taken(full + over if wait else (NOW + 60) * MICROSECONDS, wait)


def test_a_use_that_is_given_back_is_as_if_it_had_not_been() -> None:
    before = take(None, Use("key", Rate(10, 60), count=3), now=NOW).spent_until
    after = take(before, TEN_PER_MINUTE, now=NOW + 1).spent_until
    assert give_back(after, TEN_PER_MINUTE, now=NOW + 1) == before
    # What is back already is not given once more.
    assert give_back(after, TEN_PER_MINUTE, now=NOW + 20) == (NOW + 20) * MICROSECONDS


def test_a_clock_that_was_set_back_shuts_nobody_out_for_longer_than_the_period() -> None:
    of_the_future = (NOW + 10_000) * MICROSECONDS
    assert take(of_the_future, TEN_PER_MINUTE, now=NOW) == Taken((NOW + 60) * MICROSECONDS, wait=6)
    assert give_back(of_the_future, TEN_PER_MINUTE, now=NOW) == (NOW + 54) * MICROSECONDS


def test_the_numbers_are_those_of_the_documentation() -> None:
    rows = re.findall(r"^\|[^|]+\|[^|]+\| ([\d,]+) \| (\d+) (min|h) \|$", LIMITS.read_text(), re.MULTILINE)
    documented = {
        Rate(int(uses.replace(",", "")), int(count) * {"min": 60, "h": 3600}[unit]) for uses, count, unit in rows
    }
    rates = {name: value for name, value in vars(limits).items() if name.isupper() and not isinstance(value, int)}
    assert documented == set(rates.values())


def test_what_strangers_may_register_together_is_multiplied_and_how_long_they_are_spared_is_not() -> None:
    assert RegistrationBudget() == RegistrationBudget(REGISTRATIONS_OF_ALL, most_unused=50_000, spared_seconds=3600)
    assert RegistrationBudget().times(3) == RegistrationBudget(Rate(9000, 600), 150_000, 3600)
    assert RegistrationBudget(spared_seconds=5).times(3).spared_seconds == 5


def test_of_what_was_begun_the_newest_hundred_thousand_are_kept() -> None:
    assert MOST_BEGUN == 100_000


def test_a_rate_is_multiplied_in_its_uses() -> None:
    assert Rate(10, 60).times(5) == Rate(50, 60)


@given(
    uses=st.integers(1, 50),
    period=st.integers(1, 3600),
    steps=st.lists(st.integers(0, 100), min_size=1, max_size=300),
)
def test_whatever_is_tried_no_stretch_of_time_sees_more_than_twice_the_limit_and_the_wait_is_true(
    uses: int, period: int, steps: list[int]
) -> None:
    """A burst of `uses`, and as many as refill during the period."""
    rate, now, spent = Rate(uses, period), NOW, None
    allowed: list[int] = []
    for step in steps:
        now += step
        taken = take(spent, Use("key", rate), now=now)
        spent = taken.spent_until
        if taken.wait == 0:
            allowed.append(now)
        else:
            assert 1 <= taken.wait <= period
            assert take(spent, Use("key", rate), now=now + taken.wait).wait == 0
    for begin in allowed:
        assert len([moment for moment in allowed if begin <= moment < begin + period]) <= 2 * uses
