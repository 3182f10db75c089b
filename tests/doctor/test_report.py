"""What is printed: for people, without a colour where none is wanted; and for programs."""

from __future__ import annotations

import json
import re
from pathlib import Path

from gatepost.doctor.answers import ProbeAnswer
from gatepost.doctor.clients import BY_ID, CLIENTS, EVERYBODY
from gatepost.doctor.examination import STEPS, diagnose
from gatepost.doctor.report import json_of, text_of
from gatepost.doctor.seen import Seen

URL = "https://mcp.example.com/mcp"
CHECKS = [check for step in STEPS for check in step.checks]
PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"


def redirected() -> Seen:
    """What a server was that redirects."""
    moved = ProbeAnswer(method="POST", url=URL, status=307, headers=[("location", f"{URL}/")])
    return Seen(URL, initialize=moved)


def test_a_finding_is_told_with_what_was_seen_why_and_what_to_change() -> None:
    lines = text_of(diagnose(redirected())).splitlines()

    start = lines.index("  FAILS     no-redirect")
    assert lines[start : start + 10] == [
        "  FAILS     no-redirect",
        "            expected  the URL answers by itself and does not redirect",
        "            seen      POST /mcp: 307 to https://mcp.example.com/mcp/",
        "            why       Clients drop the Authorization header or the body when they follow a redirect,",
        "                      and then log in again and again.",
        "            change    Serve the path with and without the slash at its end, or give people the URL",
        "                      that it leads to. Starlette and FastAPI: redirect_slashes=False, or mount at",
        "                      the exact path.",
        "            who       every client",
        "  -         slash-variant: the other spelling of the URL, with or without a slash at its end, does",
    ]


def test_each_client_has_a_line_that_says_where_it_fails() -> None:
    lines = text_of(diagnose(redirected())).splitlines()

    clients = lines[lines.index("Who can connect") + 1 : -3]
    assert [line.split("  ")[1] for line in clients if line.startswith("  FAILS")] == ["FAILS"] * len(CLIENTS)
    assert clients[:2] == [
        "  FAILS     codex 0.171                   at no-redirect: POST /mcp: 307 to",
        "                                          https://mcp.example.com/mcp/",
    ]
    assert lines[-2:] == [
        "1 thing would fail.",
        "No registration was tried, so nothing is known of registering and of logins that begin with it.",
    ]


def test_colour_changes_nothing_but_colour() -> None:
    diagnosis = diagnose(redirected())
    coloured = text_of(diagnosis, in_colour=True)

    assert "\x1b[31mFAILS" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == text_of(diagnosis)


def test_programs_are_told_the_same() -> None:
    told = json.loads(json_of(diagnose(redirected())))

    assert told["url"] == URL
    assert told["fails"] is True
    assert [finding["id"] for finding in told["findings"]] == ["no-redirect"]
    assert told["findings"][0]["severity"] == "fails"
    assert told["findings"][0]["seen"] == "POST /mcp: 307 to https://mcp.example.com/mcp/"
    assert told["findings"][0]["clients"] == list(EVERYBODY)
    assert {check["id"]: check["result"] for check in told["checks"]}["no-redirect"] == "fails"
    assert {check["id"]: check["result"] for check in told["checks"]}["slash-variant"] == "not looked at"
    assert told["clients"][0] == {
        "id": "codex",
        "name": "codex 0.171",
        "basis": "recorded",
        "connects": False,
        "reachable": True,
        "fails_at": "no-redirect",
        "seen": "POST /mcp: 307 to https://mcp.example.com/mcp/",
        "remarks": 0,
    }


def test_ids_are_stable_words_and_each_means_one_check() -> None:
    identifiers = [check.id for check in CHECKS]

    assert len(set(identifiers)) == len(identifiers)
    assert [each for each in identifiers if re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", each) is None] == []


def test_the_page_lists_every_check_and_every_client() -> None:
    rows = dict(
        re.findall(r"^\| `([a-z0-9][a-z0-9-]*)` \| ([^|]+?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    )
    clients = re.findall(r"^\| ([^|`]+?) \| (?:recorded|told) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert rows == {check.id: check.title[0].upper() + check.title[1:] for check in CHECKS}
    assert clients == [client.title for client in BY_ID.values()]


def test_the_requests_are_those_of_the_recordings() -> None:
    """What was recorded of registrations is what the doctor sends, but for the name and what is not told apart."""
    scopes = ["notes:read", "notes:write", "notes:admin"]
    recorded = {
        "codex": {"scope": " ".join(scopes), "application_type": "native"},
        "claude-code": {"scope": " ".join(scopes), "application_type": "native"},
        "copilot-cli": {},
        "gemini-cli": {"scope": " ".join(scopes)},
        "opencode": {"scope": " ".join(scopes)},
        "mcp-remote": {"scope": " ".join(scopes), "application_type": "native"},
    }
    common = {
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }
    for identifier, particular in recorded.items():
        client = BY_ID[identifier]
        expected = {
            **common,
            **particular,
            "client_name": f"gatepost doctor, as {client.name}",
            "redirect_uris": list(client.redirect_uris),
        }
        assert client.registration(scopes) == expected
