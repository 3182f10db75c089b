import pytest

from gatepost.oauth.errors import TooManyRequests
from gatepost.web.pages.login_throttle import AttemptsAtOnce


def test_a_browser_has_two_attempts_under_way_at_most() -> None:
    attempts = AttemptsAtOnce()
    with attempts.one_of("a"), attempts.one_of("a"):
        with pytest.raises(TooManyRequests) as refusal, attempts.one_of("a"):
            raise AssertionError
        assert refusal.value.retry_after == 5
        with attempts.one_of("b"):
            pass
    with attempts.one_of("a"), attempts.one_of("a"):
        pass
    assert attempts._under_way == {}


def test_an_attempt_that_fails_is_over() -> None:
    attempts = AttemptsAtOnce()
    for _ in range(3):
        with pytest.raises(LookupError), attempts.one_of("a"):
            raise LookupError
    assert attempts._under_way == {}
