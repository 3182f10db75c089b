import asyncio
import io
import json
import sys
import time
from pathlib import Path

import pytest

from gatepost.cli.main import main
from gatepost.oauth.audit import AuditEvent, Outcome
from gatepost.stores.conformance.records import NOW, audit_record
from gatepost.stores.sql.sqlite import file_store


@pytest.fixture(autouse=True)
def database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MCP_STORAGE_URL", f"sqlite:///{tmp_path / 'gatepost.db'}")
    return tmp_path / "gatepost.db"


@pytest.fixture
def trail(database: Path) -> None:
    async def fill() -> None:
        store = file_store(database)
        await store.open()
        refused = audit_record(
            2, event=AuditEvent.CONSENT, outcome=Outcome.REFUSED, reason="user_denied", subject="user-2"
        )
        await store.audit.append_events([audit_record(1), refused, audit_record(3, at=int(time.time()))])
        await store.close()

    asyncio.run(fill())


@pytest.mark.usefixtures("trail")
def test_the_trail_is_a_table_with_the_newest_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit"]) == 0

    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["TIME", "EVENT", "OUTCOME", "REASON", "SUBJECT", "CLIENT", "ADDRESS", "GRANT", "BY"]
    assert len(rows) == 3
    assert "2027-01-15T08:00:00Z  consent  refused  user_denied  user-2   client-1  192.0.2.1  -      -" in rows


@pytest.mark.usefixtures("trail")
def test_the_trail_is_json_lines_with_filters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--json", "--subject", "user-2", "--since", "2027-01-15", "--outcome", "refused"]) == 0

    [line] = capsys.readouterr().out.splitlines()
    event = json.loads(line)
    assert event == {
        "event_id": f"{NOW:010x}" + "000002" + "00" * 6,
        "at": "2027-01-15T08:00:00Z",
        "event": "consent",
        "outcome": "refused",
        "reason": "user_denied",
        "subject": "user-2",
        "client_id": "client-1",
        "address": "192.0.2.1",
        "grant_id": None,
        "actor": None,
    }


@pytest.mark.usefixtures("trail")
@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["--limit", "1"], 1),
        (["--limit", "0"], 3),
        (["--event", "login"], 2),
        (["--until", "2027-01-15"], 1),
        (["--address", "192.0.2.1", "--until", "2027-01-16"], 3),
        (["--address", "terminal"], 0),
        (["--actor", "user-1"], 0),
        (["--client", "client-1", "--limit", "2"], 2),
    ],
)
def test_as_many_as_asked_for(arguments: list[str], count: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--json", *arguments]) == 0
    assert len(capsys.readouterr().out.splitlines()) == count


@pytest.mark.usefixtures("trail")
def test_a_long_trail_is_read_page_by_page(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("gatepost.cli.audit._PAGE", 1)

    assert main(["audit", "--json", "--limit", "0"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_since_takes_a_stretch_of_time_and_a_wrong_one_is_told(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database.touch()
    assert main(["audit", "--since", "24h"]) == 0
    assert capsys.readouterr().out.startswith(f"There are no such events in {database} ")
    assert main(["audit", "--since", "2026-11-21T09:30+01:00"]) == 0
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["audit", "--since", "yesterday"])
    assert "a stretch of time such as 24h" in capsys.readouterr().err


def test_an_event_that_there_is_not_is_told_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["audit", "--event", "logins"])
    assert "'login', 'logout'" in capsys.readouterr().err


def test_what_is_done_to_tokens_grants_and_keys_from_the_terminal_is_in_the_trail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OAUTH_ACCESS_TOKEN_FORMAT", "jwt")
    for number in range(2):
        main(["token", "mint", "--subject", f"svc-{number}", "--scope", "a"])
    capsys.readouterr()
    main(["grants", "list", "--json"])
    by_user = {grant["user"]: grant["grant"] for grant in map(json.loads, capsys.readouterr().out.splitlines())}
    main(["grants", "revoke", by_user["svc-0"]])
    main(["grants", "revoke", "--user", "svc-1"])
    main(["keys", "rotate", "--now"])
    capsys.readouterr()
    main(["keys", "list", "--json"])
    old = json.loads(capsys.readouterr().out.splitlines()[0])["key"]
    main(["keys", "retire", old])
    capsys.readouterr()

    main(["audit", "--json"])
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()][::-1]
    assert [(event["event"], event["reason"], event["subject"], event["grant_id"]) for event in events] == [
        ("token_minted", None, "svc-0", by_user["svc-0"]),
        ("token_minted", None, "svc-1", by_user["svc-1"]),
        ("revocation", "operator_revoked", "svc-0", by_user["svc-0"]),
        ("revocation", "operator_revoked", "svc-1", by_user["svc-1"]),
        ("signing_key_rotated", None, None, None),
        ("signing_key_retired", None, None, None),
    ]
    assert {event["address"] for event in events} == {"terminal"}


def test_what_is_done_to_accounts_from_the_terminal_is_in_the_trail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["add", "ada", "--password-stdin"], ["disable", "ada"], ["disable", "nobody"], ["enable", "ada"]):
        monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse battery staple\n"))
        main(["users", *command])
    capsys.readouterr()

    assert main(["audit", "--json"]) == 0

    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {event["event"] for event in events} == {"user_added", "user_disabled", "user_enabled"}
    assert {event["address"] for event in events} == {"terminal"}
    assert all(event["subject"].startswith("user_") for event in events)
