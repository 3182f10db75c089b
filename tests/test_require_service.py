"""A missing service is a visible skip on a developer's machine and a failure in CI."""

from __future__ import annotations

import pytest

from tests.conftest import RequireService


def test_a_service_that_is_there_is_used(require_service: RequireService) -> None:
    try:
        require_service("the service", available=True)
    except pytest.skip.Exception:
        pytest.fail("it was skipped")


def test_a_missing_service_skips_and_says_so(require_service: RequireService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match="^the service is missing$"):
        require_service("the service", available=False)


def test_a_missing_service_fails_in_ci(require_service: RequireService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")

    with pytest.raises(pytest.fail.Exception, match="the service is missing, and in CI nothing may be skipped"):
        require_service("the service", available=False)
