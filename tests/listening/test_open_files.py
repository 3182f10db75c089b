"""How many connections fit under the system's limit of open files."""

from __future__ import annotations

import resource

import pytest

from gatepost.listening.open_files import connections_that_fit

UNLIMITED = resource.RLIM_INFINITY


class Limits:
    """The limits of a process, instead of this one's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, *, is_fixed: bool = False) -> None:
        self.soft, self.hard, self.is_fixed = soft, hard, is_fixed
        monkeypatch.setattr(resource, "getrlimit", self.get)
        monkeypatch.setattr(resource, "setrlimit", self.set)

    def get(self, kind: int) -> tuple[int, int]:
        assert kind == resource.RLIMIT_NOFILE
        return self.soft, self.hard

    def set(self, kind: int, limits: tuple[int, int]) -> None:
        assert kind == resource.RLIMIT_NOFILE
        if self.is_fixed:
            raise ValueError("not allowed to raise maximum limit")
        self.soft, self.hard = limits


@pytest.mark.parametrize(
    ("soft", "hard", "raised", "fits"),
    [
        (1024, 524_288, 10_256, 10_000),
        (256, UNLIMITED, 10_256, 10_000),
        (20_000, 20_000, 20_000, 10_000),
        (UNLIMITED, UNLIMITED, UNLIMITED, 10_000),
        (1024, 4096, 4096, 3840),
        (256, 256, 256, 128),
    ],
)
def test_the_soft_limit_is_raised_as_far_as_needed_and_the_hard_one_lets(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, raised: int, fits: int
) -> None:
    limits = Limits(monkeypatch, soft, hard)
    assert connections_that_fit(10_000) == fits
    assert (limits.soft, limits.hard) == (raised, hard)


def test_a_system_that_does_not_let_the_limit_be_raised_gets_fewer_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(monkeypatch, 1024, UNLIMITED, is_fixed=True)
    assert connections_that_fit(10_000) == 768
    assert limits.soft == 1024
