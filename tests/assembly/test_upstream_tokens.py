"""Tokens of login providers as calls of an installation get them: in which words, at which price."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gatepost import Context, GitHub, NotLinked, OpenIDConnect, Server, SeveralLogins, UnknownUpstream
from gatepost import UpstreamUnavailable as ServerUnavailable
from gatepost.assembly.installation import Installation, install
from gatepost.assembly.upstream_tokens import LOOKS, UpstreamTokensOfCallers
from gatepost.configuration.settings import load_settings
from gatepost.identity.provider import Identity, IdentityProvider
from gatepost.identity.token_set import TokenSet
from gatepost.identity.upstream_tokens import LinkMissing, Unavailable
from gatepost.resource.principal import Principal
from gatepost.server.dispatch import ServerTarget
from gatepost.stores.conformance.records import NOW, user
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.linked_logins import LinkedLogin, LinkOutcome
from gatepost.stores.contract.upstream_tokens import KeptTokens
from gatepost.stores.sql.sqlite import memory_store
from gatepost.stores.upstream_tokens import TokenPair, open_tokens
from tests.counted_store import count_operations
from tests.server.calls.asking_client import Client

ORIGIN = "http://127.0.0.1:8000"
ADA = Principal("user-1", "client-1", frozenset(), f"{ORIGIN}/mcp", ORIGIN, "grant-1", None, user_issuer="local")


def github(*, keep_tokens: bool = True) -> GitHub:
    return GitHub("a", "b", keep_tokens=keep_tokens)


def installed(provider: IdentityProvider, server: Server | None = None) -> Installation:
    settings = load_settings({"MCP_STORAGE_URL": "memory:", "OAUTH_ALLOWED_USERS": "*"}, env_file=None)
    target = server or Server("acting")
    return install(target, settings, provider=provider, store=memory_store(), now=lambda: NOW)


async def link_github(made: Installation) -> None:
    """Have ada's login at GitHub be hers."""
    linked = LinkedLogin(github().issuer, "583231", "user-1", NOW)
    assert await made.core.store.linked_logins.link_login(linked) is LinkOutcome.LINKED


@pytest.fixture
async def installation() -> AsyncIterator[Installation]:
    """One whose store has what ada's login at GitHub brought."""
    made = installed(github())
    await made.open()
    await made.core.store.users.add_user(user())
    await made.core.store.users.add_user(user("user-2", "bob"))
    await link_github(made)
    tokens = made.upstream.tokens
    assert tokens is not None
    await tokens.keep("user-1", "github", Identity("583231", tokens=TokenSet("gho_0001", scopes=("repo",))))
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("provider", "kept"),
    [
        (github(), ["github"]),
        (github(keep_tokens=False), []),
        (SeveralLogins([github(), OpenIDConnect("https://id.example", "a", keep_tokens=True)]), ["github", "oidc"]),
        (SeveralLogins([github(), OpenIDConnect("https://id.example", "a")]), ["github"]),
    ],
)
def test_tokens_are_kept_of_the_providers_that_say_so(provider: IdentityProvider, kept: list[str]) -> None:
    tokens = installed(provider).upstream.tokens
    assert (tokens is not None) == bool(kept)
    assert sorted({} if tokens is None else tokens.providers) == kept


async def test_the_author_hears_which_providers_keep_tokens(installation: Installation) -> None:
    with pytest.raises(UnknownUpstream, match=r"no login provider 'gihub' keeps tokens .* those that do: github$"):
        await installation.upstream.access_token("gihub", ADA, refused=None)
    none = installed(github(keep_tokens=False)).upstream
    with pytest.raises(UnknownUpstream, match=r"those that do: none does$"):
        await none.access_token("github", ADA, refused=None)


async def test_who_has_linked_nothing_is_led_to_the_page_at_the_origin_of_their_token(
    installation: Installation,
) -> None:
    bob = Principal("user-2", "client-1", frozenset(), f"{ORIGIN}/mcp", ORIGIN, "grant-1", None, user_issuer="local")
    with pytest.raises(NotLinked) as missing:
        await installation.upstream.access_token("github", bob, refused=None)
    assert (missing.value.provider, missing.value.url) == ("GitHub", f"{ORIGIN}/oauth/account/link/github")


class Failing:
    """Keeps tokens of GitHub, and fails."""

    def __init__(self, error: Exception) -> None:
        self.providers = {"github": github()}
        self.error: Exception | None = error
        self.slept: list[float] = []
        self.linked_after = 10**6

    async def access_token(self, subject: str, provider: str, *, refused: str | None) -> str:
        assert (subject, provider, refused) == ("user-1", "github", "old")
        if len(self.slept) >= self.linked_after:
            return "gho_0002"
        assert self.error is not None
        raise self.error

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def failing(installation: Installation, error: Exception) -> tuple[UpstreamTokensOfCallers, Failing]:
    made, tokens = UpstreamTokensOfCallers(installation.core), Failing(error)
    made.tokens = tokens  # type: ignore[assignment] # a stand-in
    return made, tokens


@pytest.mark.parametrize(
    ("error", "retry_after"), [(Unavailable(30), 30), (StoreUnavailable("the store is on a disk that is full"), 5)]
)
async def test_a_provider_or_store_that_fails_is_said_without_a_word_of_its_own(
    installation: Installation, error: Exception, retry_after: int
) -> None:
    upstream, _ = failing(installation, error)
    with pytest.raises(ServerUnavailable) as failure:
        await upstream.access_token("github", ADA, refused="old")
    assert (failure.value.provider, failure.value.retry_after) == ("GitHub", retry_after)
    assert "disk" not in str(failure.value)


async def test_somebody_who_links_has_a_while_for_it(installation: Installation) -> None:
    upstream, tokens = failing(installation, LinkMissing())
    with pytest.raises(NotLinked):
        await upstream.once_linked("github", ADA, refused="old")
    assert tokens.slept == [1] * LOOKS
    tokens.linked_after = LOOKS + 3
    assert await upstream.once_linked("github", ADA, refused="old") == "gho_0002"
    assert tokens.slept == [1] * (LOOKS + 3)


async def test_a_call_that_asks_for_a_token_costs_one_read_and_others_nothing(installation: Installation) -> None:
    server = Server("acting")

    @server.tool
    async def act(ctx: Context) -> int:
        """Act."""
        return len(await ctx.upstream_token("github"))

    @server.tool
    async def other(ctx: Context) -> int:
        """Do something else."""
        return len(ctx.user.name)

    client = Client(server)
    client.principal = ADA
    client.target = ServerTarget(server, upstream=installation.upstream)
    called = count_operations(installation.core.store)
    seen: dict[str, list[str]] = {}
    for name in ("act", "other"):
        client.name = name
        answer: dict[str, Any] = await client.call()
        assert not answer["isError"], answer
        seen[name] = called.copy()
        called.clear()
    assert seen == {"act": ["upstream_tokens.find_tokens"], "other": []}


def test_nothing_of_it_is_imported_before_a_provider_keeps_tokens() -> None:
    program = """
import sys
from gatepost import Server
from gatepost.assembly.installation import install
from gatepost.configuration.settings import load_settings
from gatepost.stores.sql.sqlite import memory_store
install(Server("plain"), load_settings({"MCP_STORAGE_URL": "memory:"}, env_file=None), store=memory_store())
late = ["gatepost.identity.upstream_tokens", "gatepost.stores.upstream_tokens", "cryptography.hazmat.primitives"]
print([name for name in late if name in sys.modules])
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert said.stdout == "[]\n"


OLD = "old-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"
NEW = "new-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"


async def test_a_sealing_key_can_go_once_a_server_was_started_with_a_newer_one_in_front(tmp_path: Path) -> None:
    async def start(keys: str) -> Installation:
        variables = {"OAUTH_STORAGE_DIR": str(tmp_path), "OAUTH_ALLOWED_USERS": "*", "MCP_SEALING_KEYS": keys}
        settings = load_settings(variables, env_file=None)
        started = install(Server("acting"), settings, provider=github(), now=lambda: NOW)
        await started.open()
        return started

    first = await start(OLD)
    await first.core.store.users.add_user(user())
    await link_github(first)
    assert first.upstream.tokens is not None
    await first.upstream.tokens.keep("user-1", "github", Identity("583231", tokens=TokenSet("gho_0001")))
    await first.close()
    await (await start(f"{NEW} {OLD}")).close()
    last = await start(NEW)
    assert await last.upstream.access_token("github", ADA, refused=None) == "gho_0001"
    await last.close()


async def test_a_stop_waits_for_a_refresh_and_keeps_what_it_brings() -> None:
    asked, answers = asyncio.Event(), asyncio.Event()

    class Slow(GitHub):
        async def refresh(self, refresh_token: str) -> TokenSet:
            assert refresh_token == "ghr_0001"
            asked.set()
            await answers.wait()
            return TokenSet("ghu_0002", "ghr_0002", (), 28800)

    made = installed(Slow("a", "b", keep_tokens=True))
    await made.open()
    await made.core.store.users.add_user(user())
    await link_github(made)
    assert made.upstream.tokens is not None
    tokens = TokenSet("ghu_0001", "ghr_0001", (), 1)
    await made.upstream.tokens.keep("user-1", "github", Identity("583231", tokens=tokens))
    made.upstream.tokens = replace(made.upstream.tokens, now=lambda: NOW + 1)
    call = asyncio.ensure_future(made.upstream.access_token("github", ADA, refused=None))
    await asked.wait()
    kept: list[KeptTokens] = []
    store = made.core.store

    async def close() -> None:
        kept.extend(await store.upstream_tokens.list_tokens(None, limit=9))

    made.core = replace(made.core, store=replace(store, close=close))
    stopping = asyncio.ensure_future(made.close())
    await asyncio.sleep(0)
    assert not stopping.done()
    answers.set()
    await stopping
    assert await call == "ghu_0002"
    assert [open_tokens(one, made.core.key_ring) for one in kept] == [TokenPair("ghu_0002", "ghr_0002")]
    await store.close()
