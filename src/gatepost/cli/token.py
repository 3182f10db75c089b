"""`gatepost token mint`: an access token without a browser, for tests and scripts."""

from __future__ import annotations

import argparse
import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gatepost.cli.open_store import with_store
from gatepost.cli.output import complain, say

if TYPE_CHECKING:
    from gatepost.configuration.settings import Settings
    from gatepost.oauth.issuing import SignAccessToken, Tokens
    from gatepost.stores.contract.store import Store

CLIENT_ID = "gatepost-cli"
"""The client of every grant that is made here; it is not registered, so nobody else can use it."""


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `token` and its action."""
    parser = commands.add_parser("token", help="make access tokens", description="Make access tokens.")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    action = actions.add_parser(
        "mint",
        help="make an access token and print it, once",
        description="Make an access token for tests and scripts and print it, once. "
        "It is a grant like any other: gatepost grants list shows it, gatepost grants revoke ends it.",
    )
    whose = action.add_mutually_exclusive_group(required=True)
    whose.add_argument("--user", metavar="NAME", help="whose token it is: a local account")
    whose.add_argument("--subject", metavar="SUBJECT", help="whose token it is, where there is no account for it")
    action.add_argument("--scope", default="", metavar="SCOPES", help='such as "notes:read notes:write"')
    action.add_argument("--resource", metavar="URL", help="the MCP endpoint's URL (default: the server's own)")
    action.add_argument(
        "--lifetime", type=int, metavar="SECONDS", help="how long it counts (default: OAUTH_ACCESS_TOKEN_TTL)"
    )
    action.set_defaults(run=mint)


def mint(options: argparse.Namespace) -> int:
    """Print a new access token. Exit code 1 when there is no such account, 2 when an argument is wrong."""
    from gatepost.assembly.endpoints import MCP_PATH  # noqa: PLC0415 - likewise
    from gatepost.configuration.deployment import resolve_deployment  # noqa: PLC0415 - with the rest of the work
    from gatepost.configuration.settings import load_settings  # noqa: PLC0415 - likewise
    from gatepost.oauth.errors import InvalidScope  # noqa: PLC0415 - likewise
    from gatepost.oauth.scopes import parse_scope  # noqa: PLC0415 - likewise
    from gatepost.resource.identifiers import canonical_identifier  # noqa: PLC0415 - likewise

    settings = load_settings()
    if options.lifetime is not None and options.lifetime <= 0:
        complain("--lifetime takes a number of seconds above 0.")
        return 2
    try:
        scopes = parse_scope(options.scope)
        own = resolve_deployment(settings, is_single_user=False).public_url + MCP_PATH
        resource = canonical_identifier(options.resource or own)
    except InvalidScope as error:
        complain(error.description)
        return 2
    except ValueError as error:
        complain(f"--resource takes the URL of an MCP endpoint: {error}.")
        return 2
    tokens = with_store(lambda store: _mint(store, settings, options, scopes=scopes, resource=resource))
    if tokens is None:
        complain(f"There is no account {options.user} that is not disabled; see gatepost users list.")
        return 1
    say(tokens.access_token)
    return 0


async def _mint(
    store: Store, settings: Settings, options: argparse.Namespace, *, scopes: tuple[str, ...], resource: str
) -> Tokens | None:
    """Keep a grant with an access token; None when the account is not there or disabled."""
    from gatepost.identity.usernames import canonical_username  # noqa: PLC0415 - with the rest of the work
    from gatepost.oauth.issuing import mint_tokens  # noqa: PLC0415 - likewise
    from gatepost.oauth.policy import Lifetimes  # noqa: PLC0415 - likewise
    from gatepost.oauth.records import Grant  # noqa: PLC0415 - likewise
    from gatepost.tokens.opaque import identifier  # noqa: PLC0415 - likewise

    subject = options.subject
    if subject is None:
        try:
            user = await store.users.find_user(canonical_username(options.user))
        except ValueError:
            user = None
        if user is None or user.disabled_at is not None:
            return None
        subject = user.subject
    now = int(time.time())
    lifetime = settings.oauth.access_token_ttl if options.lifetime is None else options.lifetime
    grant = Grant(
        grant_id=identifier("grant_", secrets.token_bytes),
        subject=subject,
        client_id=CLIENT_ID,
        resource=resource,
        scopes=scopes,
        created_at=now,
        # Nothing can be refreshed here, so the grant ends with its token.
        expires_at=now + lifetime,
    )
    tokens, rows = mint_tokens(
        grant,
        scopes=scopes,
        with_refresh_token=False,
        now=now,
        lifetimes=replace(Lifetimes(), access_token=lifetime),
        random_bytes=secrets.token_bytes,
        sign=await _signer(store, settings, resource=resource, now=now),
    )
    await store.approvals.give_grant(grant, rows)
    return tokens


async def _signer(store: Store, settings: Settings, *, resource: str, now: int) -> SignAccessToken | None:
    """Return what signs the token, as the server at the resource's origin would; None where tokens are opaque."""
    from gatepost.cli.keys import own_key_ring  # noqa: PLC0415 - with the rest of the work
    from gatepost.configuration.sealing_keys import signing_keys_of  # noqa: PLC0415 - likewise

    if settings.oauth.access_token_format == "opaque":
        return None
    from gatepost.stores.signed_tokens import SignedTokens  # noqa: PLC0415 - only where it is used

    ring = await own_key_ring(store, settings)
    keys = signing_keys_of(settings, store, ring, now=lambda: int(time.time()), random_bytes=secrets.token_bytes)
    assert keys is not None  # noqa: S101 - the format is jwt; tells mypy
    await keys.open()
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(resource))
    return await SignedTokens(keys=keys, issuer=origin).signer(now)
