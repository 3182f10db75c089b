"""Gatepost: Python tools on the open internet as an MCP server, with the lock built in.

    from gatepost import Server, Context

    server = Server("notes")

    @server.tool(scopes=["notes:write"])
    async def add(text: str, ctx: Context) -> str:
        "Keep a note."
        return f"{ctx.user.subject} noted: {text}"

Names are imported at first use, so that a script that only declares tools does not pay for the web framework.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "Arguments",
    "Auth0",
    "AuthProvider",
    "Call",
    "CallNext",
    "Claims",
    "ClientError",
    "Command",
    "Completion",
    "Context",
    "CountedPhrase",
    "Depends",
    "Discord",
    "Elicit",
    "ElicitURL",
    "Entra",
    "Extension",
    "ExternalIssuer",
    "GitHub",
    "GitLab",
    "Google",
    "Identity",
    "IdentityProvider",
    "InsufficientScope",
    "IntrospectedIssuer",
    "InvalidAnswer",
    "JsonRpcHandler",
    "Keycloak",
    "ListRoots",
    "Login",
    "LoginField",
    "LoginRefused",
    "LoginRoute",
    "LoginStep",
    "LoginUnavailable",
    "Merged",
    "MissingRequiredClientCapability",
    "NoArguments",
    "NoPerson",
    "NotLinked",
    "OAuth2",
    "Okta",
    "OpenIDConnect",
    "Phrase",
    "Prompt",
    "PromptMessage",
    "Protected",
    "ProtectedMCPAppConfig",
    "ProtectedResourceMetadata",
    "Remote",
    "Resource",
    "ResourceNotFound",
    "Role",
    "Sample",
    "ScopeMap",
    "Server",
    "SeveralLogins",
    "SingleUserProvider",
    "StaticPasswordProvider",
    "TaskOptions",
    "Tasks",
    "TextContent",
    "TokenInfo",
    "TokenValidator",
    "Tool",
    "ToolError",
    "ToolInvocationError",
    "UnknownUpstream",
    "UpstreamUnavailable",
    "__version__",
    "all_of",
    "any_of",
    "continue_as_task",
    "create_app",
    "create_protected_mcp_app",
    "get_current_sub",
    "run",
    "run_stdio",
    "well_known_routes",
]

if TYPE_CHECKING:
    from mcp_types import PromptMessage, TextContent

    from gatepost.app import create_app, run
    from gatepost.extensions.tasks.extension import Tasks, continue_as_task
    from gatepost.fronts.command import Command
    from gatepost.fronts.merged import Merged
    from gatepost.fronts.remote import Remote
    from gatepost.identity.auth_provider import AuthProvider
    from gatepost.identity.entra import Entra
    from gatepost.identity.github import GitHub
    from gatepost.identity.google import Google
    from gatepost.identity.oauth2 import Discord, OAuth2
    from gatepost.identity.openid_connect import OpenIDConnect
    from gatepost.identity.openid_presets import Auth0, GitLab, Keycloak, Okta
    from gatepost.identity.provider import (
        Identity,
        IdentityProvider,
        Login,
        LoginField,
        LoginRefused,
        LoginRoute,
        LoginStep,
        LoginUnavailable,
    )
    from gatepost.identity.roles import Role
    from gatepost.identity.several_logins import SeveralLogins
    from gatepost.identity.single_user import SingleUserProvider
    from gatepost.identity.static_password import StaticPasswordProvider
    from gatepost.outbound.external_issuer import ExternalIssuer
    from gatepost.outbound.introspected_issuer import IntrospectedIssuer
    from gatepost.protected_app import ProtectedMCPAppConfig, ProtectedResourceMetadata, create_protected_mcp_app
    from gatepost.protocol.errors import MissingRequiredClientCapability
    from gatepost.resource.external_tokens import Claims, TokenInfo, TokenValidator
    from gatepost.resource.scope_map import ScopeMap
    from gatepost.resource.scope_needs import all_of, any_of
    from gatepost.server.calls.arguments import Arguments
    from gatepost.server.calls.around import Call, CallNext
    from gatepost.server.calls.client_requests import Elicit, ElicitURL, InvalidAnswer, ListRoots, Sample
    from gatepost.server.calls.context import Context
    from gatepost.server.calls.current_caller import get_current_sub
    from gatepost.server.calls.models import NoArguments
    from gatepost.server.calls.pending_client_requests import ClientError
    from gatepost.server.calls.upstream import NoPerson, NotLinked, UnknownUpstream, UpstreamUnavailable
    from gatepost.server.declared.completion import Completion
    from gatepost.server.declared.depends import Depends
    from gatepost.server.declared.extension_options import TaskOptions
    from gatepost.server.declared.prompts import Prompt
    from gatepost.server.declared.resources import Resource
    from gatepost.server.declared.tools import Tool
    from gatepost.server.errors import InsufficientScope, ResourceNotFound, ToolError, ToolInvocationError
    from gatepost.server.extension import Extension
    from gatepost.server.json_rpc_handler import JsonRpcHandler
    from gatepost.server.server import Server
    from gatepost.stdio.serving import run_stdio
    from gatepost.web.resource.application import Protected
    from gatepost.web.site.mounting import well_known_routes
    from gatepost.wording.phrase import CountedPhrase, Phrase

_NAMES = {
    "gatepost.app": ("create_app", "run"),
    "gatepost.extensions.tasks.extension": ("Tasks", "continue_as_task"),
    "gatepost.fronts.command": ("Command",),
    "gatepost.fronts.merged": ("Merged",),
    "gatepost.fronts.remote": ("Remote",),
    "gatepost.identity.auth_provider": ("AuthProvider",),
    "gatepost.identity.entra": ("Entra",),
    "gatepost.identity.github": ("GitHub",),
    "gatepost.identity.google": ("Google",),
    "gatepost.identity.oauth2": ("Discord", "OAuth2"),
    "gatepost.identity.openid_connect": ("OpenIDConnect",),
    "gatepost.identity.openid_presets": ("Auth0", "GitLab", "Keycloak", "Okta"),
    "gatepost.identity.provider": (
        "Identity",
        "IdentityProvider",
        "Login",
        "LoginField",
        "LoginRefused",
        "LoginRoute",
        "LoginStep",
        "LoginUnavailable",
    ),
    "gatepost.identity.roles": ("Role",),
    "gatepost.identity.several_logins": ("SeveralLogins",),
    "gatepost.identity.single_user": ("SingleUserProvider",),
    "gatepost.identity.static_password": ("StaticPasswordProvider",),
    "gatepost.outbound.external_issuer": ("ExternalIssuer",),
    "gatepost.outbound.introspected_issuer": ("IntrospectedIssuer",),
    "gatepost.protected_app": ("ProtectedMCPAppConfig", "ProtectedResourceMetadata", "create_protected_mcp_app"),
    "gatepost.protocol.errors": ("MissingRequiredClientCapability",),
    "gatepost.resource.external_tokens": ("Claims", "TokenInfo", "TokenValidator"),
    "gatepost.resource.scope_map": ("ScopeMap",),
    "gatepost.resource.scope_needs": ("all_of", "any_of"),
    "gatepost.server.calls.arguments": ("Arguments",),
    "gatepost.server.calls.around": ("Call", "CallNext"),
    "gatepost.server.calls.client_requests": ("Elicit", "ElicitURL", "InvalidAnswer", "ListRoots", "Sample"),
    "gatepost.server.calls.context": ("Context",),
    "gatepost.server.calls.current_caller": ("get_current_sub",),
    "gatepost.server.calls.models": ("NoArguments",),
    "gatepost.server.calls.pending_client_requests": ("ClientError",),
    "gatepost.server.calls.upstream": ("NoPerson", "NotLinked", "UnknownUpstream", "UpstreamUnavailable"),
    "gatepost.server.declared.completion": ("Completion",),
    "gatepost.server.declared.depends": ("Depends",),
    "gatepost.server.declared.extension_options": ("TaskOptions",),
    "gatepost.server.declared.prompts": ("Prompt",),
    "gatepost.server.declared.resources": ("Resource",),
    "gatepost.server.declared.tools": ("Tool",),
    "gatepost.server.errors": ("InsufficientScope", "ResourceNotFound", "ToolError", "ToolInvocationError"),
    "gatepost.server.extension": ("Extension",),
    "gatepost.server.json_rpc_handler": ("JsonRpcHandler",),
    "gatepost.server.server": ("Server",),
    "gatepost.stdio.serving": ("run_stdio",),
    "gatepost.web.resource.application": ("Protected",),
    "gatepost.web.site.mounting": ("well_known_routes",),
    "gatepost.wording.phrase": ("CountedPhrase", "Phrase"),
    "mcp_types": ("PromptMessage", "TextContent"),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name from its home."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'gatepost' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
