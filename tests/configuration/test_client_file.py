"""OAUTH_CLIENTS_FILE: what its entries come to, and what is refused with a sentence."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest

from gatepost.assembly.installation import install
from gatepost.configuration.client_file import keep_settings_clients, read_client_file
from gatepost.configuration.settings import SettingsError, load_settings
from gatepost.oauth.audit import AuditQuery
from gatepost.oauth.records import Client, ClientOrigin
from gatepost.server.server import Server
from gatepost.stores.conformance.records import NOW, client
from gatepost.stores.sql.sqlite import memory_store
from gatepost.tokens.opaque import fingerprint
from tests.tokens.test_client_keys import P256, public

SECRET = "a-secret-of-enough-characters"
HASHED = f'secret_sha256 = "{fingerprint(SECRET).hex()}"'
APP = """
[[client]]
id = "my-app"
name = "My app"
redirect_uris = ["https://app.example/callback"]
"""
MACHINE = """
[[client]]
id = "nightly"
name = "Nightly job"
machine = true
"""


def write(name: str, text: str) -> None:
    Path(name).write_text(text, encoding="utf-8")


def read(text: str, **variables: str) -> tuple[Client, ...]:
    write("clients.toml", text)
    return read_client_file(Path("clients.toml"), variables=variables, now=NOW)


def refused(text: str, **variables: str) -> str:
    with pytest.raises(SettingsError) as refusal:
        read(text, **variables)
    (sentence,) = refusal.value.sentences
    assert sentence.startswith("OAUTH_CLIENTS_FILE=clients.toml")
    return sentence


def test_a_byte_order_mark_before_the_file_is_passed_over() -> None:
    """Editors of Windows write one."""
    assert read("\ufeff" + APP) == read(APP)


@pytest.mark.parametrize("seconds", [0, 7, 2_592_000])
def test_an_entry_says_how_old_refresh_tokens_of_its_client_may_be(seconds: int) -> None:
    (app,) = read(f"{APP}refresh_reuse = {seconds}")
    assert app.refresh_reuse == seconds


@pytest.mark.parametrize("value", ["-1", "2592001", "1.5", "true", '"60"'])
def test_no_other_age_is_taken(value: str) -> None:
    assert "refresh_reuse takes a number of seconds from 0 to 2592000" in refused(f"{APP}refresh_reuse = {value}")


def test_an_entry_says_whose_tokens_its_client_exchanges_and_for_what() -> None:
    entry = f'[[client]]\nid = "front"\nname = "Front"\nexchange_from = ["/mcp"]\nexchange_to = ["/a", "/b/"]\n{HASHED}'
    (front,) = read(entry)
    assert (front.exchange_from, front.exchange_to) == (("/mcp",), ("/a", "/b"))
    assert front.grant_types == ("urn:ietf:params:oauth:grant-type:token-exchange",)
    assert front.token_endpoint_auth_method == "client_secret_basic"


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (f'exchange_from = ["/a"]\n{HASHED}', "needs both exchange_from and exchange_to"),
        (f'exchange_to = ["/a"]\n{HASHED}', "needs both exchange_from and exchange_to"),
        (f'exchange_from = []\nexchange_to = ["/a"]\n{HASHED}', "exchange_from takes a list of paths of endpoints"),
        (f'exchange_from = ["a"]\nexchange_to = ["/a"]\n{HASHED}', "exchange_from takes a list of paths of endpoints"),
        (f'exchange_from = ["/a"]\nexchange_to = "/a"\n{HASHED}', "exchange_to takes a list of paths of endpoints"),
        ('exchange_from = ["/a"]\nexchange_to = ["/b"]', "has to authenticate"),
    ],
)
def test_no_other_exchange_is_taken(entry: str, problem: str) -> None:
    assert problem in refused(f'[[client]]\nid = "front"\nname = "Front"\n{entry}')


def test_a_public_app_needs_an_id_a_name_and_where_it_is_sent_back_to() -> None:
    assert read(APP) == (
        Client(
            client_id="my-app",
            client_name="My app",
            redirect_uris=("https://app.example/callback",),
            grant_types=("authorization_code", "refresh_token"),
            response_types=("code",),
            token_endpoint_auth_method="none",
            application_type="web",
            scope=None,
            client_uri=None,
            logo_uri=None,
            jwks=None,
            jwks_uri=None,
            dpop_bound_access_tokens=False,
            secret_fingerprint=None,
            created_at=NOW,
            origin=ClientOrigin.SETTINGS,
        ),
    )


@pytest.mark.parametrize("source", [HASHED, 'secret_env = "NIGHTLY_SECRET"', 'secret_file = "nightly.secret"'])
def test_a_secret_comes_as_its_hash_from_a_variable_or_from_a_file(source: str) -> None:
    Path("nightly.secret").write_text(SECRET + "\n")
    (machine,) = read(f'{MACHINE}{source}\nscopes = ["notes:read", "notes:write"]', NIGHTLY_SECRET=SECRET)
    assert machine.secret_fingerprint == fingerprint(SECRET)
    assert machine.token_endpoint_auth_method == "client_secret_basic"
    assert (machine.grant_types, machine.scope) == (("client_credentials",), "notes:read notes:write")


def test_keys_make_it_a_client_that_signs() -> None:
    key = ", ".join(f"{name} = {json.dumps(value)}" for name, value in public(P256).items())
    inline, elsewhere = read(f'{MACHINE}jwks = {{ keys = [{{ {key} }}] }}\n{APP}jwks_uri = "https://app.example/jwks"')
    assert (inline.token_endpoint_auth_method, elsewhere.token_endpoint_auth_method) == ("private_key_jwt",) * 2
    assert json.loads(inline.jwks or "")["keys"] == [public(P256)]
    assert elsewhere.jwks_uri == "https://app.example/jwks"


def test_a_file_may_name_nobody() -> None:
    assert read("# nobody yet") == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[client]]", "client 1 needs id"),
        ('client = ["x"]', "client 1 has to be a table"),
        (APP.replace("my-app", "my app"), "client 1 is wrong: id takes 1 to 128"),
        (APP.replace("my-app", "user_1"), "client 1 (user_1) has an id that begins with user_"),
        (APP + 'secret = "hunter2hunter2"', "(my-app) holds a secret in plain text; set one of secret_sha256"),
        (APP + 'colour = "red"', "has a key that no entry has"),
        (APP + 'machine = "yes"', "machine takes true or false"),
        (APP + 'auth_method = "magic"', "auth_method takes none, client_secret_basic, client_secret_post or"),
        (APP + "scopes = [1]", "scopes takes a list"),
        (APP + 'scopes = ["\\""]', "scope is malformed"),
        (APP + 'secret_sha256 = "abc"', "secret_sha256 takes 64 hexadecimal digits"),
        (APP + 'auth_method = "client_secret_post"', "needs one of secret_sha256, secret_env, secret_file"),
        (APP + HASHED + '\nsecret_env = "X"', "needs one of secret_sha256"),
        (APP + 'auth_method = "none"\n' + HASHED, "has auth_method none and takes no secret_sha256"),
        (APP + 'auth_method = "none"\njwks_uri = "https://a.example/k"', "jwks_uri are for private_key_jwt"),
        (APP + 'auth_method = "private_key_jwt"', "needs jwks or jwks_uri"),
        (APP.replace("https:", "javascript:"), "redirect_uris[0]"),
        (MACHINE, "has to authenticate"),
        (APP + 'secret_env = "MISSING"', "needs what its secret_env names"),
        (APP + 'secret_file = "missing"', "needs what its secret_file names"),
        (APP + 'secret_env = "SHORT"', "24 to 2048 printable ASCII"),
        (APP + APP, "client 2 (my-app) has the id of another entry"),
        ("[clients]", "under a line [[client]]"),
        ("client = 1", "under a line [[client]]"),
        ("[[client]]\nsecret = hunter2", "is not TOML: something is wrong at line 2"),
        ("x = " + "[" * 100_000, "is not TOML: it is nested too deeply"),
        ("#" * (1024 * 1024 + 1), "is larger than 1048576 bytes"),
    ],
)
def test_what_is_wrong_is_told_by_entry_and_never_repeated(text: str, says: str) -> None:
    sentence = refused(text, SHORT="hunter2")
    assert says in sentence
    assert "hunter2" not in sentence


def test_every_wrong_entry_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as refusal:
        read(MACHINE + "[[client]]\n" + APP)
    assert [sentence.split(":")[1].split()[1] for sentence in refusal.value.sentences] == ["1", "2"]


def test_a_file_that_is_not_there_or_is_no_text_is_told() -> None:
    with pytest.raises(SettingsError, match="missing.toml cannot be read"):
        read_client_file(Path("missing.toml"), variables={}, now=NOW)
    Path("clients.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="is not UTF-8"):
        read_client_file(Path("clients.toml"), variables={}, now=NOW)


async def test_what_changes_is_in_the_audit_trail_and_what_does_not_is_not() -> None:
    store = memory_store()

    async def keep(*wanted: Client) -> None:
        await keep_settings_clients(store, wanted, file=None, now=NOW, random_bytes=secrets.token_bytes)

    stays, goes = client("stays", origin=ClientOrigin.SETTINGS), client("goes", origin=ClientOrigin.SETTINGS)
    await keep(stays)
    await keep(stays)
    await keep(stays, goes)
    await keep(client("stays", client_name="New", origin=ClientOrigin.SETTINGS))
    events = await store.audit.list_events(AuditQuery(), before=None, limit=10)
    assert sorted((event.event.value, event.client_id, event.address) for event in events) == [
        ("client_added", "goes", "settings"),
        ("client_added", "stays", "settings"),
        ("client_removed", "goes", "settings"),
        ("client_updated", "stays", "settings"),
    ]


async def test_a_start_with_the_id_of_another_client_is_refused() -> None:
    write("clients.toml", APP)
    store = memory_store()
    await store.clients.register_client(client("my-app"))
    settings = load_settings({"OAUTH_CLIENTS_FILE": "clients.toml"}, env_file=None)
    installation = install(Server("Notes"), settings, store=store)
    with pytest.raises(SettingsError, match="clients.toml: the store has a client my-app that did not come from"):
        await installation.open()
    assert await store.clients.list_clients() == [client("my-app")]


async def test_each_start_makes_the_store_agree_with_the_file_and_without_a_file_none_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(".env", f"NIGHTLY_SECRET={SECRET}\nOAUTH_CLIENTS_FILE=clients.toml\n")
    write("clients.toml", MACHINE + 'secret_env = "NIGHTLY_SECRET"')
    store = memory_store()

    async def start() -> list[str]:
        await install(Server("Notes"), load_settings(), store=store).open()
        return [one.client_id for one in await store.clients.list_clients()]

    assert await start() == ["nightly"]
    write("clients.toml", APP)
    assert await start() == ["my-app"]
    monkeypatch.setenv("OAUTH_ENABLED", "false")
    monkeypatch.setenv("MCP_API_KEY", "x")
    assert await start() == ["my-app"]
    monkeypatch.delenv("OAUTH_ENABLED")
    write(".env", "")
    assert await start() == []
