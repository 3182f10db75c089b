"""The runner of the conformance suite: what counts as passed."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tools.conformance import authorization, browser, run, suite, through_front

FOLDER = Path(suite.__file__).parent
METADATA = "authorization-server-authorization-server-metadata-endpoint-2026-11-21T14-33-37-482Z"
CODE_GRANT = "authorization-server-authorization-code-grant-2026-11-21T14-33-37-547Z"
GOOD = {"id": "good", "status": "SUCCESS"}


def report(folder: Path, **scenarios: list[dict[str, Any]]) -> Path:
    """Write reports as the suite does."""
    for scenario, checks in scenarios.items():
        (folder / scenario).mkdir()
        (folder / scenario / "checks.json").write_text(json.dumps(checks))
    return folder


def test_a_warning_is_found_unless_it_is_about_an_extension(tmp_path: Path) -> None:
    checks = [
        GOOD,
        {"id": "told", "status": "INFO"},
        {"id": "bad", "status": "WARNING", "errorMessage": "It is not."},
        {"id": "silent", "status": "WARNING"},
    ]
    report(tmp_path, **{"server-tools-list": checks, "server-tasks-lifecycle": checks})

    assert list(run.warnings(tmp_path)) == ["bad: It is not.", "silent: "]


def test_every_package_of_the_suite_is_pinned_by_its_hash_and_names_no_host() -> None:
    text = (FOLDER / "package-lock.json").read_text()
    packages = json.loads(text)["packages"]

    assert packages[""]["dependencies"] == json.loads((FOLDER / "package.json").read_text())["dependencies"]
    assert [name for name, package in packages.items() if name and "integrity" not in package] == []
    assert "resolved" not in text


@pytest.mark.parametrize(
    ("exit_code", "problems", "passed"), [(0, [], True), (1, [], False), (0, ["warning: bad"], False)]
)
def test_a_part_passes_only_with_exit_code_zero_and_no_problem(
    exit_code: int,
    problems: list[str],
    passed: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(suite, "REPORTS", tmp_path)

    assert (
        suite.conclude("part", "much\n=== SUMMARY\n\x1b[32mfine\x1b[0m\n", exit_code=exit_code, problems=problems)
        == passed
    )

    assert (tmp_path / "part.txt").read_text() == "much\n=== SUMMARY\nfine\n"
    heading = f"\n== part: {'passed' if passed else 'FAILED'}"
    assert capsys.readouterr().out.splitlines() == [*heading.split("\n"), "=== SUMMARY", "fine", *problems]


def test_an_authorization_server_passes_with_a_success_in_every_scenario(tmp_path: Path) -> None:
    report(tmp_path, **{METADATA: [GOOD, {"id": "told", "status": "INFO"}], CODE_GRANT: [GOOD]})

    assert list(authorization.problems(tmp_path)) == []


@pytest.mark.parametrize("status", ["FAILURE", "WARNING", "SKIPPED"])
def test_what_an_authorization_server_did_not_pass_counts_even_beside_a_success(tmp_path: Path, status: str) -> None:
    report(tmp_path, **{METADATA: [GOOD, {"id": "bad", "status": status, "errorMessage": "No."}], CODE_GRANT: [GOOD]})

    assert list(authorization.problems(tmp_path)) == [f"{status.lower()}: bad: No."]


def test_a_skipped_scenario_for_authorization_servers_has_failed(tmp_path: Path) -> None:
    report(tmp_path, **{METADATA: [GOOD], CODE_GRANT: [{"id": "grant", "status": "SKIPPED"}]})

    assert list(authorization.problems(tmp_path)) == ["skipped: grant: ", "without a success: authorization-code-grant"]


def test_an_absent_scenario_for_authorization_servers_has_failed(tmp_path: Path) -> None:
    report(tmp_path, **{METADATA: [], "authorization-server-another-2026-11-21T14-33-37-547Z": [GOOD]})

    assert list(authorization.problems(tmp_path)) == [
        "without a success: authorization-server-metadata-endpoint",
        "without a success: authorization-code-grant",
    ]


def test_the_suite_is_ended_when_the_page_that_it_names_does_not_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authorization, "PACKAGES", tmp_path)
    origin = f"http://127.0.0.1:{suite.free_port()}"
    waits = f"import signal; print('{origin}/authorize?response_type=code', flush=True); signal.pause()"

    approve = partial(browser.log_in_and_approve, username="ada", password="secret")

    output, exit_code = authorization.converse([sys.executable, "-c", waits], origin, approve)

    first, second = output.splitlines()
    assert first == f"{origin}/authorize?response_type=code"
    assert second.startswith("The browser failed: ConnectError")
    assert exit_code != 0


def test_the_suite_is_ended_at_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authorization, "PACKAGES", tmp_path)
    monkeypatch.setattr(authorization, "DEADLINE", 0.0)

    output, exit_code = authorization.converse([sys.executable, "-c", "import signal; signal.pause()"], "unused", str)

    assert output == ""
    assert exit_code != 0


def test_a_form_is_found_by_its_controls_and_sends_what_is_hidden_or_ticked() -> None:
    page = """
      <form action="/search"><input name="q"></form>
      <form method="post" action="/consent?a=1&amp;b=2">
      <input type="hidden" name="csrf_token" value="&lt;1&gt;"> <input type="checkbox" name="read" value="yes" checked>
      <input type="checkbox" name="write" value="yes"> <button name="decision" value="deny">Deny</button>
      </form>"""

    assert browser.find_form(page, {"decision"}) == browser.Form(
        "/consent?a=1&b=2", {"csrf_token", "read", "write", "decision"}, {"csrf_token": "<1>", "read": "yes"}
    )
    assert browser.find_form(page, {"username", "password"}) is None


SCENARIO = "server-tools-list"


def ended(folder: Path, *checks: dict[str, Any]) -> through_front.Statuses:
    """Write the report of one scenario and read how its checks ended."""
    folder.mkdir()
    report(folder, **{f"{SCENARIO}-2026-11-21T14-33-37-482Z": list(checks)})
    return through_front.statuses(folder)


def test_how_checks_ended_is_read_by_scenario_and_check_without_what_only_tells(tmp_path: Path) -> None:
    bad = {"id": "good", "status": "FAILURE"}

    found = ended(tmp_path / "run", GOOD, bad, {"id": "told", "status": "INFO"})

    assert found == {(SCENARIO, "good"): {"SUCCESS", "FAILURE"}}


def test_a_check_that_ends_otherwise_or_is_missing_is_a_difference(tmp_path: Path) -> None:
    direct = ended(tmp_path / "direct", GOOD, {"id": "same", "status": "SKIPPED"}, {"id": "gone", "status": "SUCCESS"})
    through = ended(tmp_path / "through", {"id": "good", "status": "WARNING"}, {"id": "same", "status": "SKIPPED"})

    assert through_front.differences(direct, through) == {
        (SCENARIO, "good"): "success, through a front warning",
        (SCENARIO, "gone"): "success, through a front absent",
    }


def test_a_difference_has_to_be_listed_and_what_is_listed_has_to_differ() -> None:
    found = {(SCENARIO, "good"): "success, through a front failure", (SCENARIO, "known"): "any"}

    assert list(through_front.unexpected(found, {SCENARIO: frozenset({"known", "mended"})})) == [
        "server-tools-list: good: success, through a front failure",
        "server-tools-list: mended: listed as a difference, and ends as in the direct run",
    ]


def test_every_scenario_that_may_differ_behind_a_front_is_explained() -> None:
    text = (suite.ROOT / "docs" / "front.md").read_text()

    for scenarios in through_front.DIFFERENCES.values():
        for scenario in scenarios:
            assert f"| `{scenario.removeprefix('server-')}` |" in text
