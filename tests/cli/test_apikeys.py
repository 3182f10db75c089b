"""`gatepost apikeys`: a key is shown once, for scopes that there are; its list, and its end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from gatepost.cli.main import main
from gatepost.stores.conformance.records import user
from gatepost.stores.contract.api_keys import PresentedKey
from gatepost.stores.contract.endpoints import ServedEndpoint
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import file_store
from gatepost.tokens.opaque import SecretKind, fingerprint, looks_like

Answer = TypeVar("Answer")
Capsys = pytest.CaptureFixture[str]
AT = 1_800_000_000

pytestmark = pytest.mark.usefixtures("own_store")


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: float(AT))


def with_store(operation: Callable[[Store], Awaitable[Answer]]) -> Answer:
    async def run() -> Answer:
        store = file_store(Path("data/gatepost.db"))
        await store.open()
        try:
            return await operation(store)
        finally:
            await store.close()

    return asyncio.run(run())


def serve(**scopes: str) -> None:
    """Note what a server serves, by the names of paths."""
    endpoints = [ServedEndpoint(f"/{name}", tuple(text.split())) for name, text in scopes.items()]
    with_store(lambda store: store.endpoints.note_endpoints(endpoints))


def add_ada() -> None:
    with_store(lambda store: store.users.add_user(user()))


def printed(capsys: Capsys, *arguments: str, code: int = 0) -> str:
    assert main(["apikeys", *arguments]) == code
    output = capsys.readouterr()
    return output.out if code == 0 else output.err


def found(secret: str) -> PresentedKey:
    presented = with_store(lambda store: store.api_keys.find_key(fingerprint(secret)))
    assert presented is not None
    return presented


def events(capsys: Capsys) -> list[tuple[str, str | None, str, str]]:
    main(["audit", "--json"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return sorted((row["event"], row["reason"], row["subject"], row["client_id"]) for row in rows)


def test_a_key_is_printed_alone_and_once_and_kept_as_its_fingerprint(capsys: Capsys) -> None:
    serve(mcp="notes:read notes:write")
    assert main(["apikeys", "create", "nightly", "--scopes", "notes:read,notes:write", "--expires", "90d"]) == 0
    output = capsys.readouterr()
    secret = output.out.removesuffix("\n")
    assert looks_like(SecretKind.API_KEY, secret)
    assert "until 2027-04-15T08:00:00Z. It is not shown again." in output.err
    assert secret not in output.err
    key = found(secret).key
    assert (key.name, key.scopes, key.resource) == (
        "nightly",
        ("notes:read", "notes:write"),
        "http://127.0.0.1:8000/mcp",
    )
    assert (key.user_subject, key.created_at, key.expires_at) == (None, AT, AT + 90 * 86_400)
    assert key.key_id.startswith("key_")
    assert events(capsys) == [("api_key_created", None, key.key_id, key.key_id)]
    for file in Path("data").iterdir():
        assert secret.encode() not in file.read_bytes()


def test_a_persons_key_is_theirs_and_the_list_says_so_without_a_secret(capsys: Capsys) -> None:
    serve(mcp="a b")
    add_ada()
    secret = printed(capsys, "create", "hers", "--scopes", "a", "--user", "ada").strip()
    key = found(secret).key
    listing = printed(capsys, "list", "--json")
    assert [json.loads(line) for line in listing.splitlines()] == [
        {
            "name": "hers",
            "key": key.key_id,
            "user": "user-1",
            "scopes": ["a"],
            "resource": "http://127.0.0.1:8000/mcp",
            "created": "2027-01-15T08:00:00Z",
            "last_used": None,
            "state": "counts",
        }
    ]
    assert secret not in listing
    assert secret not in printed(capsys, "list", "--all")


def test_a_key_is_revoked_by_name_or_id_and_is_in_the_list_of_all(capsys: Capsys) -> None:
    serve(mcp="a")
    first = found(printed(capsys, "create", "one", "--scopes", "a").strip()).key
    second = found(printed(capsys, "create", "two", "--scopes", "a", "--expires", "1h").strip()).key
    assert printed(capsys, "revoke", "one", second.key_id) == "Revoked 2 keys.\n"
    assert "There are no such keys in" in printed(capsys, "list")
    assert [json.loads(line)["state"] for line in printed(capsys, "list", "--all", "--json").splitlines()] == [
        "revoked 2027-01-15T08:00:00Z"
    ] * 2
    assert main(["apikeys", "revoke", "one"]) == 1
    assert capsys.readouterr() == ("", "gatepost: There is no key one that counts; see gatepost apikeys list.\n")
    revoked = [("api_key_revoked", "operator_revoked", key.key_id, key.key_id) for key in (first, second)]
    assert [event for event in events(capsys) if event[0] == "api_key_revoked"] == sorted(revoked)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("x", "--scopes", "a c,d"), 2, "Unknown: c, d. The scopes are: a, b."),
        (("x", "--scopes", " ,"), 2, "--scopes names none. The scopes are: a, b."),
        (("x", "--scopes", 'a"b'), 2, "printable ASCII"),
        (("a b", "--scopes", "a"), 2, "NAME takes letters"),
        (("taken", "--scopes", "a"), 1, "There is a key taken already"),
        (("x", "--scopes", "a", "--resource", "/mail"), 1, "No server of this store has served"),
        (("x", "--scopes", "a", "--resource", "mail"), 2, "--resource takes the URL"),
        (("x", "--scopes", "a", "--resource", "https://mcp.example.com"), 1, "Served are: /mcp."),
        (("x", "--scopes", "a", "--user", "eve"), 1, "There is no account eve"),
        (("x", "--scopes", "a", "--user", "ada"), 1, "The account ada is disabled"),
    ],
)
def test_what_cannot_be_made_is_told(arguments: tuple[str, ...], code: int, words: str, capsys: Capsys) -> None:
    serve(mcp="a b")
    add_ada()
    with_store(lambda store: store.users.disable_user("user-1", now=AT))
    printed(capsys, "create", "taken", "--scopes", "a")
    assert words in printed(capsys, "create", *arguments, code=code)
    assert len(printed(capsys, "list", "--json").splitlines()) == 1


@pytest.mark.parametrize("expires", ["0d", "90", "soon", "-1d", "2027-01-01"])
def test_a_key_expires_after_a_stretch_of_time(expires: str, capsys: Capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["apikeys", "create", "x", "--scopes", "a", f"--expires={expires}"])
    assert "takes a stretch of time such as 12h or 90d" in capsys.readouterr().err


def test_before_a_server_has_started_no_scope_is_known(capsys: Capsys) -> None:
    assert "none has started yet" in printed(capsys, "create", "x", "--scopes", "a", code=1)


def test_the_only_endpoint_is_meant_and_of_several_one_is_named(capsys: Capsys) -> None:
    serve(notes="a")
    assert found(printed(capsys, "create", "x", "--scopes", "a").strip()).key.resource.endswith(":8000/notes")
    serve(mail="m")
    assert "Say which endpoint by --resource: /mail, /notes." in printed(capsys, "create", "y", "--scopes", "m", code=2)
    secret = printed(capsys, "create", "y", "--scopes", "m", "--resource", "/mail/").strip()
    assert found(secret).key.resource == "http://127.0.0.1:8000/mail"


def test_a_scope_with_a_comma_in_its_name_is_one(capsys: Capsys) -> None:
    serve(mcp="a,b a")
    assert found(printed(capsys, "create", "x", "--scopes", "a,b").strip()).key.scopes == ("a,b",)
