"""Signed access tokens at one origin: signing them for the token endpoint, checking them for the bearer guard."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from gatepost.late_dataclass import dataclass
from gatepost.oauth.issuing import SIGNED_TOKEN_TYPE, SignAccessToken, access_token_claims
from gatepost.oauth.records import Grant
from gatepost.resource import bearer
from gatepost.resource.bearer import TokenRefused, check_claims
from gatepost.resource.principal import COMMAND_LINE_CLIENT
from gatepost.resource.resources import names_same_endpoint
from gatepost.stores.signing_keys import SigningKeys
from gatepost.tokens import signing
from gatepost.tokens.signing import Problem, SignatureRefused

_REFUSALS = {
    Problem.MALFORMED: bearer.MALFORMED,
    Problem.KEY_UNKNOWN: bearer.KEY_UNKNOWN,
    Problem.SIGNATURE_WRONG: bearer.SIGNATURE_INVALID,
}


@dataclass(frozen=True, kw_only=True)
class SignedTokens:
    """Signs and checks with the keys in the store, under one issuer."""

    keys: SigningKeys
    issuer: str
    any_loopback: bool = False
    """Whether the server answers to every loopback name; a token that the operator made counts at each of them."""

    async def signer(self, now: int) -> SignAccessToken:
        """Return what signs access tokens now.

        Raises:
            StoreUnavailable: the keys cannot be read now.
        """
        key = (await self.keys.current()).signing(now=now)

        def sign(
            grant: Grant,
            *,
            scopes: tuple[str, ...],
            token_id: str,
            issued_at: int,
            expires_at: int,
            dpop_jkt: str | None = None,
            actors: Sequence[str] = (),
        ) -> str:
            claims = access_token_claims(
                grant,
                issuer=self.issuer,
                scopes=scopes,
                token_id=token_id,
                issued_at=issued_at,
                expires_at=expires_at,
                dpop_jkt=dpop_jkt,
                actors=actors,
            )
            return signing.sign(claims, key, typ=SIGNED_TOKEN_TYPE)

        return sign

    async def check(self, token: str, *, resource: str, now: int) -> None:
        """Refuse a signed token that is not ours or does not count at `resource` now. Fetches nothing.

        That it has been issued and not been revoked is for the store to say, after this.

        Raises:
            TokenRefused: it is refused.
            StoreUnavailable: the keys cannot be read now.
        """
        try:
            key_id = signing.named_key(token)
            known = await self.keys.knowing(key_id)
            claims = signing.verify(token, known.keys, typ=SIGNED_TOKEN_TYPE)
        except SignatureRefused as error:
            raise TokenRefused(_REFUSALS[error.problem]) from None
        issuer, audience = self.issuer, claims.get("aud")
        is_operators = self.any_loopback and claims.get("client_id") == COMMAND_LINE_CLIENT
        if is_operators and isinstance(audience, str) and names_same_endpoint(audience, resource):
            resource, parts = audience, urlsplit(audience)
            issuer = f"{parts.scheme}://{parts.netloc}{urlsplit(issuer).path}"
        check_claims(claims, issuer=issuer, resource=resource, now=now)
