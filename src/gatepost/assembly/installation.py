"""An installation: everything that outlives a request, from its settings to its end."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shlex
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from gatepost import __version__
from gatepost.assembly import imported_later
from gatepost.assembly.admission import entry_rule, remarks_on_roles, roles_there_are
from gatepost.assembly.banner import banner
from gatepost.assembly.chosen_login import chosen_provider
from gatepost.assembly.core import Core, build_core, wall_clock
from gatepost.assembly.endpoints import endpoints_of
from gatepost.assembly.mcp import Resources
from gatepost.assembly.upstream_tokens import UpstreamTokensOfCallers
from gatepost.configuration.settings import Settings, SettingsError
from gatepost.identity.entry import Allow, Entry
from gatepost.identity.provider import IdentityProvider
from gatepost.identity.roles import Role
from gatepost.identity.rules import TAKES
from gatepost.identity.single_user import SingleUserProvider
from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import LOCAL
from gatepost.telemetry.catalogue import CONNECTIONS
from gatepost.telemetry.seam import NO_LABELS
from gatepost.tokens.opaque import RandomBytes

if TYPE_CHECKING:
    from gatepost.assembly.external_tokens import External
    from gatepost.assembly.oauth import OAuth
    from gatepost.identity.auth_provider import AuthProvider
    from gatepost.outbound.fetching import Fetcher
    from gatepost.web.resource.external_callers import ExternalCallers

CLEAN_UP_SECONDS: Final = 1
"""How long tools that are cancelled because the server stops have for cleaning up."""

_log = logging.getLogger("gatepost.mcp")


@dataclass(slots=True, kw_only=True)
class Installation:
    """What is served, and its life."""

    core: Core
    resources: Resources
    oauth: OAuth | None
    """None where the authorization server is switched off."""
    name: str
    """For people."""
    is_single_user: bool
    notes: list[str]
    """What the operator had better know about how people log in."""
    upstream: UpstreamTokensOfCallers
    """The tokens of login providers, for tools."""
    shut_out: list[str] = field(default_factory=list[str], init=False)
    """Who cannot, once it was opened."""
    offers_setup: bool = True
    """Whether to offer it; of several workers one does, since each offer voids those before it."""
    setup_token: str | None = None
    """Of the link that creates the first account, once it was opened without one."""
    listens_at: str | None = None
    """The address or Unix socket that our own HTTP server listens on; None in somebody else's."""
    is_open: bool = False
    mounted_at: str = ""
    """The path at which the app is mounted in another one, as far as that is known."""
    _stopping: asyncio.Task[None] | None = field(default=None, init=False)

    def place(self, mounted_at: str) -> None:
        """Take notice of the path at which the app is mounted in another one; empty where it is not known.

        Raises:
            SettingsError: the public URL says another.
        """
        deployment = self.core.deployment
        if not (deployment.is_any_loopback or deployment.public_url.endswith(mounted_at)):
            raise SettingsError(
                f"The app is mounted at {mounted_at}, and MCP_PUBLIC_URL has to say so: set it to "
                f"{deployment.public_url}{mounted_at}."
            )
        self.mounted_at = mounted_at

    async def open(self, *, waits: bool = True) -> None:
        """Open the store, which it `waits` for, and offer the set-up link if no account exists. Twice is fine.

        Raises:
            SettingsError: the store does not fit the settings.
            StoreError: it cannot be opened.
        """
        if self.is_open:
            return
        self.core.waiting.is_stopped = False
        # First, so that a start that waits for its store can be seen.
        self.core.observed.open()
        await self.core.open(waits=waits)
        await self.resources.note_endpoints()
        if self.oauth is not None:
            self.setup_token = await self.oauth.open(offers_setup=self.offers_setup)
            self.shut_out = await _shut_out(self.oauth, self.core)
        self.is_open = True

    async def close(self) -> None:
        """Close the store. Closing twice is fine."""
        self.is_open = False
        if self._stopping is not None:
            self._stopping.cancel()
            self._stopping = None
        await self.upstream.settle()
        await self.core.store.close()
        await self.core.observed.close()

    @asynccontextmanager
    async def running(self, *, waits: bool = True) -> AsyncIterator[None]:
        """Be open, with all that goes on in the background, for as long as the context lasts; `waits` as `open`."""
        try:
            await self.open(waits=waits)
            async with self.core.in_background(), self.resources.running():
                yield
        finally:
            await self.close()

    def observe_connections(self, count: Callable[[], int]) -> None:
        """Have the number of open connections observed; our own server says it."""
        if self.core.telemetry is not None:
            self.core.telemetry.observe(CONNECTIONS, lambda: [(NO_LABELS, count())])

    def stop_soon(self) -> None:
        """End what would last until the clients leave, and in MCP_SHUTDOWN_SECONDS every request that is under way.

        The server is about to stop. In the event loop; another call changes nothing.
        """
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(), name="gatepost-stop")

    def stop_now(self) -> None:
        """Cancel every request that is under way; each has a moment for cleaning up."""
        self.resources.cancel(CLEAN_UP_SECONDS)

    async def _stop(self) -> None:
        self.core.waiting.is_stopped = True
        await self.resources.drain()
        seconds = self.core.settings.server.shutdown_seconds
        if under_way := len(self.resources.open_scopes):
            _log.info(
                "stopping: waiting for %s, at most %s seconds (MCP_SHUTDOWN_SECONDS); Ctrl-C again ends it at once",
                "a call" if under_way == 1 else f"{under_way} calls",
                seconds,
            )
        await asyncio.sleep(seconds)
        self.resources.cancel(CLEAN_UP_SECONDS)

    def banner(self) -> str:
        """Return what the terminal says at the start: what to paste where, and what to beware of."""
        origin, settings = self.core.deployment.public_url, self.core.settings
        is_unknown = self.listens_at is None and not {"public_url", "port"} & settings.server.model_fields_set
        origin = "" if is_unknown else origin
        if self.core.deployment.is_any_loopback:
            origin += self.mounted_at
        labels = {True: "MCP URL", False: "App"}
        rows = [(labels[endpoint.is_mcp_endpoint], origin + endpoint.path) for endpoint in self.resources.endpoints]
        rows += [("Issuer", server) for server in self.resources.authorization_servers]
        if self.setup_token is not None:
            once = "Open this link once to create the owner's account; it works until an account exists."
            rows += [("Set up", f"{origin}/oauth/setup?token={self.setup_token}"), ("", once)]
        if is_unknown:
            rows += [("", "Paths on the server that runs this app; set MCP_PUBLIC_URL to what clients call it.")]
        rows += [("Listens", sentence) for sentence in self._behind_a_proxy()]
        rows += [("Data", self.core.store.description), *(("", sentence) for sentence in self._for_commands())]
        rows += [("Docs", f"{origin}/docs"), *self.core.observed.places()]
        rows += [("Open", sentence) for sentence in self._unprotected()]
        rows += [("Note", sentence) for sentence in (*self.notes, *self.shut_out, *settings.warnings)]
        return banner(f"{self.name} is served by Gatepost {__version__}", rows)

    def _behind_a_proxy(self) -> Iterator[str]:
        """Yield where a proxy finds this server, if clients know it by another address."""
        server = self.core.settings.server
        if self.listens_at is not None and server.public_url is not None:
            trust = "" if server.trusted_proxies else "; name that proxy in MCP_TRUSTED_PROXIES (docs/proxies.md)"
            yield f"{self.listens_at}, where a proxy passes on what comes to {self.core.deployment.public_url}{trust}"

    def _for_commands(self) -> Iterator[str]:
        """Yield what makes other commands find the store, if it is not where they look by themselves."""
        oauth = self.core.settings.oauth
        folder = oauth.storage_dir.expanduser().absolute()
        is_elsewhere = "storage_dir" in oauth.model_fields_set
        if is_elsewhere and self.core.store.description == str(folder / "gatepost.db"):
            yield f"Look into it beside the server: OAUTH_STORAGE_DIR={shlex.quote(str(folder))} gatepost users list"

    def _unprotected(self) -> Iterator[str]:
        """Yield a sentence for each thing that is open."""
        settings = self.core.settings
        if not settings.server.require_auth:
            yield "MCP_REQUIRE_AUTH is false: whoever reaches this server can call every tool that needs no scope."
            if settings.server.ignore_scopes:
                yield "MCP_IGNORE_SCOPES is true: where nobody grants scopes, they can call every other tool, too."
        if settings.server.lazy_auth:
            yield "MCP_LAZY_AUTH is true: whoever reaches this server can call every tool that needs no scope."
        if self.is_single_user:
            yield "Single-user mode: nobody has to log in, and apps on this computer get access without asking."
        if settings.oauth.auto_approve and self.oauth is not None:
            yield "OAUTH_AUTO_APPROVE is true: apps get access without asking."
        if settings.external.issuer is not None:
            from gatepost.configuration.external_tokens import open_doors  # noqa: PLC0415 - most servers have no such issuer

            yield from open_doors(settings.external)


def install(
    target: Any,
    settings: Settings,
    *,
    provider: IdentityProvider | AuthProvider | None = None,
    store: Store | None = None,
    title: str | None = None,
    allow: Allow | None = None,
    roles: Mapping[str, Role] | None = None,
    external: External | None = None,
    fetcher: Fetcher | None = None,
    now: Callable[[], int] = wall_clock,
    random_bytes: RandomBytes = secrets.token_bytes,
) -> Installation:
    """Check the settings against each other and build an installation; nothing is opened yet.

    The first arguments are those of `create_app`. `fetcher` gets documents and keys of clients, from public addresses
    alone when it is None; `now` is the clock, whole seconds UTC; secrets and identifiers come from `random_bytes`.

    Raises:
        SettingsError: a setting is wrong, or the combination is unsafe.
        TargetError: a target is of another kind, or a path cannot be served.
    """
    provider, notes = chosen_provider(settings, provider)
    is_single_user = isinstance(provider, SingleUserProvider)
    entry = entry_rule(settings, allow)
    core = build_core(
        settings,
        is_single_user=is_single_user,
        store=store,
        entry=entry,
        roles=roles_there_are(settings, roles),
        now=now,
        random_bytes=random_bytes,
    )
    callers = _external_callers(core, external)
    _check_who_gets_in(settings, provider, entry, takes_others=callers is not None)
    upstream = UpstreamTokensOfCallers(core)
    endpoints = endpoints_of(target, core, title=title, upstream=upstream)
    needs_no_person = is_single_user or settings.oauth.auto_approve or settings.server.lazy_auth
    any_origin = settings.server.require_auth and not needs_no_person
    resources = Resources(core=core, endpoints=endpoints, any_origin=any_origin, external=callers)
    if core.telemetry is not None:
        resources.observe(core.telemetry)
    oauth: OAuth | None = None
    if settings.issues_tokens:
        from gatepost.assembly.oauth import build_oauth  # noqa: PLC0415 - the pages and all else are a tenth of a start

        oauth = build_oauth(
            core, resources, provider, upstream=upstream, is_single_user=is_single_user, fetcher=fetcher
        )
    return Installation(
        core=core,
        resources=resources,
        oauth=oauth,
        name=title or ", ".join(dict.fromkeys(endpoint.name for endpoint in endpoints)),
        is_single_user=is_single_user,
        notes=[*notes, *_remarks(core, resources)],
        upstream=upstream,
    )


def _external_callers(core: Core, given: External | None) -> ExternalCallers | None:
    if given is None and core.settings.external.issuer is None:
        return None
    from gatepost.assembly.external_tokens import external_callers  # noqa: PLC0415 - most servers take no such tokens

    return external_callers(core, given)


def _remarks(core: Core, resources: Resources) -> Iterator[str]:
    for endpoint in resources.endpoints:
        yield from endpoint.remarks
    yield from remarks_on_roles(core.roles, resources.scopes, resources.implied_scopes)
    if core.settings.external.model_fields_set:
        from gatepost.configuration.external_tokens import remarks_on_external_tokens  # noqa: PLC0415 - few servers set any

        yield from remarks_on_external_tokens(core.settings.external, is_public=core.deployment.is_public)


def _check_who_gets_in(
    settings: Settings, provider: IdentityProvider | None, entry: Entry, *, takes_others: bool
) -> None:
    """Refuse to serve where nobody could get in, or more people could than the operator has said.

    Raises:
        SettingsError: it is so.
    """
    has_other_way = takes_others or settings.server.api_key is not None
    if settings.server.require_auth and not settings.issues_tokens and not has_other_way:
        raise SettingsError(
            "Nobody could get in: MCP_REQUIRE_AUTH is true, the authorization server is off, no tokens of others count "
            "and there is no MCP_API_KEY. Set OAUTH_ISSUER to whose tokens count, or MCP_API_KEY, or "
            "OAUTH_ENABLED=true, or MCP_REQUIRE_AUTH=false."
        )
    if imported_later.asks_elsewhere(provider) and entry.rule is None and settings.issues_tokens:
        raise SettingsError(
            f"OAUTH_ALLOWED_USERS has to say who may enter, of all whom the login provider lets in. It takes {TAKES}."
        )
    if settings.server.ignore_scopes and settings.server.require_auth:
        raise SettingsError(
            "MCP_IGNORE_SCOPES is for servers that check no tokens. Take it away, or set MCP_REQUIRE_AUTH=false if "
            "everybody who reaches this server shall be served."
        )
    if settings.server.lazy_auth and (settings.oauth.required_scope or not settings.server.require_auth):
        raise SettingsError(
            "MCP_LAZY_AUTH serves what needs no scope without a token, which does not go together with "
            "OAUTH_REQUIRED_SCOPE or MCP_REQUIRE_AUTH=false."
        )


async def _shut_out(oauth: OAuth, core: Core) -> list[str]:
    """Say who cannot log in because of ADMIN_PASSWORD, or because people log in elsewhere."""
    provider = oauth.provider
    if (
        imported_later.is_upstream_login(provider) or imported_later.is_several_logins(provider)
    ) and provider.issuer != LOCAL:
        because = "people log in elsewhere and OAUTH_LOCAL_ACCOUNTS is not set"
    elif imported_later.is_static_password(provider) and core.settings.oauth.admin_password is not None:
        because = "ADMIN_PASSWORD is set"
    else:
        return []
    count = sum(user.issuer == LOCAL for user in await core.store.users.list_users())
    if not count:
        return []
    accounts = "The local account" if count == 1 else f"The {count} local accounts"
    said = (
        f"{accounts} of this store cannot log in while {because}. "
        "Apps that were allowed before keep their access; gatepost users disable NAME ends it."
    )
    return [said]
