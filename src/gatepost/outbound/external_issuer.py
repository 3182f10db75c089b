"""`ExternalIssuer`: an authorization server elsewhere whose access tokens count here (RFC 9068, RFC 8414, RFC 7517).

What a token says is checked before its signature, so that only one that would count otherwise makes this server fetch
keys. Keys come from the address that the issuer's metadata or the operator names, never from a token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from gatepost.outbound.addresses import is_server_url
from gatepost.outbound.document_cache import Loaded
from gatepost.outbound.fetching import TOTAL_SECONDS, FetchFailed, document_lifetime
from gatepost.outbound.issuer_documents import IssuerSurroundings, json_at, metadata_of, server_url_in
from gatepost.outbound.issuer_keys import IssuerKeys
from gatepost.resource import bearer
from gatepost.resource.bearer import TokenRefused
from gatepost.resource.external_tokens import TOKEN_TYPES, Claims, TokenInfo, TokenRules
from gatepost.tokens.client_keys import (
    ISSUER_ALGORITHMS,
    Key,
    KeysInvalid,
    KeyUnknown,
    SignatureInvalid,
    SignatureWrong,
    checked_header,
    read_keys,
    read_public_key,
    unverified_claims,
    verified_claims,
)
from gatepost.tokens.shared_secrets import SECRET_ALGORITHMS, claims_vouched_for
from gatepost.tokens.signing import looks_signed

_LOAD_SECONDS: Final = 2 * TOTAL_SECONDS
"""For the metadata, wherever it is, and the keys."""


class ExternalIssuer:
    """An authorization server elsewhere whose access tokens, signed JWTs, count here.

        create_app(server, external=ExternalIssuer("https://tenant.eu.auth0.com/"))

    Args:
        issuer: its issuer URL, byte for byte as `iss` of its tokens says it.
        audience: what `aud` of a token has to name, one or any of several; by default the URL of the endpoint here.
        jwks_uri: where its keys are; by default what its metadata says.
        algorithms: what it may sign with. The key decides which of them it is.
        public_key: its key in place of `jwks_uri`: the path of a file, or the text of one, PEM, JWK or JWK set.
        claims: where its tokens say scopes, roles and the user.
        id_tokens: whether an ID token is taken for an access token; for issuers whose access tokens are opaque.
        subject_prefix: what `ctx.user.subject` begins with. By default nothing where this is the only source of
            people, else the issuer and a `#`, so that nobody there has the subject of somebody else.

    Raises:
        ValueError: an argument is wrong; the message is a sentence.
    """

    def __init__(
        self,
        issuer: str,
        audience: str | Sequence[str] = (),
        *,
        jwks_uri: str | None = None,
        algorithms: str | Sequence[str] = ISSUER_ALGORITHMS,
        public_key: str | Path | None = None,
        claims: Claims | None = None,
        id_tokens: bool = False,
        subject_prefix: str | None = None,
    ) -> None:
        if not is_server_url(issuer):
            raise ValueError(
                "The issuer is an https URL without query and fragment, as `iss` of its tokens says it, such as "
                "https://id.example.com; http is taken on this machine only."
            )
        if jwks_uri is not None and not is_server_url(jwks_uri.partition("?")[0]):
            raise ValueError("jwks_uri is an https URL; http is taken on this machine only.")
        if jwks_uri is not None and public_key is not None:
            raise ValueError("jwks_uri and public_key both say where the keys are: leave one of the two out.")
        self.issuer = issuer
        self.subject_prefix = subject_prefix
        self._algorithms = _checked_algorithms(algorithms)
        self._keys_given = None if public_key is None else _read_file(public_key, self._algorithms)
        self._jwks_uri = jwks_uri
        self._is_discovered = jwks_uri is None
        self._secret: bytes | None = None
        self._verifies_signature = True
        self._surroundings: IssuerSurroundings | None = None
        self._keys: IssuerKeys | None = None
        self.rules = TokenRules(
            issuer=issuer,
            audience=frozenset((audience,) if isinstance(audience, str) else audience),
            claims=claims or Claims(),
            takes_id_tokens=id_tokens,
        )

    def __repr__(self) -> str:
        return f"ExternalIssuer({self.issuer!r})"

    @property
    def authorization_servers(self) -> tuple[str, ...]:
        """What the metadata of a resource names: where clients get the tokens (RFC 9728 section 2)."""
        return (self.issuer,)

    def trust_secret(self, secret: bytes, algorithms: Sequence[str]) -> None:
        """Have a shared secret vouch for tokens in place of keys; for the settings alone."""
        self._secret, self._algorithms = secret, tuple(algorithms)

    def relax(self, rules: TokenRules, *, verifies_signature: bool) -> None:
        """Ask less of its tokens; for the settings alone, which let nobody do that in public."""
        self.rules, self._verifies_signature = rules, verifies_signature

    def connect(self, surroundings: IssuerSurroundings) -> None:
        """Get what it needs of the installation; keys that it kept for another one are forgotten."""
        self._surroundings = surroundings
        self._keys = IssuerKeys(issuer=self.issuer, load=self._load, now=surroundings.now)

    def is_issuer_of(self, token: str) -> bool:
        """Say whether a token is a JWT that says that it is of this issuer; nothing is verified."""
        if not looks_signed(token):
            return False
        try:
            said = unverified_claims(token).get("iss")
        except SignatureInvalid:
            return False
        return not self.rules.verifies_issuer or said == self.issuer

    async def validate_token(self, token: str, resource: str | None = None) -> TokenInfo:
        """Return what a token says that counts at `resource`.

        Raises:
            TokenRefused: it does not count.
            IssuerUnavailable: it cannot be known now.
        """
        # 1. What it says itself, which costs nothing and reaches nobody.
        try:
            claims = unverified_claims(token)
            header = checked_header(token, algorithms=self._algorithms, types=TOKEN_TYPES)
        except SignatureInvalid:
            raise TokenRefused(bearer.MALFORMED) from None
        self.rules.check(header.get("typ"), claims, resource=resource or "", now=self._around.now())
        # 2. Who vouches for that.
        try:
            if self._secret is not None:
                claims_vouched_for(token, self._secret, algorithms=self._algorithms, types=TOKEN_TYPES)
            elif self._verifies_signature:
                await self._verify(token, has_key_id="kid" in header)
        except KeyUnknown:
            raise TokenRefused(bearer.KEY_UNKNOWN) from None
        except SignatureInvalid:
            raise TokenRefused(bearer.SIGNATURE_INVALID) from None
        # 3. What it is worth.
        return self.rules.read(claims)

    async def check_signature(self, signed: str, *, types: Collection[object]) -> None:
        """Refuse a JWT of another kind than an access token that this issuer has not signed; of claims nothing is said.

        Raises:
            SignatureInvalid: it has not, or its `typ` is none of `types`.
            IssuerUnavailable: it cannot be known now.
        """
        header = checked_header(signed, algorithms=self._algorithms, types=types)
        await self._verify(signed, has_key_id="kid" in header, types=types)

    async def reach(self) -> bool:
        """Fetch its keys, and say whether there was anything to fetch.

        Raises:
            FetchFailed: they cannot be had.
        """
        if self._keys_given is not None or self._secret is not None or not self._verifies_signature:
            return False
        await self._load()
        return True

    async def _verify(self, token: str, *, has_key_id: bool, types: Collection[object] = TOKEN_TYPES) -> None:
        if self._keys_given is not None:
            # A PEM file has no name for its key, and the issuer has one all the same.
            verified_claims(token, self._keys_given, algorithms=self._algorithms, types=types, unnamed_fit=True)
            return
        assert self._keys is not None  # noqa: S101 - connected with the surroundings; tells mypy
        try:
            self._is_signed(token, await self._keys.current(), types)
        except (KeyUnknown, SignatureWrong) as error:
            # Without a name for the key, a new one looks like a wrong signature.
            if has_key_id and isinstance(error, SignatureWrong):
                raise
            self._is_signed(token, await self._keys.newer(), types)

    def _is_signed(self, token: str, keys: Sequence[Key], types: Collection[object]) -> None:
        verified_claims(token, keys, algorithms=self._algorithms, types=types)

    async def _load(self) -> Loaded[Sequence[Key]]:
        try:
            async with asyncio.timeout(_LOAD_SECONDS):
                return await self._load_keys()
        except TimeoutError:
            raise FetchFailed("timeout") from None

    async def _load_keys(self) -> Loaded[Sequence[Key]]:
        if self._is_discovered:
            try:
                self._jwks_uri = await self._discover()
            except FetchFailed:
                if self._jwks_uri is None:  # what it said before is likely still true
                    raise
        document, headers = await json_at(str(self._jwks_uri), self._around.transport)
        try:
            return Loaded(read_keys(document, self._algorithms), document_lifetime(headers))
        except KeysInvalid as error:
            raise FetchFailed(f"what its jwks_uri serves {error}") from None

    async def _discover(self) -> str:
        """Return where the metadata says that the keys are."""
        metadata = await metadata_of(self.issuer, self._around.transport)
        return server_url_in(metadata, "jwks_uri")

    @property
    def _around(self) -> IssuerSurroundings:
        if self._surroundings is None:
            raise RuntimeError(f"{self!r} is of no installation")
        return self._surroundings


def _checked_algorithms(algorithms: str | Sequence[str]) -> tuple[str, ...]:
    given = (algorithms,) if isinstance(algorithms, str) else tuple(algorithms)
    if not given or not all(algorithm in ISSUER_ALGORITHMS for algorithm in given):
        symmetric = " A shared secret is set by JWT_SECRET." if set(given) & set(SECRET_ALGORITHMS) else ""
        raise ValueError(f"algorithms= takes one or more of {', '.join(ISSUER_ALGORITHMS)}.{symmetric}")
    return given


def _read_file(public_key: str | Path, algorithms: Sequence[str]) -> tuple[Key, ...]:
    text = str(public_key)
    is_text = isinstance(public_key, str) and public_key.lstrip().startswith(("-----BEGIN ", "{"))
    try:
        return read_public_key(text if is_text else Path(text).read_text(encoding="utf-8"), algorithms)
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"The file of public_key= cannot be read: {text}.") from None
    except KeysInvalid as error:
        raise ValueError(f"What public_key= names {error}.") from None
