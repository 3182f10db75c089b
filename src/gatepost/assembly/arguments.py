"""The arguments of `create_app` and `run`, checked before anything is built of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from gatepost.assembly.core import wall_clock
from gatepost.assembly.installation import Installation, install
from gatepost.configuration.settings import Settings, SettingsError, load_settings
from gatepost.identity.roles import Role
from gatepost.stores.contract.store import Store

if TYPE_CHECKING:
    from gatepost.assembly.external_tokens import External
    from gatepost.identity.auth_provider import AuthProvider
    from gatepost.identity.entry import Allow
    from gatepost.identity.provider import IdentityProvider


def checked_installation(
    target: Any,
    *,
    settings: Settings | None = None,
    provider: IdentityProvider | AuthProvider | None = None,
    store: Store | None = None,
    title: str | None = None,
    allow: Allow | None = None,
    roles: Mapping[str, Role] | None = None,
    external: External | None = None,
    now: Callable[[], int] = wall_clock,
) -> Installation:
    """Return what `create_app` makes an app of. The arguments are its own, and `now` is the clock.

    Raises:
        SettingsError: as for `create_app`.
        TargetError: likewise.
    """
    check_arguments(
        settings=settings, provider=provider, store=store, title=title, allow=allow, roles=roles, external=external
    )
    return install(
        target,
        settings or load_settings(),
        provider=provider,
        store=store,
        title=title,
        allow=allow,
        roles=roles,
        external=external,
        now=now,
    )


def check_arguments(**given: Any) -> None:
    """Raise SettingsError for arguments that are something else than they are to be; None is always fine."""
    wrong = [name for name, value in given.items() if value is not None and not _FITS[name][0](value)]
    if wrong:
        raise SettingsError(*(f"{name}= takes {_FITS[name][1]}; {_shown(given[name])} was given." for name in wrong))


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, (int, float)) else f"a {type(value).__name__}"


def _is_external(value: Any) -> bool:
    from gatepost.assembly.external_tokens import is_external  # noqa: PLC0415 - most servers take no such tokens

    return is_external(value)


def _is_port(value: Any) -> bool:
    # A text as well: hosting platforms say it in a variable.
    is_number = type(value) is int or (type(value) is str and value.isascii() and value.isdecimal())
    return is_number and 0 <= int(value) <= 65_535  # noqa: PLR2004 - RFC 9293 section 3.1


def _is_middleware(value: Any) -> bool:
    from starlette.middleware import Middleware  # noqa: PLC0415 - most programs give none

    return isinstance(value, Sequence) and all(isinstance(each, Middleware) for each in value)


_FITS: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "settings": (lambda value: isinstance(value, Settings), "what load_settings() returns"),
    "provider": (
        lambda value: hasattr(value, "name") and not isinstance(value, type),
        "an IdentityProvider, such as SingleUserProvider()",
    ),
    "store": (lambda value: isinstance(value, Store), "a Store; for one by its URL, set MCP_STORAGE_URL"),
    "title": (lambda value: isinstance(value, str), "a text, the server's name for people"),
    "allow": (lambda value: callable(value) or isinstance(value, Iterable), "words of a rule, or a function"),
    "roles": (
        lambda value: isinstance(value, Mapping) and all(isinstance(role, Role) for role in value.values()),
        "a mapping from names to Role(...)",
    ),
    "external": (
        _is_external,
        "an ExternalIssuer(...), an IntrospectedIssuer(...) or a TokenValidator, or a list of such",
    ),
    "host": (lambda value: isinstance(value, str) and value != "", "an address to listen on, such as 127.0.0.1"),
    "middleware": (_is_middleware, "a list of Middleware(...) of starlette.middleware"),
    "workers": (lambda value: type(value) is int and 1 <= value <= 128, "how many processes serve, 1 to 128"),  # noqa: PLR2004 - as MCP_WORKERS
    "port": (_is_port, "a port number from 0 to 65535"),
}
"""For each argument whether a value fits, and what it takes."""
