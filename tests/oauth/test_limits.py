from hypothesis import given
from hypothesis import strategies as st

from gatepost.oauth.limits import MICROSECONDS, Rate, Taken, Use, take

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
