"""A dump of the database gives nobody access: no secret stands in it, and what is sealed opens in its own row alone."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from gatepost import Server
from gatepost.identity.account_links import AccountLinkOffers
from gatepost.identity.local_accounts import new_user
from gatepost.oauth.device_authorization import DEVICE_CODE
from gatepost.oauth.refresh import open_successor
from gatepost.oauth.token_exchange import ACCESS_TOKEN_TYPE, TOKEN_EXCHANGE
from gatepost.stores.conformance.behaviour.upstream_tokens import come_there, kept
from gatepost.stores.contract.api_keys import KeyAddition, new_api_key
from gatepost.stores.contract.errors import StoreMisconfigured
from gatepost.stores.contract.store import Store
from gatepost.stores.second_steps import open_step
from gatepost.stores.signing_keys import SigningKeys, open_signing_key, sealed_signing_key
from gatepost.stores.upstream_tokens import TokenPair, open_tokens
from gatepost.stores.upstream_tokens import sealed as sealed_tokens
from gatepost.tokens.opaque import SecretKind, fingerprint
from gatepost.tokens.sealing import KeyRing, SealBroken, unseal
from gatepost.tokens.signing import generate_signing_key
from gatepost.web.pages import login_completion
from tests.attacks.exchange_world import exchanger
from tests.attacks.installed import CHALLENGE, ORIGIN, Installed, installed
from tests.attacks.login_world import KEY
from tests.identity.one_time_app import App
from tests.seeds.person import CALLBACK, Person
from tests.stores.sql.places import rows_of, run_in, store_at
from tests.web.pages.pages_world import PASSWORD
from tests.web.pages.second_step_world import PAGE, cheap_hashing, codes_on, key_on, send, type_password

MINTED = re.compile(r"gp_[a-z]{2}_[A-Za-z0-9_-]{43}")
EXCHANGER_SECRET = "gp_cs_" + "Ex7" * 14 + "x"
SEALED_COLUMNS = {
    ("pending_logins", "sealed_data"),
    ("refresh_tokens", "sealed_successor"),
    ("second_steps", "sealed_secret"),
    ("signing_keys", "sealed_secret"),
    ("upstream_tokens", "sealed_tokens"),
}


@pytest.fixture(autouse=True)
def _cheap_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_hashing(monkeypatch)


@dataclass
class Lived:
    """A store that two people, their apps and an operator have used, and all secrets that came of it."""

    place: str
    running: Installed
    secrets: dict[str, list[str]] = field(default_factory=dict)
    """By what they are for; those that we mint by their prefix."""

    @property
    def store(self) -> Store:
        return self.running.store

    @property
    def ring(self) -> KeyRing:
        return self.running.installation.core.key_ring

    def add(self, what: str, *values: str) -> None:
        self.secrets.setdefault(what, []).extend(values)

    async def note(self, response: httpx2.Response) -> None:
        """Note what we have minted and told to a browser or an app."""
        told = f"{response.request.url} {response.headers} {(await response.aread()).decode()}"
        for secret in MINTED.findall(told):
            self.add(secret[:6], secret)

    def browser(self) -> Person:
        """Return somebody with a new browser and a new app."""
        transport = httpx2.ASGITransport(app=self.running.http._transport.app)  # type: ignore[attr-defined]  # it is one
        http = httpx2.AsyncClient(transport=transport, base_url=ORIGIN, event_hooks={"response": [self.note]})
        return Person(http)


@pytest.fixture
async def lived(place: str) -> AsyncIterator[Lived]:
    store = store_at(place)
    never = "sqlite:///never-opened.db"
    serving = installed(
        store=store,
        target=a_server(),
        OAUTH_DEVICE_LOGIN="everybody",
        OAUTH_TOKEN_EXCHANGE="true",
        MCP_PUBLIC_URL=ORIGIN,
        MCP_SEALING_KEYS=KEY,
        MCP_STORAGE_URL=never,
    )
    async with serving as running:
        lived = Lived(place, running)
        await set_up_by_operator(lived)
        for name in ("ada", "bob"):
            await live(lived, name)
        await live_elsewhere(lived)
        yield lived


def a_server() -> Server:
    server = Server("notes")

    @server.tool(scopes=["notes:read"])
    async def read() -> str:
        """Read."""
        return "milk"

    @server.tool(scopes=["notes:read"], task=True)
    async def copy() -> str:
        """Copy, for longer than anybody waits."""
        return "milk"

    return server


async def set_up_by_operator(lived: Lived) -> None:
    """See the set-up link, then make accounts, links and a key in its place."""
    setup = lived.running.installation.setup_token
    assert setup is not None
    assert found_in([setup], lived.place) == []
    assert fingerprint(setup) in values_of(lived.place)
    for number, name in enumerate(("ada", "bob")):
        await lived.store.users.add_user(new_user(name, PASSWORD, now=1, random_bytes=bytes([number]).__mul__))
    links = AccountLinkOffers(
        links=lived.store.account_links,
        origin=ORIGIN,
        now=lambda: lived.running.clock[0],
        random_bytes=secrets.token_bytes,
    )
    ada = await lived.store.users.find_user("ada")
    assert ada is not None
    for url in (await links.invite("eve"), await links.reset_password(ada)):
        assert url is not None
        lived.add("gp_al_", *MINTED.findall(url))
    secret, key = new_api_key(
        "backup",
        scopes=("notes:read",),
        resource=f"{ORIGIN}/mcp",
        user_subject=None,
        lifetime=None,
        now=lived.running.clock[0],
        random_bytes=secrets.token_bytes,
    )
    assert await lived.store.api_keys.add_key(key) is KeyAddition.ADDED
    lived.add("gp_ak_", secret)
    lived.add("password", PASSWORD)
    lived.add("sealing key", KEY)


async def live(lived: Lived, name: str) -> None:
    """Register an app, allow it, refresh, use a session, set up a second step, and begin a login that waits for it."""
    person = lived.browser()
    wanted = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "client_secret_post"}
    registered = (await person.http.post("/oauth/register", json=wanted)).json()
    lived.add("gp_cs_", registered["client_secret"])
    await push_and_begin_by_device(person.http, registered)
    public = await person.arrive()
    token = await person.allow(await person.submit(public, username=name, password=PASSWORD))
    lived.running.clock[0] += 1
    assert (await person.refresh()).status_code == 200
    await person.call_in_session(token, "read")
    await begin_a_task(person.http, token)
    await exchange(lived, person.http, token)
    # On plain http a browser that was sent to an app is logged out.
    logged_in = await person.submit(await person.arrive(), username=name, password=PASSWORD)
    consent = await person.http.get(logged_in.headers["location"])
    approved = await person.submit(consent, decision="approve")
    assert "code" in parse_qs(urlsplit(approved.headers["location"]).query)  # of which nobody makes use

    await type_password(person.http, name)
    page = await person.http.get(PAGE)
    app = App(key_on(page))
    lived.add("authenticator key", key_on(page).replace(" ", ""))
    done = await send(person.http, page, code=app.code(lived.running.clock[0]), password=PASSWORD)
    lived.add("recovery code", *codes_on(done), *(code.replace(" ", "") for code in codes_on(done)))
    await person.http.aclose()

    other = lived.browser()
    await type_password(other.http, name)
    await other.http.aclose()


async def begin_a_task(http: httpx2.AsyncClient, token: str) -> None:
    """Call a tool that is a task, whose handle is a secret."""
    capabilities: dict[str, Any] = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    }
    params = {"name": "copy", "arguments": {}, "_meta": meta}
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "copy",
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    answer = await http.post("/mcp", json=message, headers=headers)
    assert answer.json()["result"]["resultType"] == "task"


async def exchange(lived: Lived, http: httpx2.AsyncClient, token: str) -> None:
    """Have a server exchange the token that it was sent."""
    front = exchanger(exchange_to=("/mcp",), secret_fingerprint=fingerprint(EXCHANGER_SECRET))
    if await lived.store.clients.find_client(front.client_id) is None:
        await lived.store.clients.register_client(front)
        lived.add("gp_cs_", EXCHANGER_SECRET)
    form = {
        "grant_type": TOKEN_EXCHANGE,
        "client_id": front.client_id,
        "client_secret": EXCHANGER_SECRET,
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN_TYPE,
    }
    assert (await http.post("/oauth/token", data=form)).status_code == 200


async def push_and_begin_by_device(http: httpx2.AsyncClient, app: dict[str, Any]) -> None:
    """Push an authorization request that nobody opens, and begin a login by device that nobody answers."""
    own = {"client_id": app["client_id"], "client_secret": app["client_secret"]}
    asked = {"response_type": "code", "code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    assert (await http.post("/oauth/par", data={**own, **asked})).status_code == 201
    device = {"grant_types": [DEVICE_CODE], "token_endpoint_auth_method": "none"}
    lamp = (await http.post("/oauth/register", json=device)).json()
    begun = await http.post("/oauth/device_authorization", data={"client_id": lamp["client_id"]})
    assert begun.status_code == 200


async def live_elsewhere(lived: Lived) -> None:
    """Keep what login providers give for tools, and keys that sign."""
    for number, name in enumerate(("ada", "bob")):
        user = await lived.store.users.find_user(name)
        assert user is not None
        pair = TokenPair(f"upstream-access-{name}-q7Zp", f"upstream-refresh-{name}-x9Lw")
        row = kept(subject=user.subject, external_subject=str(number))
        await come_there(lived.store, row)
        row = sealed_tokens(row, pair, lived.ring, random_bytes=secrets.token_bytes)
        assert await lived.store.upstream_tokens.keep_tokens(row, replaces=None)
        lived.add("upstream token", pair.access_token, pair.refresh_token or "")
    now = lived.running.clock[0]
    keys = SigningKeys(
        store=lived.store.keys, ring=lived.ring, algorithm="ES256", now=lambda: now, random_bytes=secrets.token_bytes
    )
    await keys.open()
    following = generate_signing_key("ES256", secrets.token_bytes)
    sealed = sealed_signing_key(following, lived.ring, now=now, signs_from=now + 1, random_bytes=secrets.token_bytes)
    await lived.store.keys.rotate_signing_key(sealed, others_end_at=now + 1000)
    opened = [open_signing_key(key, lived.ring) for key in await lived.store.keys.signing_keys(now=now)]
    assert len(opened) == 2
    lived.add("signing key", *(key.secret.hex() for key in opened))


def tables(place: str) -> list[tuple[str, str]]:
    """Return every table with every column."""
    if "://" in place:
        query = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
    else:
        query = "SELECT m.name, p.name FROM sqlite_master AS m, pragma_table_info(m.name) AS p WHERE m.type = 'table'"
    return [(str(table), str(column)) for table, column in rows_of(place, query)]


def values_of(place: str) -> set[bytes]:
    """Return every value of every table, as bytes."""
    found: set[bytes] = set()
    for table in sorted({table for table, _ in tables(place)}):
        for row in rows_of(place, f'SELECT * FROM "{table}"'):  # noqa: S608 - our own names
            found |= {value if isinstance(value, bytes) else str(value).encode() for value in row if value is not None}
    return found


def forms_of(secret: str) -> Iterator[bytes]:
    """Return how a secret may be written."""
    plain = secret.encode()
    raw = [plain]
    if MINTED.fullmatch(secret):
        raw += [secret[6:].encode(), base64.urlsafe_b64decode(secret[6:] + "=")]
    elif re.fullmatch(r"[0-9a-f]{64}", secret):
        raw.append(bytes.fromhex(secret))
    elif re.fullmatch(r"[A-Z2-7]{32,}", secret):
        raw.append(base64.b32decode(secret + "=" * (-len(secret) % 8)))
    for form in raw:
        yield form
        yield form.hex().encode()
        yield form.hex().upper().encode()
        for before in range(3):
            # In the middle of something that is written in base64: the part that does not depend on what is beside it.
            inside = base64.b64encode(b"\0" * before + form).rstrip(b"=")[4 if before else 0 : -1]
            yield inside
            yield inside.replace(b"+", b"-").replace(b"/", b"_")


def found_in(wanted: list[str], place: str) -> list[str]:
    """Return which of these secrets stand in the database, in whatever form."""
    everything = b"\0".join(values_of(place))
    return [secret for secret in wanted if any(form in everything for form in forms_of(secret))]


async def test_no_secret_of_any_kind_stands_in_a_dump(lived: Lived) -> None:
    minted = {kind.value for kind in SecretKind} - {SecretKind.SEALING_KEY.value, SecretKind.SETUP_LINK.value}
    others = {"password", "sealing key", "authenticator key", "recovery code", "upstream token", "signing key"}
    assert lived.secrets.keys() == minted | others

    found = {what: found_in(values, lived.place) for what, values in lived.secrets.items()}

    assert found == {what: [] for what in lived.secrets}


async def test_what_is_kept_of_each_minted_secret_is_its_fingerprint(lived: Lived) -> None:
    """So the dump that is searched above is of rows that were there."""
    kept_of = values_of(lived.place)

    without = {
        what
        for what, values in lived.secrets.items()
        if what.startswith("gp_") and not any(fingerprint(value) in kept_of for value in values)
    }

    assert without == set()


@pytest.mark.parametrize("form", ["plain", "hex", "base64", "raw"])
async def test_a_secret_that_is_written_somewhere_is_found(lived: Lived, form: str) -> None:
    token = lived.secrets["gp_rt_"][0]
    written = {
        "plain": f"token={token}",
        "hex": f"x{token.encode().hex()}",
        "base64": base64.urlsafe_b64encode(f'["{token}"]'.encode()).decode(),
        "raw": base64.urlsafe_b64decode(token[6:] + "=").hex(),
    }[form]

    await lived.store.mcp_sessions.set_log_level(fingerprint(lived.secrets["gp_ms_"][0]), written)

    assert token in found_in(lived.secrets["gp_rt_"], lived.place)


async def test_every_sealed_column_is_one_of_those_whose_rows_are_swapped_below(lived: Lived) -> None:
    assert {(table, column) for table, column in tables(lived.place) if column.startswith("sealed_")} == SEALED_COLUMNS
    for table, column in SEALED_COLUMNS:
        filled = rows_of(lived.place, f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")  # noqa: S608 - our own names
        assert len(filled) >= 2, table


async def open_signing_keys(lived: Lived) -> list[Callable[[], object]]:
    every = await lived.store.keys.signing_keys(now=lived.running.clock[0])
    return [partial(open_signing_key, one, lived.ring) for one in every]


async def open_second_steps(lived: Lived) -> list[Callable[[], object]]:
    return [partial(open_step, one, lived.ring) for one in await lived.store.second_steps.list_second_steps()]


async def open_upstream_tokens(lived: Lived) -> list[Callable[[], object]]:
    every = await lived.store.upstream_tokens.list_tokens(None, limit=9)
    return [partial(open_tokens, one, lived.ring) for one in every]


async def open_successors(lived: Lived) -> list[Callable[[], object]]:
    """With what an attacker may have as well: every refresh token that was spent."""
    opening: list[Callable[[], object]] = []
    for token in dict.fromkeys(lived.secrets["gp_rt_"]):
        view = await lived.store.grants.find_refresh(fingerprint(token))
        if view is not None and view.token.sealed_successor is not None:
            opening.append(partial(open_successor, view.token.sealed_successor, predecessor=token))
    return opening


async def open_pending_logins(lived: Lived) -> list[Callable[[], object]]:
    """With the state that each browser has."""
    query = "SELECT state_fingerprint, place, sealed_data FROM pending_logins"
    rows = {state: (place, data) for state, place, data in rows_of(lived.place, query)}
    return [
        partial(unseal, data, key=login_completion._key(state), associated_data=place.encode())
        for state in dict.fromkeys(lived.secrets["gp_ls_"])
        if fingerprint(state) in rows
        for place, data in [rows[fingerprint(state)]]
    ]


OPENINGS: dict[str, tuple[str, Callable[[Lived], Awaitable[list[Callable[[], object]]]]]] = {
    "signing_keys.sealed_secret": ("key_id", open_signing_keys),
    "second_steps.sealed_secret": ("subject", open_second_steps),
    "upstream_tokens.sealed_tokens": ("subject", open_upstream_tokens),
    "refresh_tokens.sealed_successor": ("token_fingerprint", open_successors),
    "pending_logins.sealed_data": ("state_fingerprint", open_pending_logins),
}
"""By column: the key of its table, and how each row's value is opened."""


@pytest.mark.parametrize("sealed", OPENINGS)
async def test_what_is_sealed_opens_in_its_own_row_and_not_in_another(lived: Lived, sealed: str) -> None:
    table, _, column = sealed.partition(".")
    key, openings_of = OPENINGS[sealed]
    in_place = await openings_of(lived)
    assert len(in_place) == 2
    for opening in in_place:
        assert opening()

    named = key_text(key, lived.place)
    rows = rows_of(lived.place, f"SELECT {named}, {column} FROM {table} WHERE {column} IS NOT NULL")  # noqa: S608 - our own names
    (one, of_one), (other, of_other) = rows
    run_in(
        lived.place,
        *(
            f"UPDATE {table} SET {column} = {literal(value, lived.place)} WHERE {named} = '{name}'"  # noqa: S608 - likewise
            for name, value in ((one, of_other), (other, of_one))
        ),
    )

    swapped = await openings_of(lived)
    assert len(swapped) == 2
    for opening in swapped:
        with pytest.raises((SealBroken, StoreMisconfigured)):
            opening()


def key_text(column: str, place: str) -> str:
    """Return a key as text, whether it is bytes or not."""
    if not column.endswith("fingerprint"):
        return column
    return f"encode({column}, 'hex')" if "://" in place else f"lower(hex({column}))"


def literal(value: bytes, place: str) -> str:
    return f"'\\x{value.hex()}'::bytea" if "://" in place else f"X'{value.hex()}'"


def test_every_sealed_column_is_swapped() -> None:
    assert {tuple(name.split(".")) for name in OPENINGS} == SEALED_COLUMNS
