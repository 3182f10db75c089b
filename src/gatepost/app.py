"""`create_app()` and `run()`: the two ways to serve."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from gatepost.configuration.settings import Settings, SettingsError, load_settings
from gatepost.listening import WORKER_VARIABLE

if TYPE_CHECKING:
    from starlette.middleware import Middleware
    from starlette.types import ASGIApp

    from gatepost.assembly.external_tokens import External
    from gatepost.assembly.installation import Installation
    from gatepost.configuration.sections import ServerSettings
    from gatepost.identity.auth_provider import AuthProvider
    from gatepost.identity.entry import Allow
    from gatepost.identity.provider import IdentityProvider
    from gatepost.identity.roles import Role
    from gatepost.listening.listeners import Address, Where
    from gatepost.listening.worker import Worker
    from gatepost.server.server import Server
    from gatepost.stores.contract.store import Store
    from gatepost.web.site.direct_app import DirectApp

    Around: TypeAlias = Callable[[ASGIApp, Installation], ASGIApp]


def create_app(
    target: Any = None,
    *,
    mcp: Any = None,
    settings: Settings | None = None,
    provider: IdentityProvider | AuthProvider | None = None,
    store: Store | None = None,
    title: str | None = None,
    allow: Allow | None = None,
    roles: Mapping[str, Role] | None = None,
    external: External | None = None,
    announce: Callable[[str], None] | None = None,
) -> DirectApp:
    """Return a FastAPI app that serves `target` at /mcp behind the built-in authorization server.

    Args:
        target: a `Server`, or a JSON-RPC function `dict -> dict | None`, sync or async, or a server of FastMCP or of
            the official Python SDK, or an ASGI application as `Protected(app)`; or a mapping from paths to such, as in
            `{"/notes/mcp": notes, "/mail/mcp": mail}`: each is a resource with its own scopes and tokens.
        mcp: another name for `target`.
        settings: what `load_settings()` returns; read from the environment when None.
        provider: who is the user; local accounts when None.
        store: where everything is kept; what the settings name when None.
        title: the server's name for people; the `Server`'s own when None.
        allow: who may enter, of all for whom the provider vouches: words as OAUTH_ALLOWED_USERS takes them, or a
            function that is asked about an `Identity`, at each login and refresh; what the settings say when None.
        roles: named sets of scopes, and who has them; beside those of the settings.
        external: whose tokens count beside our own: an `ExternalIssuer`, an `IntrospectedIssuer`, a
            `TokenValidator`, or several.
        announce: gets the start-up banner; printed to standard error when None.

    Raises:
        SettingsError: a setting or an argument is wrong, or the combination is unsafe; each sentence says what to set.
        TargetError: `target` is neither a Server nor a function nor a mapping to such, or a path cannot be served.
    """
    # Imported here, as in `run`: importing `gatepost` costs nothing, and the web framework much.
    from gatepost.assembly.arguments import checked_installation  # noqa: PLC0415 - see above
    from gatepost.assembly.site import app_for  # noqa: PLC0415 - see above

    installation = checked_installation(
        _only(target, mcp),
        settings=settings,
        provider=provider,
        store=store,
        title=title,
        allow=allow,
        roles=roles,
        external=external,
    )
    return app_for(installation, announce=announce or _print_banner, hears_signals=True)


def bare_app(server: Server) -> ASGIApp:
    """Return what `Server.app` is: the endpoint of a server alone, for an app around that knows its callers.

    Raises:
        SettingsError: a setting is wrong.
    """
    from gatepost.assembly.bare import BareEndpoint  # noqa: PLC0415 - as in `create_app`
    from gatepost.assembly.installation import install  # noqa: PLC0415 - likewise
    from gatepost.assembly.site import app_for  # noqa: PLC0415 - likewise

    said = load_settings()
    # Tokens, pages and addresses of ours are none of its business; sessions are kept where the settings say.
    own = {"require_auth": False, "lazy_auth": False, "api_key": None, "public_url": None, "uds": None}
    storage_url = said.server.storage_url or "memory:"
    settings = replace(
        said,
        server=said.server.model_copy(update={**own, "host": "127.0.0.1", "storage_url": storage_url}),
        oauth=said.oauth.model_copy(update={"enabled": False}),
    )
    installation = install(server, settings)
    is_open = "require_auth" in said.server.model_fields_set and not said.server.require_auth
    return BareEndpoint(installation, app_for(installation, announce=lambda _banner: None), is_open=is_open)


def run(
    target: Any = None,
    *,
    mcp: Any = None,
    host: str | None = None,
    port: int | None = None,
    workers: int | None = None,
    title: str | None = None,
    settings: Settings | None = None,
    provider: IdentityProvider | AuthProvider | None = None,
    middleware: Sequence[Middleware] = (),
    allow: Allow | None = None,
    roles: Mapping[str, Role] | None = None,
    external: External | None = None,
) -> None:
    """Serve `target` until SIGINT or SIGTERM, then let open requests finish: the last line of a program.

    What keeps it from serving is said on standard error, in a sentence for each thing, without a traceback.

    Args:
        target: as for `create_app`, or what `create_app` returned, which keeps the settings that it was made with.
        mcp: another name for `target`.
        host: the address to listen on; beats MCP_HOST.
        port: the port to listen on, 0 for any free one; beats MCP_PORT.
        workers: how many processes serve, each of which runs the program up to here; beats MCP_WORKERS.
        title: as for `create_app`.
        settings: as for `create_app`; `host`, `port` and `workers` beat them, too.
        provider: as for `create_app`.
        allow: as for `create_app`.
        roles: as for `create_app`.
        external: as for `create_app`.
        middleware: put around the app, the first outermost; `create_app` returns an app that takes it by itself.

    Raises:
        SystemExit: it cannot serve: 2 for what the caller has to change, 1 for a store that cannot be opened, or a
            `Command` that does not start; or no worker comes up any more.
        RuntimeError: an event loop runs in this thread.
    """
    from gatepost.configuration.loading import TargetError  # noqa: PLC0415 - as in `create_app`
    from gatepost.stores.contract.errors import StoreError  # noqa: PLC0415 - likewise

    try:
        serve_target(
            _only(target, mcp),
            host=host,
            port=port,
            workers=workers,
            title=title,
            settings=settings,
            provider=provider,
            middleware=middleware,
            allow=allow,
            roles=roles,
            external=external,
        )
    except (SettingsError, TargetError, StoreError) as error:
        for sentence in str(error).splitlines():
            print(f"gatepost: {sentence}", file=sys.stderr)  # noqa: T201 - whoever started the program reads this
        raise SystemExit(1 if isinstance(error, StoreError) else getattr(error, "exit_code", 2)) from None


def serve_target(
    target: Any,
    *,
    host: str | None = None,
    port: int | None = None,
    workers: int | None = None,
    title: str | None = None,
    settings: Settings | None = None,
    provider: IdentityProvider | AuthProvider | None = None,
    middleware: Sequence[Middleware] = (),
    allow: Allow | None = None,
    roles: Mapping[str, Role] | None = None,
    external: External | None = None,
    worker: Worker | None = None,
    around: Around = lambda app, _installation: app,
) -> None:
    """Do what `run` does, for callers that say themselves what keeps it from serving.

    `worker` is this process as one; `around` returns what is served of the app and what it belongs to.

    Raises:
        SettingsError, TargetError: as for `create_app`; also when the address cannot be listened on.
        StoreError: the store cannot be opened.
        RuntimeError: an event loop runs in this thread.
    """
    from gatepost.assembly.arguments import check_arguments  # noqa: PLC0415 - as in `create_app`
    from gatepost.assembly.imported_later import is_direct_app  # noqa: PLC0415 - likewise
    from gatepost.assembly.installation import install  # noqa: PLC0415 - likewise
    from gatepost.assembly.trials import try_fronts  # noqa: PLC0415 - likewise
    from gatepost.listening.serving import serve  # noqa: PLC0415 - an app that is embedded elsewhere needs no server
    from gatepost.observability.logs import configure_logging  # noqa: PLC0415 - likewise

    check_arguments(settings=settings, provider=provider, title=title, allow=allow, roles=roles, external=external)
    check_arguments(host=host, port=port, workers=workers, middleware=middleware)
    chosen = settings or load_settings(_given({"MCP_HOST": host, "MCP_PORT": None if port is None else str(port)}))
    server = chosen.server.model_copy(update=_given({"host": host, "port": port and int(port), "workers": workers}))
    if worker is None and has_served_by_workers(replace(chosen, server=server)):
        return
    worker = worker or this_worker()
    try_fronts(target, chosen, say=_print_banner)
    installed = partial(install, target, provider=provider, title=title, allow=allow, roles=roles, external=external)

    def build(address: Address) -> tuple[ASGIApp, Installation]:
        if is_direct_app(target):
            is_plain = (provider, title, allow, roles, external) == (None,) * 5 and not middleware
            return around(target, taken := _taken_over(target, worker, is_plain=is_plain)), taken
        installation = installed(replace(chosen, server=server.model_copy(update=_there(address))))
        installation.listens_at = _as_text(address)
        _fit_among_workers(installation, worker)
        return around(_app_around(installation, middleware, _announce_of(worker)), installation), installation

    configure_logging(server.log_level, log_format=server.log_format)
    serve(
        build,
        _where(server),
        shutdown_seconds=server.shutdown_seconds,
        trusted_proxies=server.trusted_proxies,
        worker=worker,
        worker_timeout=server.worker_timeout,
    )


def _there(address: Address) -> dict[str, Any]:
    """Return where the server listens as settings say it."""
    return {"uds": address} if isinstance(address, str) else {"uds": None, "host": address[0], "port": address[1]}


def _as_text(address: Address) -> str:
    from gatepost.configuration.deployment import host_and_port  # noqa: PLC0415 - as in `create_app`

    return address if isinstance(address, str) else host_and_port(*address)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def has_served_by_workers(settings: Settings) -> bool:
    """Be the parent of several workers until they have ended, where the settings want several; then return True.

    False at once in a process that serves: there is to be one only, or this is one of the workers.

    Raises:
        SettingsError: several cannot be had here, or the address cannot be listened on.
        SystemExit: the first worker does not come up, or later none does any more.
    """
    server = settings.server
    if server.workers == 1 or WORKER_VARIABLE in os.environ:
        return False
    if os.name != "posix":
        raise SettingsError(
            "Workers share a listener in a way that this system does not have: leave --workers (MCP_WORKERS) out."
        )
    from gatepost.listening.workers import serve_with_workers  # noqa: PLC0415 - most servers are one process
    from gatepost.observability.logs import configure_logging  # noqa: PLC0415 - as in `create_app`

    configure_logging(server.log_level, log_format=server.log_format)
    serve_with_workers(_where(server), server.workers, metrics=settings.observability.metrics_address)
    return True


def this_worker() -> Worker | None:
    """Return this process as one of several workers; None where it is none. It is known once, to the first caller."""
    if WORKER_VARIABLE not in os.environ:
        return None
    from gatepost.listening.worker import this_worker as found  # noqa: PLC0415 - most servers are one process

    return found(os.environ)


def _where(server: ServerSettings) -> Where:
    from gatepost.listening.listeners import Where  # noqa: PLC0415 - as in `create_app`

    return Where(host=server.host, port=server.port, uds=server.uds, fd=server.fd, reuse_port=server.reuse_port)


def _fit_among_workers(installation: Installation, worker: Worker | None) -> None:
    """Have one of several workers offer the set-up link alone; raises SettingsError for what cannot be shared."""
    installation.core.observed.is_own_server = worker is None
    if worker is not None:
        from gatepost.assembly.workers import check_for_workers  # noqa: PLC0415 - most servers are one process

        if not worker.is_alone:
            check_for_workers(installation)
        installation.offers_setup = worker.is_first
        installation.core.observed.place = worker.metrics


def _announce_of(worker: Worker | None) -> Callable[[str], None]:
    """Return what gets the banner, which one worker shows for all."""
    return _print_banner if worker is None or worker.is_first else lambda _banner: None


def _app_around(
    installation: Installation, middleware: Sequence[Middleware], announce: Callable[[str], None]
) -> ASGIApp:
    """Return what our own server serves of an installation."""
    from gatepost.assembly.site import app_for, served_app_for  # noqa: PLC0415 - as in `create_app`

    if not middleware:
        return served_app_for(installation, announce=announce)
    app = app_for(installation, announce=announce)
    for each in reversed(middleware):
        app.add_middleware(each.cls, *each.args, **each.kwargs)
    return app


def _only(target: Any, mcp: Any) -> Any:
    """Return the one of two names for what is served that was given."""
    from gatepost.configuration.loading import TargetError  # noqa: PLC0415 - as in `create_app`

    if (target is None) is (mcp is None):
        raise TargetError("Name what is served once: create_app(server), or create_app(mcp=server).")
    return mcp if target is None else target


def _taken_over(app: DirectApp, worker: Worker | None, *, is_plain: bool) -> Installation:
    """Return the installation of an app that `create_app` made; our server ends its streams from now on."""
    from gatepost.assembly.life import Life  # noqa: PLC0415 - as in `create_app`
    from gatepost.configuration.loading import TargetError  # noqa: PLC0415 - likewise

    if not is_plain:
        raise TargetError("create_app() made this app already: give it all else there.")
    life = cast("Life", app.life)
    life.hears_signals = False
    _fit_among_workers(life.installation, worker)
    if worker is not None and not worker.is_first:
        life.announce = _announce_of(worker)
    return life.installation


def _print_banner(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the terminal is where the set-up link belongs, not the log
