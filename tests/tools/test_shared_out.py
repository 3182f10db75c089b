"""The tests themselves, when they are shared out among processes."""

from __future__ import annotations

import pytest
from execnet.gateway_base import dumps


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
