"""`gatepost clients`, on a store of its own."""

import json
import re
from pathlib import Path

import pytest

from gatepost.cli.main import main
from gatepost.cli.open_store import with_store
from gatepost.oauth.audit import ISSUED, AuditEvent
from gatepost.oauth.records import ClientOrigin
from gatepost.stores.conformance.records import audit_record, client
from gatepost.stores.contract.store import Store
from tests.tokens.test_client_keys import P256, public

pytestmark = pytest.mark.usefixtures("own_store")


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["clients", *arguments]) == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


def added(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str | None]:
    out = said(capsys, "add", *arguments)
    found, secret = re.search(r"client_id +(\S+)", out), re.search(r"client_secret +(\S+)", out)
    assert found
    return found[1], None if secret is None else secret[1]


def test_a_client_is_added_listed_shown_disabled_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no clients yet" in said(capsys, "list")
    client_id, secret = added(capsys, "My app", "--redirect-uri", "https://app.example/cb")
    assert secret is None
    assert re.search(rf"{client_id} +My app +preregistered .* active", said(capsys, "list"))
    shown = said(capsys, "show", client_id)
    assert "https://app.example/cb" in shown
    assert re.search(r"authentication +none", shown)
    assert "Disabled" in said(capsys, "disable", client_id)
    assert "disabled 2" in said(capsys, "show", client_id)
    assert "Enabled" in said(capsys, "enable", client_id)
    assert re.search(r"state +active", said(capsys, "show", client_id))
    assert "Removed" in said(capsys, "remove", client_id)
    for action in ("show", "disable", "enable", "remove"):
        assert "There is no client" in said(capsys, action, client_id, code=1)


def test_a_secret_is_shown_once_and_can_be_rotated(capsys: pytest.CaptureFixture[str]) -> None:
    client_id, secret = added(
        capsys, "App", "--redirect-uri", "https://app.example/cb", "--auth-method", "client_secret_post"
    )
    assert secret is not None
    assert secret.startswith("gp_cs_")
    assert secret not in said(capsys, "show", client_id)
    rotated = re.search(r"gp_cs_\S+", said(capsys, "rotate-secret", client_id))
    assert rotated
    assert rotated[0] != secret
    public_id, _ = added(capsys, "App", "--redirect-uri", "https://app.example/cb")
    assert "with a secret" in said(capsys, "rotate-secret", public_id, code=1)


def test_a_machine_needs_no_redirect_uri(capsys: pytest.CaptureFixture[str]) -> None:
    client_id, secret = added(capsys, "Robot", "--machine", "--scope", "notes:read")
    assert secret is not None
    shown = said(capsys, "show", client_id)
    assert re.search(r"grant types +client_credentials\n", shown)
    assert re.search(r"authentication +client_secret_basic", shown)
    assert re.search(r"scope +notes:read", shown)
    both, _ = added(capsys, "Robot", "--machine", "--redirect-uri", "https://app.example/cb")
    assert "authorization_code refresh_token client_credentials" in said(capsys, "show", both)


def test_an_identity_provider_may_name_the_users_of_a_client(capsys: pytest.CaptureFixture[str]) -> None:
    client_id, secret = added(capsys, "Assistant", "--enterprise-managed")
    assert secret is not None
    shown = said(capsys, "show", client_id)
    assert re.search(r"grant types +urn:ietf:params:oauth:grant-type:jwt-bearer\n", shown)
    assert re.search(r"authentication +client_secret_basic", shown)
    both, _ = added(
        capsys,
        *("Assistant", "--enterprise-managed", "--redirect-uri", "https://app.example/cb"),
        *("--auth-method", "client_secret_post"),
    )
    assert "authorization_code refresh_token urn:ietf:params:oauth:grant-type:jwt-bearer" in said(capsys, "show", both)


def test_a_client_can_be_given_bound_tokens_and_no_others(capsys: pytest.CaptureFixture[str]) -> None:
    for option, is_bound, words in ((("--dpop",), True, "bound to a key"), ((), False, "bearer, or bound to a key")):
        client_id, _ = added(capsys, "App", "--redirect-uri", "https://app.example/cb", *option)
        [found] = [
            client for client in with_store(lambda store: store.clients.list_clients()) if client.client_id == client_id
        ]
        assert found.dpop_bound_access_tokens is is_bound
        assert re.search(rf"tokens +{words}\n", said(capsys, "show", client_id))


def test_a_server_that_exchanges_tokens_needs_no_redirect_uri(capsys: pytest.CaptureFixture[str]) -> None:
    paths = ("--exchange-from", "/front", "--exchange-to", "/notes", "--exchange-to", "/mail/")
    client_id, secret = added(capsys, "Front", *paths)
    assert secret is not None
    shown = said(capsys, "show", client_id)
    assert re.search(r"grant types +urn:ietf:params:oauth:grant-type:token-exchange\n", shown)
    assert re.search(r"authentication +client_secret_basic", shown)
    assert re.search(r"exchanges tokens of +/front\nexchanges tokens for +/notes /mail\n", shown)
    assert "exchanges" not in said(capsys, "show", added(capsys, "Robot", "--machine")[0])


def test_keys_come_from_a_file_or_an_address(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [public(P256)]}))
    inline, secret = added(capsys, "Robot", "--machine", "--jwks", str(keys))
    assert secret is None
    assert re.search(r"authentication +private_key_jwt\nkeys +inline", said(capsys, "show", inline))
    elsewhere, _ = added(capsys, "Robot", "--machine", "--jwks-uri", "https://app.example/jwks")
    assert re.search(r"keys +https://app.example/jwks", said(capsys, "show", elsewhere))
    keys.write_text("{")
    assert "holds JSON" in said(capsys, "add", "Robot", "--machine", "--jwks", str(keys), code=1)
    assert "holds JSON" in said(capsys, "add", "Robot", "--machine", "--jwks", "missing.json", code=1)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "gatepost: --redirect-uri is missing: "),
        (("--redirect-uri", "javascript:x"), "gatepost: --redirect-uri[0]: "),
        (("--machine", "--auth-method", "none"), "has to authenticate"),
        (("--enterprise-managed", "--auth-method", "none"), "has to authenticate"),
        (("--exchange-from", "/a", "--exchange-to", "/b", "--auth-method", "none"), "has to authenticate"),
        (("--exchange-from", "/a"), "both --exchange-from and --exchange-to"),
        (("--machine", "--exchange-to", "/a"), "both --exchange-from and --exchange-to"),
        (("--exchange-from", "/a", "--exchange-to", "https://b.example"), "each takes paths of endpoints"),
        (("--machine", "--auth-method", "private_key_jwt"), "private_key_jwt needs --jwks or --jwks-uri"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_its_reason_and_its_option(
    arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert complaint in said(capsys, "add", "App", *arguments, code=1)
    assert "no clients yet" in said(capsys, "list")


def test_a_client_that_is_known_by_a_document_can_be_disabled(capsys: pytest.CaptureFixture[str]) -> None:
    url = "https://app.example/client.json"
    assert "Disabled" in said(capsys, "disable", url)
    assert re.search(rf"{url} +\(known by its document\) +document .* disabled", said(capsys, "list"))
    assert "Enabled" in said(capsys, "enable", url)
    assert "Disabled" in said(capsys, "disable", url)
    assert "Removed" in said(capsys, "remove", url)


def test_changes_from_the_terminal_are_in_the_audit_trail(capsys: pytest.CaptureFixture[str]) -> None:
    client_id, _ = added(capsys, "Robot", "--machine")
    said(capsys, "rotate-secret", client_id)
    said(capsys, "disable", client_id)
    said(capsys, "remove", client_id)
    said(capsys, "remove", client_id, code=1)
    assert main(["audit", "--client", client_id, "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(event["event"] for event in events) == [
        "client_added",
        "client_disabled",
        "client_removed",
        "client_secret_rotated",
    ]


def test_how_old_the_refresh_tokens_of_a_client_may_be_is_said_at_its_beginning_or_later(
    capsys: pytest.CaptureFixture[str],
) -> None:
    client_id, _ = added(capsys, "App", "--redirect-uri", "https://app.example/cb", "--refresh-reuse", "60")
    assert re.search(r"refresh reuse +60 seconds", said(capsys, "show", client_id))
    for seconds, kept, words in (
        ("0", 0, ": never."),
        ("604800", 604_800, ": for 604800 seconds."),
        ("default", None, ": as OAUTH_REFRESH_REUSE says."),
    ):
        assert words in said(capsys, "refresh-reuse", client_id, seconds)
        found = with_store(lambda store: store.clients.find_client(client_id))
        assert found is not None
        assert found.refresh_reuse == kept
    assert re.search(r"refresh reuse +\(the default\)", said(capsys, "show", client_id))
    assert "There is no client" in said(capsys, "refresh-reuse", "nobody", "0", code=1)
    assert main(["audit", "--client", client_id, "--json"]) == 0
    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert sorted(events) == ["client_added", "client_updated", "client_updated", "client_updated"]


@pytest.mark.parametrize("seconds", ["-1", "2592001", "1.5", "a day", "", "\u0663"])
def test_no_other_age_is_taken(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["clients", "refresh-reuse", "nobody", "--", seconds])
    assert ended.value.code == 2
    assert "takes seconds from 0 to 2592000, or default" in capsys.readouterr().err


@pytest.mark.parametrize("action", ["rotate-secret", "disable", "remove"])
def test_a_client_of_the_settings_is_changed_in_its_file_only(
    action: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    named = client("nightly", origin=ClientOrigin.SETTINGS)
    with_store(lambda store: store.clients.register_client(named))
    assert "file that the server's OAUTH_CLIENTS_FILE names" in said(capsys, action, "nightly", code=2)
    assert "file that the server's OAUTH" in said(capsys, "refresh-reuse", "nightly", "0", code=2)
    monkeypatch.setenv("OAUTH_CLIENTS_FILE", "clients.toml")
    assert "its entry in clients.toml and restart" in said(capsys, action, "nightly", code=2)
    assert re.search(r"nightly .* settings .* active", said(capsys, "list"))
    assert re.search(r"origin +settings", said(capsys, "show", "nightly"))
    assert with_store(lambda store: store.clients.find_client("nightly")) == named


def test_clients_are_found_by_how_their_name_begins_or_by_their_id(capsys: pytest.CaptureFixture[str]) -> None:
    ids = [added(capsys, name, "--redirect-uri", "https://app.example/cb")[0] for name in ("Notes", "notary", "Reader")]

    def found(search: str) -> list[str]:
        lines = said(capsys, "list", "--search", search, "--json").splitlines()
        return [json.loads(line)["client_id"] for line in lines]

    assert found("NOT") == [ids[1], ids[0]]
    assert found(ids[2]) == [ids[2]]
    assert found("otes") == []
    assert "No client is called so" in said(capsys, "list", "--search", "zz")


def test_a_client_is_shown_with_when_it_last_got_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    client_id, _ = added(capsys, "Notes", "--redirect-uri", "https://app.example/cb")
    assert re.search(r"last used +-\n", said(capsys, "show", client_id))

    async def use(store: Store) -> None:
        events = [audit_record(n, at=n, event=kind, client_id=client_id) for n, kind in enumerate(AuditEvent, 1)]
        await store.audit.append_events(events)

    with_store(use)
    used = max([*AuditEvent].index(event) for event in ISSUED) + 1
    assert f"1970-01-01T00:00:{used:02}Z" in said(capsys, "show", client_id)
