"""What the servers of a store serve, by what somebody types: an endpoint, and scopes of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from gatepost.cli.terminal import CommandRefused
from gatepost.configuration.deployment import MCP_PATH, resolve_deployment
from gatepost.configuration.settings import Settings
from gatepost.oauth.scopes import is_scope_token, split_scopes
from gatepost.resource.resources import canonical_identifier
from gatepost.stores.contract.endpoints import ServedEndpoint


def find_endpoint(
    given: str | None, settings: Settings, served: Sequence[ServedEndpoint]
) -> tuple[str, ServedEndpoint | None]:
    """Return the canonical URL of an endpoint, and what is known of it.

    Args:
        given: a URL, or a path at the server's own; None means the only one, or the one at `/mcp`.
        settings: say the server's own URL.
        served: what the servers of the store serve.

    Raises:
        CommandRefused: `given` is neither, or has to be said.
        SettingsError: the settings are wrong.
    """
    own = resolve_deployment(settings, is_single_user=False).public_url
    paths = [endpoint.path for endpoint in served]
    if given is None:
        if MCP_PATH not in paths and len(paths) > 1:
            raise CommandRefused(f"Say which endpoint by --resource: {', '.join(paths)}.", exit_code=2)
        given = paths[0] if paths and MCP_PATH not in paths else MCP_PATH
    try:
        resource = canonical_identifier(own + given if given.startswith("/") else given)
    except ValueError as error:
        raise CommandRefused(f"--resource takes the URL of an MCP endpoint: {error}.", exit_code=2) from None
    base, path = urlsplit(own).path, urlsplit(resource).path
    if f"{path}/".startswith(f"{base}/"):
        path = path[len(base) :]
    found = next((endpoint for endpoint in served if endpoint.path == path), None)
    if found is None and settings.server.public_url is None:
        # It may be mounted in another app, of which only the server knows at which path.
        found = next((endpoint for endpoint in served if path.endswith(endpoint.path)), None)
    return resource, found


def read_scopes(text: str, known: Collection[str] | None) -> tuple[str, ...]:
    """Return the scopes that somebody typed, in their order, each once.

    Args:
        text: such as `notes:read notes:write` or `notes:read,notes:write`.
        known: the scopes that there are; None where nobody can say.

    Raises:
        CommandRefused: one is none, or is unknown; the sentence says which there are.
    """
    scopes = split_scopes(text, known or ())
    if not all(map(is_scope_token, scopes)):
        raise CommandRefused(
            "A scope is printable ASCII without quotes or backslashes (RFC 6749 section 3.3).", exit_code=2
        )
    if known is not None and (unknown := [scope for scope in scopes if scope not in known]):
        raise CommandRefused(f"Unknown: {', '.join(unknown)}. The scopes are: {', '.join(known)}.", exit_code=2)
    return scopes
