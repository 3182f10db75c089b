"""What every test can rely on: a known environment, and one rule about services that may be missing."""

from __future__ import annotations

import inspect
import logging
import os
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Protocol

import pytest
from hypothesis import settings

from tests.patience import bounded

# Hypothesis gives an example 200 ms outside of CI, which a busy machine does not keep; how fast things are is measured
# in benchmarks/. The rest stays as it is there, or in CI.
settings.register_profile("untimed", parent=settings(), deadline=None)
settings.load_profile("untimed")

_OURS = ("GATEPOST_", "MCP_", "OAUTH_", "JWT_")


class RequireService(Protocol):
    """The type of the `require_service` fixture."""

    def __call__(self, name: str, *, available: bool) -> None:
        """Go on if the service is there; else skip, or fail where CI=true."""


@pytest.fixture(scope="session")
def require_service() -> RequireService:
    """Return a function that skips visibly when a service (a browser, a database) is missing.

    In CI a missing service is a failure: what was not run there was not checked.
    """

    def require(name: str, *, available: bool) -> None:
        if available:
            return
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is missing, and in CI nothing may be skipped", pytrace=False)
        pytest.skip(f"{name} is missing")

    return require


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """Undo what a command line does with the logs: its stream is closed when the test is over."""
    loggers = [logging.getLogger(name) for name in ("gatepost", "uvicorn")]
    before = [(logger.handlers, logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Refuse tests that share a node id: pytest-xdist knows tests by it, and would run one of them."""
    report = yield
    tests = Counter(node.nodeid for node in report.result if isinstance(node, pytest.Item))
    shared = [node_id for node_id, times in tests.items() if times > 1]
    if shared:
        report.outcome, report.result = "failed", []
        report.longrepr = "\n".join(["tests share a node id:", *shared])
    return report


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give every async test an end to its waiting."""
    if not isinstance(item, pytest.Function):
        return
    given = getattr(item.obj, "hypothesis", None)  # which calls what it was given for each example
    if given is None and inspect.iscoroutinefunction(item.obj):
        item.obj = bounded(item.obj)
    elif given is not None and inspect.iscoroutinefunction(given.inner_test) and not hasattr(given, "is_bounded"):
        given.inner_test = bounded(given.inner_test)
        given.is_bounded = True  # the other tests of the same function share it


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a worker process write down what it covered: pytest-xdist waits for its exit for a few seconds only."""
    if not hasattr(session.config, "workerinput"):
        return
    from coverage import Coverage  # noqa: PLC0415 - only where it may be at work

    measured = Coverage.current()
    if measured is not None:
        measured.save()


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, object, object]:
    """Escape what is no UTF-8: pytest-xdist refuses to send it between its processes, and tests log and print it."""
    return _escaped((yield))


def _escaped(value: object) -> object:
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case list() | tuple():
            return type(value)(map(_escaped, value))
        case dict():
            return {_escaped(name): _escaped(item) for name, item in value.items()}
    return value


@contextmanager
def no_settings_from_outside() -> Iterator[None]:
    """Hide the settings of whoever runs the tests, from the tests and from the servers they start."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.upper().startswith(_OURS)]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    with no_settings_from_outside():
        yield
