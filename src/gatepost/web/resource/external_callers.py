"""Callers with a token of somebody else's: who checks it, who they are here, and what they may (RFC 9068, RFC 8725).

A token goes to the one issuer that it names, or else to the validators in code, and no further: nothing behind the
guard ever sees it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Final

from gatepost.identity.asking import LoginProviderFailed, ask
from gatepost.identity.entry import ANYBODY, Entry
from gatepost.identity.provider import Identity, LoginRefused, LoginUnavailable
from gatepost.identity.roles import NO_ROLES, Roles
from gatepost.late_dataclass import dataclass
from gatepost.outbound.external_issuer import ExternalIssuer
from gatepost.outbound.introspected_issuer import IntrospectedIssuer
from gatepost.outbound.issuer_keys import IssuerUnavailable
from gatepost.resource import bearer
from gatepost.resource.bearer import TokenRefused
from gatepost.resource.external_tokens import LEEWAY, TokenInfo, TokenValidator
from gatepost.resource.principal import Principal
from gatepost.resource.profile import Profile
from gatepost.resource.resources import ProtectedResource
from gatepost.stores.contract.users import Person
from gatepost.tokens.client_keys import SignatureInvalid, unverified_claims

ISSUERS: Final = (ExternalIssuer, IntrospectedIssuer)
"""What knows which tokens are its own; one that it refuses is shown to nobody else."""
_SECONDS: Final = 10
"""How long a validator has for its answer."""
_log = logging.getLogger("gatepost.web")


@dataclass(frozen=True, slots=True)
class Source:
    """One who verifies tokens, and how those that it vouches for are known here."""

    validator: ExternalIssuer | IntrospectedIssuer | TokenValidator = field(repr=False)
    name: str
    """The `issuer` of its principals: an issuer URL, or what no URL looks like."""
    prefix: str
    """What their subjects begin with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalCallers:
    """The callers of every source."""

    sources: Sequence[Source]
    now: Callable[[], int]
    entry: Entry = ANYBODY
    """Says who may enter: of what a token says, as of what a login provider says."""
    roles: Roles = NO_ROLES
    """Say which scopes of a token count, and who has which role beside those that the token says."""

    def says_issuer(self, token: str, issuer: str) -> bool:
        """Say whether a token of the shape of a JWT names `issuer`; nothing is verified."""
        try:
            return unverified_claims(token).get("iss") == issuer
        except SignatureInvalid:
            return False

    async def principal(self, token: str, resource: ProtectedResource, *, own_issuer: str) -> Principal:
        """Return who sends a token that is none of this server's.

        Raises:
            TokenRefused: it does not count, or cannot be checked now.
        """
        # One of an earlier time, when tokens of this server were signed, is still nobody else's to see.
        if self.says_issuer(token, own_issuer):
            raise TokenRefused(bearer.UNKNOWN)
        source, info = await self._validated(token, resource.identifier)
        self._check(info, resource.identifier)
        # No source may speak for this server, whatever it is called by.
        if source.name == own_issuer:
            raise TokenRefused(bearer.CLAIMS_INVALID)
        person = self._person(source, info)
        await self._let_in(source, info)
        roles = frozenset(info.roles) | self.roles.of(person)
        return Principal(
            subject=source.prefix + info.subject,
            client_id=info.client_id or "",
            scopes=resource.effective(self.roles.permit(tuple(info.scopes), roles, resource.implied_scopes)),
            resource=resource.identifier,
            issuer=source.name,
            grant_id=None,
            expires_at=info.expires_at,
            display_name=info.display_name,
            user_issuer=source.name,
            profile=person.profile,
            roles=roles,
        )

    async def _validated(self, token: str, resource: str) -> tuple[Source, TokenInfo]:
        """Return what the first says to whom the token belongs. One that an issuer refuses is shown to nobody else."""
        for source in self.sources:
            if not isinstance(source.validator, ISSUERS):
                info = await _asked(source.validator, token, resource)
                if info is not None:
                    return source, info
            elif source.validator.is_issuer_of(token):
                try:
                    return source, await source.validator.validate_token(token, resource)
                except IssuerUnavailable:
                    raise TokenRefused(bearer.ISSUER_UNAVAILABLE) from None
        raise TokenRefused(bearer.UNKNOWN)

    def _check(self, info: TokenInfo, resource: str) -> None:
        """Refuse what a validator in code should have refused."""
        if info.audience not in (None, resource):
            raise TokenRefused(bearer.ANOTHER_RESOURCE)
        if info.expires_at is not None and info.expires_at + LEEWAY <= self.now():
            raise TokenRefused(bearer.EXPIRED)

    def _person(self, source: Source, info: TokenInfo) -> Person:
        try:
            profile = Profile(info.email, info.email_verified, tuple(info.groups), info.claims).to_text()
        except (TypeError, ValueError, RecursionError):
            raise TokenRefused(bearer.CLAIMS_INVALID) from None
        return Person(source.name, info.subject, None, info.display_name, profile, ())

    async def _let_in(self, source: Source, info: TokenInfo) -> None:
        identity = Identity(
            info.subject,
            info.display_name,
            source.name,
            email=info.email,
            email_verified=info.email_verified,
            groups=tuple(info.groups),
            claims=info.claims,
        )
        try:
            await self.entry.check(identity)
        except LoginUnavailable:
            raise TokenRefused(bearer.VALIDATOR_FAILED) from None
        except LoginRefused:
            raise TokenRefused(bearer.USER_NOT_ALLOWED) from None
        except LoginProviderFailed as error:
            _log.error("the rule of who may enter failed: %s", error)
            raise TokenRefused(bearer.VALIDATOR_FAILED) from None


async def _asked(validator: TokenValidator, token: str, resource: str) -> TokenInfo | None:
    try:
        async with asyncio.timeout(_SECONDS):
            info: TokenInfo | None = await ask(
                validator.validate_token, token, resource, returns=(TokenInfo, type(None))
            )
    except TimeoutError:
        problem = f"{type(validator).__qualname__} did not answer within {_SECONDS} seconds"
    except LoginProviderFailed as error:
        problem = str(error)
    else:
        return info
    _log.error("a token validator failed: %s", problem)
    raise TokenRefused(bearer.VALIDATOR_FAILED)
