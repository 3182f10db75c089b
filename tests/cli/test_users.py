"""`gatepost users …` on the store that the server uses: links, roles, passwords, second steps."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from gatepost.cli.main import main
from gatepost.cli.open_store import with_store
from gatepost.resource.profile import Profile
from gatepost.stores.conformance.records import session
from gatepost.stores.contract.account_links import AccountLink
from gatepost.stores.contract.linked_logins import LinkedLogin
from gatepost.stores.contract.second_steps import SecondStep
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import User
from gatepost.tokens.opaque import fingerprint
from tests.web.pages.pages_world import PASSWORD

BASE = "http://127.0.0.1:8000/oauth/account/link?token="


@pytest.fixture(autouse=True)
def _ada(own_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert own_store.exists()
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD))
    assert main(["users", "add", "ada", "--password-stdin"]) == 0
    capsys.readouterr()


def offered(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """Return the token of the link that a command prints."""
    assert main(["users", *command]) == 0
    link = capsys.readouterr().out.strip()
    assert link.startswith(BASE + "gp_al_")
    return link.removeprefix(BASE)


def test_links_are_for_one_person_for_some_hours_and_kept_as_fingerprints(
    capsys: pytest.CaptureFixture[str], own_store: Path
) -> None:
    tokens = [
        offered(capsys, *command)
        for command in (["invite"], ["invite", "--name", "BOB", "--hours", "1"], ["reset", "Ada"])
    ]

    async def find(store: Store) -> list[AccountLink | None]:
        return [await store.account_links.find_link(fingerprint(token), now=0) for token in tokens]

    found = with_store(find)
    told = [link and (link.username, link.subject is not None, link.expires_at - link.created_at) for link in found]
    assert told == [(None, False, 86_400), ("bob", False, 3600), ("ada", True, 86_400)]
    stored = b"".join(path.read_bytes() for path in own_store.parent.iterdir())
    assert not any(token.encode() in stored for token in tokens)
    main(["audit"])
    events = capsys.readouterr().out
    assert (events.count("user_invited"), events.count("password_reset_offered")) == (2, 1)


@pytest.mark.parametrize(
    ("command", "public_url", "told"),
    [
        (["invite"], None, "for 24 hours, at the server http://127.0.0.1:8000."),
        (["reset", "ada", "--hours", "1"], "http://localhost:9000", "for 1 hour, at the server http://localhost:9000."),
    ],
)
def test_whoever_makes_a_link_is_told_for_how_long_and_where_it_works(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    public_url: str | None,
    told: str,
) -> None:
    if public_url is not None:
        monkeypatch.setenv("MCP_PUBLIC_URL", public_url)
    assert main(["users", *command]) == 0
    printed = capsys.readouterr()
    (sentence,) = (line for line in printed.err.splitlines() if line.startswith("gatepost: "))
    assert sentence == (
        f"gatepost: It works once, {told} If yours is known by another address, put that in place of this one, or set "
        "MCP_PUBLIC_URL to it here, too."
    )
    assert printed.out.startswith(public_url or "http://127.0.0.1:8000")
    assert printed.out.count("\n") == 1, "the link alone, for programs"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["invite", "--name", "ada"], "There is an account ada already"),
        (["invite", "--name", "no name"], "A username has letters"),
        (["reset", "nobody"], "There is no account nobody"),
        (["reset", "ada"], "ada is disabled"),
    ],
)
def test_a_link_that_would_be_of_no_use_is_not_made(
    capsys: pytest.CaptureFixture[str], command: list[str], told: str
) -> None:
    if command == ["reset", "ada"]:
        main(["users", "disable", "ada"])
    assert main(["users", *command]) == 1
    assert told in capsys.readouterr().err


def roles(capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    capsys.readouterr()
    assert main(["users", "list", "--json"]) == 0
    return {user["name"]: user["roles"] for user in map(json.loads, capsys.readouterr().out.splitlines())}


def test_roles_are_given_with_the_account_or_later_and_taken_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD))
    assert main(["users", "add", "grace", "--password-stdin", "--role", "user", "--role", "admin"]) == 0
    assert main(["users", "role", "Ada", "add", "admin"]) == 0
    assert roles(capsys) == {"ada": ["admin"], "grace": ["admin", "user"]}

    assert main(["users", "role", "grace", "remove", "admin"]) == 0
    assert main(["users", "role", "nobody", "add", "admin"]) == 1
    assert capsys.readouterr().out.startswith("grace is not given the role admin any more")
    assert roles(capsys) == {"ada": ["admin"], "grace": ["user"]}

    main(["audit", "--json"])
    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert (events.count("role_given"), events.count("role_taken")) == (1, 1)


def test_what_cannot_be_a_role_is_refused_with_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["users", "role", "ada", "add", "Admin people"])
    assert "takes a lower-case letter" in capsys.readouterr().err
    assert roles(capsys) == {"ada": []}


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    capsys.readouterr()
    assert main(["users", "list", "--json"]) == 0
    return {user["name"]: user for user in map(json.loads, capsys.readouterr().out.splitlines())}


async def ada(store: Store) -> User:
    user = await store.users.find_user("ada")
    assert user is not None
    return user


def test_the_second_step_is_turned_off_for_who_lost_it_and_that_is_in_the_audit_trail(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def set_up(store: Store) -> None:
        step = SecondStep((await ada(store)).subject, "step_1", b"sealed", last_time_step=1, created_at=1)
        assert await store.second_steps.set_up(step, recovery_codes=[b"1"])

    with_store(set_up)
    assert listed(capsys)["ada"]["second_step"] == "on"

    assert main(["users", "second-step", "Ada", "off"]) == 0

    assert "Turned the second step of ada off" in capsys.readouterr().out
    assert listed(capsys)["ada"]["second_step"] is None
    assert main(["users", "second-step", "ada", "off"]) == 1
    assert "ada has no second step." in capsys.readouterr().err
    assert main(["users", "second-step", "nobody", "off"]) == 1
    assert "There is no account nobody" in capsys.readouterr().err
    main(["audit", "--event", "second_step_turned_off", "--json"])
    (event,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (event["subject"], event["address"], event["outcome"]) == (
        with_store(ada).subject,
        "terminal",
        "ok",
    )


@pytest.mark.parametrize("by", ["name", "subject"])
def test_a_password_that_is_made_of_the_name_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    before = with_store(ada)
    monkeypatch.setattr("sys.stdin", io.StringIO("ada-ada-ada-ada"))

    assert main(["users", "passwd", "ada" if by == "name" else before.subject, "--password-stdin"]) == 1

    assert "too easy to guess" in capsys.readouterr().err
    assert with_store(ada) == before


def test_nobody_is_asked_for_the_password_of_an_account_that_there_is_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert main(["users", "passwd", "nobody", "--password-stdin"]) == 1
    assert "There is no account nobody" in capsys.readouterr().err


def test_the_list_says_what_an_issuer_says_and_no_words_of_its_move_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    profile = Profile("eve@example.com", groups=("staff", "\x1b[2Jroot"))

    async def log_in(store: Store) -> None:
        await store.users.recognise_user(
            "https://idp.example", "eve", display_name="Eve", subjects=["user_eve"], now=1, profile=profile
        )

    with_store(log_in)

    eve = listed(capsys)["Eve"]
    assert (eve["email"], eve["groups"], eve["second_step"]) == ("eve@example.com", ["staff", "\x1b[2Jroot"], None)
    main(["users", "list"])
    text = capsys.readouterr().out
    assert "eve@example.com" in text
    assert "staff \ufffd[2Jroot" in text
    assert "\x1b" not in text


def test_a_person_is_logged_out_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    async def log_in(store: Store) -> None:
        user = await store.users.find_user("ada")
        assert user is not None
        for name in ("one", "two"):
            await store.browser_sessions.start_session(session(name, subject=user.subject, expires_at=2**40))

    with_store(log_in)
    for ended in ("2 logins", "0 logins"):
        assert main(["users", "end-sessions", "ada"]) == 0
        assert f"Ended {ended} of ada; apps stay connected." in capsys.readouterr().out

    main(["audit", "--event", "sessions_ended", "--json"])
    [event] = capsys.readouterr().out.splitlines()
    assert (json.loads(event)["address"], json.loads(event)["actor"]) == ("terminal", None)


def test_a_person_is_shown_as_on_their_admin_page(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fill(store: Store) -> str:
        user = await store.users.find_user("ada")
        assert user is not None
        await store.users.give_role(user.subject, "editor")
        linked = LinkedLogin("https://id.example", "x\u202e1", user.subject, 1, "Ada")
        await store.linked_logins.link_login(linked)
        await store.second_steps.set_up(SecondStep(user.subject, "step", b"sealed", 1, 1), recovery_codes=[])
        await store.browser_sessions.start_session(session(subject=user.subject, created_at=9, expires_at=2**40))
        return user.subject

    subject = with_store(fill)
    monkeypatch.setenv("OAUTH_ROLE_OWNER_USERS", "account:ada")

    assert main(["users", "show", "ADA", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    since = shown.pop("since")
    assert since.startswith("20")
    assert shown == {
        "subject": subject,
        "name": "ada",
        "username": "ada",
        "email": None,
        "email_verified": None,
        "groups": [],
        "last_login": "1970-01-01T00:00:09Z",
        "state": "active",
        "roles": ["editor"],
        "roles_by_rule": ["owner"],
        "logins": ["password", "https://id.example (x1)"],
        "second_step": "on",
        "passkeys": 0,
        "browsers": 1,
        "apps": 0,
        "tokens_for_tools": [],
    }
    assert main(["users", "show", subject]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "roles by rule     owner" in lines
    assert "email             -" in lines
    assert main(["users", "show", "nobody"]) == 1
    assert "There is no account nobody" in capsys.readouterr().err


def test_people_are_found_by_how_their_name_begins_or_by_their_subject(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("adam", "bob"):
        monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD))
        assert main(["users", "add", name, "--password-stdin"]) == 0
    capsys.readouterr()

    def found(search: str) -> dict[str, str]:
        assert main(["users", "list", "--search", search, "--json"]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return {row["name"]: row["subject"] for row in rows}

    assert [*found("AD")] == ["ada", "adam"]
    assert [*found("adam")] == ["adam"]
    assert [*found(found("bob")["bob"])] == ["bob"]
    assert found("da") == {}
    main(["users", "list", "--search", "zz"])
    assert "Nobody is called so" in capsys.readouterr().out
