"""`gatepost token mint`: an access token without a browser, for tests and scripts."""

from __future__ import annotations

import argparse
import secrets
import time
from urllib.parse import urlsplit

from gatepost.cli.accounts import find_person
from gatepost.cli.keys import own_key_ring
from gatepost.cli.open_store import audit, with_store
from gatepost.cli.served import find_endpoint, read_scopes
from gatepost.cli.terminal import Actions, CommandRefused, complain, say
from gatepost.configuration.sealing_keys import signing_keys_of
from gatepost.configuration.settings import Settings, load_settings
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.issuing import SignAccessToken, Tokens, mint_single_token
from gatepost.resource.principal import COMMAND_LINE_CLIENT
from gatepost.stores.contract.store import Store
from gatepost.stores.signed_tokens import SignedTokens


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the action of `token`."""
    action = Actions(parser).add(
        "mint",
        mint,
        "make an access token and print it, once",
        description="Make an access token for tests and scripts and print it, once. "
        "It is a grant like any other: gatepost grants list shows it, gatepost grants revoke ends it.",
    )
    whose = action.add_mutually_exclusive_group(required=True)
    whose.add_argument("--user", metavar="NAME", help="whose token it is: an account (or subject)")
    whose.add_argument("--subject", metavar="SUBJECT", help="whose token it is, where there is no account for it")
    action.add_argument(
        "--scopes",
        "--scope",
        default="",
        metavar="SCOPES",
        help='such as "notes:read notes:write" or notes:read,notes:write (default: none, so that the token opens only '
        "what needs no scope); unknown ones are refused",
    )
    action.add_argument(
        "--resource", metavar="URL", help="the MCP endpoint, a URL or a path (default: the server's own)"
    )
    action.add_argument(
        "--lifetime", type=int, metavar="SECONDS", help="how long it counts (default: OAUTH_ACCESS_TOKEN_TTL)"
    )


def mint(options: argparse.Namespace) -> None:
    """Print a new access token; refused with exit code 1 when there is no such account, 2 when an argument is wrong."""
    settings = load_settings()
    if options.lifetime is not None and options.lifetime <= 0:
        raise CommandRefused("--lifetime takes a number of seconds above 0.", exit_code=2)
    say(with_store(lambda store: _mint(store, settings, options), may_create=True).access_token)


async def _mint(store: Store, settings: Settings, options: argparse.Namespace) -> Tokens:
    """Keep a grant with an access token."""
    resource, endpoint = find_endpoint(options.resource, settings, await store.endpoints.list_endpoints())
    scopes = read_scopes(options.scopes, None if endpoint is None else endpoint.scopes)
    if endpoint is None and scopes:
        complain(f"No server of this store has served {resource} yet: nobody can say whether the scopes exist.")
    subject = options.subject
    if subject is None:
        user = await find_person(store, options.user)
        if user.disabled_at is not None:
            raise CommandRefused(f"There is no account {options.user} that is not disabled; see gatepost users list.")
        subject = user.subject
    parts = urlsplit(resource)
    origin = f"{parts.scheme}://{parts.netloc}"
    issuer = origin if endpoint is None else resource.removesuffix(endpoint.path)
    now = int(time.time())
    lifetime = settings.oauth.access_token_ttl if options.lifetime is None else options.lifetime
    grant, tokens, rows = mint_single_token(
        subject=subject,
        client_id=COMMAND_LINE_CLIENT,
        resource=resource,
        scopes=scopes,
        now=now,
        lifetime=lifetime,
        random_bytes=secrets.token_bytes,
        sign=await _signer(store, settings, issuer=issuer, now=now),
    )
    await store.approvals.give_grant(grant, rows)
    await audit(store, AuditEvent.TOKEN_MINTED, subject=subject, client_id=COMMAND_LINE_CLIENT, grant_id=grant.grant_id)
    if options.resource is None and settings.server.public_url is None:
        # A server that was started with --port tells nobody of it.
        complain(f"The token is for {resource}; --resource makes one for a server at another address or port.")
    return tokens


async def _signer(store: Store, settings: Settings, *, issuer: str, now: int) -> SignAccessToken | None:
    """Return what signs the token, as the server with this issuer would; None where tokens are opaque."""
    if settings.oauth.access_token_format == "opaque":
        return None
    ring = await own_key_ring(store, settings)
    keys = signing_keys_of(settings, store, ring, now=lambda: int(time.time()), random_bytes=secrets.token_bytes)
    assert keys is not None  # noqa: S101 - the format is jwt; tells mypy
    await keys.open()
    return await SignedTokens(keys=keys, issuer=issuer).signer(now)
