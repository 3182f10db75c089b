"""A server that runs for a test: the real app in memory, its people and their tokens."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import httpx2

from gatepost.assembly.arguments import checked_installation
from gatepost.assembly.imported_later import is_direct_app
from gatepost.assembly.site import app_for
from gatepost.configuration.deployment import MCP_PATH
from gatepost.configuration.settings import Settings, load_settings
from gatepost.late_dataclass import dataclass
from gatepost.resource.profile import Profile
from gatepost.testing.asgi_transport import StreamedASGITransport
from gatepost.testing.browser import Browser
from gatepost.testing.clock import Clock
from gatepost.testing.grants import Grants, HeldGrant
from gatepost.testing.own_task import HeldOpen
from gatepost.testing.people import SOMEBODY, NamedUser, People

if TYPE_CHECKING:
    from fastapi import FastAPI

    from gatepost.assembly.external_tokens import External
    from gatepost.assembly.installation import Installation
    from gatepost.assembly.life import Life
    from gatepost.identity.auth_provider import AuthProvider
    from gatepost.identity.entry import Allow
    from gatepost.identity.provider import IdentityProvider
    from gatepost.identity.roles import Role
    from gatepost.resource.resources import ProtectedResource
    from gatepost.stores.contract.store import Store
    from gatepost.testing.client import InProcessClient
    from gatepost.web.site.direct_app import DirectApp

_HOST: Final = "127.0.0.1"
# Calls that a test has left behind are cancelled at its end.
_IN_MEMORY: Final = {"MCP_STORAGE_URL": "memory:", "MCP_SHUTDOWN_SECONDS": "0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _World:
    """What there is while a server runs."""

    app: DirectApp
    installation: Installation
    origin: str
    state: Mapping[str, Any]
    """What the lifespan of the app gave."""
    people: People
    stack: AsyncExitStack

    def transport(self) -> httpx2.AsyncBaseTransport:
        return StreamedASGITransport(self.app, state=self.state)

    def http(self, **options: Any) -> httpx2.AsyncClient:
        client = httpx2.AsyncClient(transport=self.transport(), base_url=self.origin, **options)
        self.stack.push_async_callback(client.aclose)
        return client


class RunningServer(HeldOpen):
    """A server for the time of an `async with`, reached without a socket.

        async with RunningServer(server) as running:
            async with running.client(user="alice") as alice, running.client(user="bob") as bob:
                ...

    It is as `create_app` would serve it, with a store in memory. Neither the environment nor `.env` is read.

    Args:
        target: as for `create_app`; or what `create_app` returned, which keeps settings, store and clock of its own.
        settings: by the names of docs/settings.md, over those of a server in memory; or what `load_settings` returned.
        clock: its time; by default one that runs with the machine's.
        provider: as for `create_app`, and so are the next five.
        store: likewise.
        title: likewise.
        allow: likewise.
        roles: likewise.
        external: likewise.
        listen: whether to be at a free port of this machine as well, for clients that need a socket: `url` has it.

    Raises:
        SettingsError: at `async with`, as for `create_app`.
        TargetError: likewise.
        ValueError: something is given beside what `create_app` returned.
        RuntimeError: the event loop is not one of asyncio.
    """

    def __init__(
        self,
        target: Any,
        *,
        settings: Mapping[str, str] | Settings | None = None,
        clock: Clock | None = None,
        provider: IdentityProvider | AuthProvider | None = None,
        store: Store | None = None,
        title: str | None = None,
        allow: Allow | None = None,
        roles: Mapping[str, Role] | None = None,
        external: External | None = None,
        listen: bool = False,
    ) -> None:
        arguments: dict[str, Any] = {
            "provider": provider,
            "store": store,
            "title": title,
            "allow": allow,
            "roles": roles,
            "external": external,
        }
        if is_direct_app(target) and any(value is not None for value in (settings, clock, *arguments.values())):
            raise ValueError(
                "create_app() made this app with arguments of its own: give them there, or the server here."
            )
        self.clock = clock or Clock()
        """Moved by tests."""
        self._target, self._settings, self._arguments = target, settings, arguments
        self._listens = listen
        self._found: _World | None = None
        self._runs = False
        self._grants: Grants | None = None

    @property
    def app(self) -> FastAPI:
        """The app, for what reaches into it."""
        return self._known.app

    @property
    def origin(self) -> str:
        """Where it is, such as `http://127.0.0.1:8000`, without a slash at the end."""
        return self._known.origin

    @property
    def url(self) -> str:
        """The URL of the endpoint; of several, that at `/mcp`.

        Raises:
            ValueError: it has several, and none at `/mcp`.
        """
        return self._resource(None).identifier

    async def user(
        self,
        name: str,
        *,
        password: str | None = None,
        roles: Sequence[str] = (),
        subject: str | None = None,
        email: str | None = None,
        groups: Sequence[str] = (),
        claims: Mapping[str, Any] | None = None,
        issuer: str | None = None,
    ) -> NamedUser:
        """Add a user: an account, or with a login provider that asks elsewhere, somebody who has logged in there.

        Args:
            name: what they type at the login, or what the provider calls them.
            password: for an account that logs in (`browser`); hashing it takes a tenth of a second.
            roles: those that they are given.
            subject: what tools see as `ctx.user.subject`, the name by default. A real server makes one up.
            email: what the provider says of them, as verified.
            groups: likewise.
            claims: likewise.
            issuer: by which of several providers they log in; the first by default.

        Raises:
            ValueError: there is such a user already, name or password cannot be one, or the server has one user only.
        """
        profile = Profile(email, email is not None, tuple(groups), claims or {})
        return await self._world.people.add(
            name, password=password, roles=roles, subject=subject, profile=profile, issuer=issuer
        )

    async def grant(
        self,
        user: str = SOMEBODY,
        scopes: str | Sequence[str] | None = None,
        *,
        roles: Sequence[str] = (),
        path: str | None = None,
    ) -> HeldGrant:
        """Return tokens that a user has allowed an app to have, without a browser.

        Args:
            user: whose, by name; added where there is no such user.
            scopes: what the access token is for; by default all that the user can be given.
            roles: what the user is given before that.
            path: of the endpoint, where there are several.

        Raises:
            ValueError: there is no such scope or endpoint, or no role of the user has the scope.
        """
        resource = self._resource(path)
        person = await self._world.people.find(user, roles)
        assert self._grants is not None  # noqa: S101 - it is there while the server runs; tells mypy
        return await self._grants.give(person, resource, scopes)

    async def token(
        self,
        user: str = SOMEBODY,
        scopes: str | Sequence[str] | None = None,
        *,
        roles: Sequence[str] = (),
        path: str | None = None,
    ) -> str:
        """Return an access token; arguments and errors are those of `grant`."""
        return (await self.grant(user, scopes, roles=roles, path=path)).access_token

    def client(
        self,
        *,
        user: str | None = SOMEBODY,
        scopes: str | Sequence[str] | None = None,
        roles: Sequence[str] = (),
        path: str | None = None,
        token: str | None = None,
        era: Literal["modern", "handshake"] = "modern",
        **options: Any,
    ) -> InProcessClient:
        """Return the official client at this server; the arguments are those of `Client`."""
        from gatepost.testing.client import InProcessClient  # noqa: PLC0415 - it needs the extra `dev`, and the rest does not

        return InProcessClient(self, user=user, scopes=scopes, roles=roles, path=path, token=token, era=era, **options)

    def http(self, token: str | None = None, **options: Any) -> httpx2.AsyncClient:
        """Return an HTTP client for raw requests, at the origin; it follows no redirects.

        Args:
            token: what it sends as `Authorization: Bearer`; nothing by default.
            options: of `httpx2.AsyncClient`, such as `headers`.
        """
        headers = {**options.pop("headers", {}), **({} if token is None else {"Authorization": f"Bearer {token}"})}
        return self._world.http(headers=headers, **options)

    def transport(self) -> httpx2.AsyncBaseTransport:
        """Return the way to the app, for an `httpx2.AsyncClient` of one's own."""
        return self._world.transport()

    def url_of(self, path: str | None) -> str:
        """Return the URL of an endpoint, or of a place in an application, by its path; None as for `url`.

        Raises:
            ValueError: nothing that is served is there.
        """
        resource = self._resource(path)
        return resource.identifier if path is None else self.origin + path

    @property
    def needs_tokens(self) -> bool:
        """Whether the server asks for tokens at all."""
        return self._world.installation.core.settings.server.require_auth

    def _resource(self, path: str | None) -> ProtectedResource:
        resources = {resource.path: resource for resource in self._known.installation.resources.at(self.origin)}
        if path is None and len(resources) == 1:
            return next(iter(resources.values()))
        asked = MCP_PATH if path is None else path.rstrip("/")
        if (found := resources.get(asked)) is not None:
            return found
        # What lies below the path of an application is the application's.
        applications = self._known.installation.resources.application_paths
        around = [path for path in applications if asked.startswith(f"{path}/")]
        if not around:
            raise ValueError(f"Say by path= which endpoint: {', '.join(resources)}.")
        return resources[max(around, key=len)]

    async def browser(
        self, user: str = SOMEBODY, *, roles: Sequence[str] = (), typed: Mapping[str, str] | None = None
    ) -> Browser:
        """Return a browser of a user's, which has not logged in yet.

        Args:
            user: whose, by name; added where there is no such user. An account without a password is given one.
            roles: what the user is given before that.
            typed: what they type into the fields of a login, by name, where that is not name and password.

        Raises:
            ValueError: as for `user`.
        """
        person = await self._world.people.find(user, roles)
        return Browser(self.http(), {**await self._world.people.typed_by(person), **(typed or {})})

    def _build(self, port: int | None) -> tuple[DirectApp, Installation]:
        if is_direct_app(self._target):
            return self._target, cast("Life", self._target.life).installation
        settings = self._settings
        if settings is None or isinstance(settings, Mapping):
            settings = load_settings(env_file=None, environment={**_IN_MEMORY, **(settings or {})})
        if port is not None and isinstance(settings, Settings):
            settings = replace(settings, server=settings.server.model_copy(update={"host": _HOST, "port": port}))
        installation = checked_installation(self._target, settings=settings, now=self.clock, **self._arguments)
        return app_for(installation, announce=lambda _banner: None), installation

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            listener = stack.enter_context(socket.create_server((_HOST, 0))) if self._listens else None
            port = None if listener is None else listener.getsockname()[1]
            app, installation = self._build(port)
            state = await stack.enter_async_context(app.router.lifespan_context(app))
            deployment = installation.core.deployment
            is_elsewhere = port is not None and deployment.is_any_loopback
            world = _World(
                app=app,
                installation=installation,
                origin=f"http://{_HOST}:{port}" if is_elsewhere else deployment.public_url,
                state=state or {},
                people=People(installation),
                stack=stack,
            )
            self._found, self._grants = world, Grants(installation, world.origin, world.http())
            self._runs = True
            stack.callback(self._end)
            stack.callback(installation.stop_soon)
            if listener is not None:
                from gatepost.listening.in_loop import serving_in_loop  # noqa: PLC0415 - most tests need no socket

                seconds = installation.core.settings.server.shutdown_seconds
                await stack.enter_async_context(serving_in_loop(app, installation, listener, shutdown_seconds=seconds))
            yield

    def _end(self) -> None:
        self._runs = False

    @property
    def _world(self) -> _World:
        if not self._runs:
            raise RuntimeError(
                "The server does not run: enter it first, as in `async with RunningServer(…) as running`."
            )
        return self._known

    @property
    def _known(self) -> _World:
        """What there was when it ran last, of which its URLs are true after its end as well."""
        if self._found is None:
            raise RuntimeError("The server has not run yet: enter it, as in `async with RunningServer(…) as running`.")
        return self._found
