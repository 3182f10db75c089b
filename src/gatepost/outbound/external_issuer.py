"""`ExternalIssuer`: an authorization server elsewhere whose access tokens count here (RFC 9068, RFC 8414, RFC 7517).

What a token says is checked before its signature, so that only one that would count otherwise makes this server fetch
keys. Keys come from the address that the issuer's metadata or the operator names, never from a token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from gatepost.outbound.addresses import is_server_url
from gatepost.outbound.document_cache import Loaded
from gatepost.outbound.fetching import TOTAL_SECONDS, FetchFailed, document_lifetime
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

if TYPE_CHECKING:
    import httpx2

_OK: Final = 200
_LOAD_SECONDS: Final = 2 * TOTAL_SECONDS
"""For the metadata, wherever it is, and the keys."""
_SERVER: Final = "/.well-known/oauth-authorization-server"
_OPENID: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class IssuerSurroundings:
    """What an issuer needs of the installation that takes its tokens."""

    now: Callable[[], int]
    """The clock, whole seconds UTC."""
    transport: Callable[[str], httpx2.AsyncBaseTransport]
    """Returns the way to a URL that the operator names."""


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
        """Say whether a token of the shape of a JWT says that it is of this issuer; nothing is verified."""
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

    async def _verify(self, token: str, *, has_key_id: bool) -> None:
        if self._keys_given is not None:
            self._is_signed(token, self._keys_given)
            return
        assert self._keys is not None  # noqa: S101 - connected with the surroundings; tells mypy
        try:
            self._is_signed(token, await self._keys.current())
        except (KeyUnknown, SignatureWrong) as error:
            # Without a name for the key, a new one looks like a wrong signature.
            if has_key_id and isinstance(error, SignatureWrong):
                raise
            self._is_signed(token, await self._keys.newer())

    def _is_signed(self, token: str, keys: Sequence[Key]) -> None:
        verified_claims(token, keys, algorithms=self._algorithms, types=TOKEN_TYPES)

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
        document, headers = await self._json(str(self._jwks_uri))
        try:
            return Loaded(read_keys(document, self._algorithms), document_lifetime(headers))
        except KeysInvalid as error:
            raise FetchFailed(f"what its jwks_uri serves {error}") from None

    async def _discover(self) -> str:
        """Return where the metadata says that the keys are (RFC 8414 section 3, OpenID Connect Discovery section 4)."""
        origin, path = self.issuer[: len(self.issuer) - len(urlsplit(self.issuer).path)], urlsplit(self.issuer).path
        path = path.removesuffix("/")
        for url in dict.fromkeys((f"{origin}{path}{_OPENID}", f"{origin}{_SERVER}{path}", f"{origin}{_OPENID}{path}")):
            metadata, _ = await self._json(url, may_be_absent=True)
            if metadata is None:
                continue
            # RFC 8414 section 3.3: else one issuer could speak for another.
            if not isinstance(metadata, dict) or metadata.get("issuer") != self.issuer:
                raise FetchFailed(
                    "its metadata is of another issuer than the one that is set, which counts byte for byte"
                )
            jwks_uri = metadata.get("jwks_uri")
            if not isinstance(jwks_uri, str) or not is_server_url(jwks_uri.partition("?")[0]):
                raise FetchFailed("its metadata has no jwks_uri that can be asked")
            return jwks_uri
        raise FetchFailed("it serves no metadata; say where its keys are")

    async def _json(self, url: str, *, may_be_absent: bool = False) -> tuple[Any, Mapping[str, str]]:
        """Return the JSON at a URL, None where there is none and may be none, and the headers. No redirect is followed.

        Raises:
            FetchFailed: it cannot be had.
        """
        import httpx2  # noqa: PLC0415 - nothing is fetched at the start

        path, headers = urlsplit(url).path, {"User-Agent": "gatepost", "Accept": "application/json"}
        try:
            async with (
                asyncio.timeout(TOTAL_SECONDS),
                httpx2.AsyncClient(
                    transport=self._around.transport(url), trust_env=False, timeout=TOTAL_SECONDS, headers=headers
                ) as http,
            ):
                response = await http.get(url)
                value = response.json() if response.status_code == _OK else None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, RecursionError) as error:
            raise FetchFailed(f"{path}: {type(error).__name__}") from None
        is_absent = may_be_absent and 400 <= response.status_code < 500  # noqa: PLR2004 - RFC 9110 section 15.5
        if response.status_code != _OK and not is_absent:
            raise FetchFailed(f"{path} answers {response.status_code}")
        return value, response.headers

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
