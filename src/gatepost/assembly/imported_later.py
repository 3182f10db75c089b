"""Questions about classes whose modules are imported when they are first used.

Most servers have one login provider and one kind of target. Importing all kinds at the start, only to find that
nothing is of them, would make every start slower.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from gatepost.fronts.command import Command
    from gatepost.fronts.merged import Merged
    from gatepost.fronts.remote import Remote
    from gatepost.identity.auth_provider import AuthProvider
    from gatepost.identity.several_logins import SeveralLogins
    from gatepost.identity.static_password import StaticPasswordProvider
    from gatepost.identity.token_holder import TokenHolder
    from gatepost.identity.upstream_login import UpstreamLogin
    from gatepost.server.json_rpc_handler import JsonRpcHandler
    from gatepost.web.resource.application import Protected
    from gatepost.web.site.direct_app import DirectApp


def is_of_imported_class(value: object, module: str, name: str) -> bool:
    """Say whether a value is of a class, without importing the module of that class.

    While it was not imported, nothing is of that class.

    Args:
        value: what is asked about.
        module: the module in which the class is defined.
        name: the class.
    """
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(value, kind)


def is_command(target: object) -> TypeIs[Command]:
    """Say whether a target is a server that is started as a command."""
    return is_of_imported_class(target, "gatepost.fronts.command", "Command")


def is_remote(target: object) -> TypeIs[Remote]:
    """Say whether a target is a server at another URL."""
    return is_of_imported_class(target, "gatepost.fronts.remote", "Remote")


def is_merged(target: object) -> TypeIs[Merged]:
    """Say whether a target is several servers at one endpoint."""
    return is_of_imported_class(target, "gatepost.fronts.merged", "Merged")


def is_protected(target: object) -> TypeIs[Protected]:
    """Say whether a target is a protected application."""
    return is_of_imported_class(target, "gatepost.web.resource.application", "Protected")


def is_json_rpc_handler(target: object) -> TypeIs[JsonRpcHandler]:
    """Say whether a target is a function with its scopes."""
    return is_of_imported_class(target, "gatepost.server.json_rpc_handler", "JsonRpcHandler")


def is_direct_app(target: object) -> TypeIs[DirectApp]:
    """Say whether a target is what `create_app` returned."""
    return is_of_imported_class(target, "gatepost.web.site.direct_app", "DirectApp")


def is_auth_provider(provider: object) -> TypeIs[AuthProvider]:
    """Say whether a login provider is one of a single method."""
    return is_of_imported_class(provider, "gatepost.identity.auth_provider", "AuthProvider")


def is_several_logins(provider: object) -> TypeIs[SeveralLogins]:
    """Say whether a login provider is several on one page."""
    return is_of_imported_class(provider, "gatepost.identity.several_logins", "SeveralLogins")


def is_static_password(provider: object) -> TypeIs[StaticPasswordProvider]:
    """Say whether a login provider asks for one password."""
    return is_of_imported_class(provider, "gatepost.identity.static_password", "StaticPasswordProvider")


def is_token_holder(provider: object) -> TypeIs[TokenHolder]:
    """Say whether a login provider gives tokens."""
    return is_of_imported_class(provider, "gatepost.identity.token_holder", "TokenHolder")


def is_upstream_login(provider: object) -> TypeIs[UpstreamLogin]:
    """Say whether a login provider is elsewhere, at a server of OAuth."""
    return is_of_imported_class(provider, "gatepost.identity.upstream_login", "UpstreamLogin")


def asks_elsewhere(provider: object) -> bool:
    """Say whether people log in where others have accounts, too, such as everybody in the world at GitHub."""
    return is_upstream_login(provider) or (is_several_logins(provider) and bool(provider.elsewhere))
