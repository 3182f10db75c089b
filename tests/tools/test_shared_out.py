"""The tests themselves, when they are shared out among processes."""

from __future__ import annotations

import pytest
from execnet.gateway_base import dumps


class Named(pytest.Collector):
    """A file with one test of each name."""

    names: tuple[str, ...]

    def collect(self) -> list[pytest.Item]:
        return [OneTest.from_parent(self, name=name) for name in self.names]


class OneTest(pytest.Item):
    """A test that is not run."""

    def runtest(self) -> None:
        raise NotImplementedError


def collected(names: tuple[str, ...], request: pytest.FixtureRequest) -> pytest.CollectReport:
    file = Named.from_parent(request.session, name="file", nodeid="tests/test_any.py")
    file.names = names
    report: pytest.CollectReport = request.config.hook.pytest_make_collect_report(collector=file)
    return report


def test_tests_that_share_a_node_id_are_refused_by_name(request: pytest.FixtureRequest) -> None:
    report = collected(("test_one", "test_two", "test_one"), request)

    assert (report.outcome, report.result) == ("failed", [])
    assert report.longrepr == "tests share a node id:\ntests/test_any.py::test_one"


def test_tests_of_different_node_ids_are_collected(request: pytest.FixtureRequest) -> None:
    report = collected(("test_one", "test_two"), request)

    assert (report.outcome, [test.name for test in report.result]) == ("passed", ["test_one", "test_two"])


def test_what_a_test_logged_is_sent_between_processes_even_if_it_is_no_utf_8(request: pytest.FixtureRequest) -> None:
    report = pytest.TestReport(
        "tests/test_any.py::test",
        ("tests/test_any.py", 1, "test"),
        {},
        "failed",
        "assert '\ud800'",
        "call",
        [("Captured log call", "sent \ud800 and \u00e9")],
    )

    sent = request.config.hook.pytest_report_to_serializable(config=request.config, report=report)

    assert dumps(sent)
    assert sent["longrepr"] == "assert '\\ud800'"
    assert sent["sections"] == [("Captured log call", "sent \\ud800 and \u00e9")]
