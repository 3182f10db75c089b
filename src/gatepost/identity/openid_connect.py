"""Logins at an OpenID provider, known by its issuer alone (OpenID Connect Core and Discovery 1.0)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gatepost.identity.provider import Identity, Login
from gatepost.identity.upstream_login import UpstreamLogin, UpstreamServer, auth_method
from gatepost.outbound.addresses import is_server_url
from gatepost.outbound.document_cache import DocumentCache, Loaded
from gatepost.outbound.fetching import FetchFailed, document_lifetime
from gatepost.tokens.claims import found, texts
from gatepost.tokens.client_keys import Key, KeysInvalid, SignatureInvalid, read_keys, verified_claims

CLOCK_SKEW: Final = 60
"""Seconds by which the clocks of the provider and of this server may differ."""
SCOPES: Final = ("openid", "profile", "email")
_DISCOVERY: Final = "/.well-known/openid-configuration"
_LONGEST_SUBJECT: Final = 255
_NAMES: Final = ("name", "preferred_username", "nickname")
"""What pages call a person by, the first that there is."""
_OF_THE_TOKEN: Final = frozenset(
    {"iss", "aud", "azp", "exp", "iat", "nbf", "nonce", "at_hash", "c_hash", "s_hash", "jti"}
    | {"sid", "session_state", "auth_time"}
)
"""Claims about the ID token and this login; the others are about the person, and mostly stay as they were."""


class OpenIDConnect(UpstreamLogin):
    """Everybody whom an OpenID provider knows.

    At the provider, register the redirect URI `<public URL>/oauth/login/<name>/callback`.

    Args:
        issuer: its issuer URL, byte for byte as its metadata says it.
        client_id: what it calls this server.
        client_secret: None for a public client, which PKCE protects.
        name: one word that stays, in the redirect URI.
        scopes: what it is asked for; `openid` is always there.
        groups: the claims that say the person's groups, by name or, for members of members, by a path with dots.
        token_endpoint_auth_method: `client_secret_basic` or `client_secret_post`; by default the first that it takes.
        keep_tokens: whether tools may act there as the person who calls them.

    Raises:
        ValueError: an argument is wrong; the message is a sentence.
    """

    offline_scopes: Sequence[str] = ("offline_access",)
    offline_parameters: Mapping[str, str] = {"prompt": "consent"}  # OpenID Connect Core section 11
    userinfo_for: Mapping[str, str] = {"profile": "name", "email": "email"}
    """By scope the claim for which userinfo is asked where the ID token lacks it."""
    _of_the_token: frozenset[str] = _OF_THE_TOKEN

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str | None = None,
        *,
        name: str = "oidc",
        scopes: Sequence[str] = SCOPES,
        groups: Sequence[str] = ("groups",),
        token_endpoint_auth_method: str | None = None,
        keep_tokens: bool = False,
    ) -> None:
        super().__init__(name, issuer, client_id, client_secret, scopes=("openid", *scopes), keep_tokens=keep_tokens)
        self._groups = tuple(groups)
        self._wanted_method = token_endpoint_auth_method
        self._metadata: DocumentCache[Mapping[str, Any]] = DocumentCache(now=self._now)
        self._keys: DocumentCache[Sequence[Key]] = DocumentCache(now=self._now)

    async def _server(self) -> UpstreamServer:
        metadata = await self._metadata.get(self.issuer, self._discover)
        return UpstreamServer(
            authorization_endpoint=metadata["authorization_endpoint"],
            token_endpoint=metadata["token_endpoint"],
            token_endpoint_auth_method=auth_method(
                self._client_secret, self._wanted_method, metadata.get("token_endpoint_auth_methods_supported")
            ),
            says_issuer=metadata.get("authorization_response_iss_parameter_supported") is True,
            more=metadata,
        )

    async def reach(self) -> None:
        """Fetch its metadata and its keys; see `UpstreamLogin`."""
        server = await self._server()
        url = server.more["jwks_uri"]
        await self._keys.get(url, lambda: self._fetch_keys(url))

    def _extra(self, server: UpstreamServer, login: Login, nonce: str) -> Mapping[str, str]:
        if not login.switches_account:
            return {"nonce": nonce}
        # Every provider knows `login`; `select_account` asks for less (Core section 3.1.2.1).
        prompts = server.more.get("prompt_values_supported")
        chooses = isinstance(prompts, list) and "select_account" in prompts
        return {"nonce": nonce, "prompt": "select_account" if chooses else "login"}

    async def _identify(self, server: UpstreamServer, token: Mapping[str, Any], nonce: str) -> Identity:
        claims = await self._checked(server, token.get("id_token"), nonce)
        userinfo = str(server.more.get("userinfo_endpoint"))
        lacks = [claim for scope, claim in self.userinfo_for.items() if scope in self._scopes and claim not in claims]
        if lacks and is_server_url(userinfo):
            further, _ = await self._json(userinfo, token["access_token"])
            if not isinstance(further, dict) or further.get("sub") != claims["sub"]:
                raise FetchFailed("its userinfo is not about who logged in")  # Core section 5.3.2
            if "email" in claims:
                further.pop("email_verified", None)  # of that address nothing is said here
            claims = {**further, **claims}
        return self._person(claims)

    def _person(self, claims: Mapping[str, Any]) -> Identity:
        """Return whom these claims, which have been checked, are about."""
        email = claims.get("email")
        return Identity(
            claims["sub"],
            next((claims[name] for name in _NAMES if isinstance(claims.get(name), str)), None),
            self.issuer,
            email if isinstance(email, str) else None,
            claims.get("email_verified") is True,
            tuple(dict.fromkeys(group for path in self._groups for group in texts(found(claims, path)))),
            {name: value for name, value in claims.items() if name not in self._of_the_token},
        )

    def _issuer_of(self, claims: Mapping[str, Any]) -> str:
        """Return what `iss` has to be in an ID token with these claims."""
        return self.issuer

    async def _checked(self, server: UpstreamServer, id_token: object, nonce: str) -> dict[str, Any]:
        """Return the claims of an ID token that is valid (Core section 3.1.3.7)."""
        from authlib.oidc.core import CodeIDToken  # noqa: PLC0415 - nobody has logged in at the start
        from joserfc.errors import JoseError  # noqa: PLC0415 - likewise

        if not isinstance(id_token, str):
            raise FetchFailed("no ID token")
        try:
            claims = await self._signed(server, id_token)
            rules = {
                "iss": {"essential": True, "value": self._issuer_of(claims)},
                "aud": {"essential": True, "value": self._client_id},
            }
            token = CodeIDToken(claims, {}, rules, {"nonce": nonce, "client_id": self._client_id})
            token.validate(now=self._now(), leeway=CLOCK_SKEW)
        except SignatureInvalid as error:
            raise FetchFailed(f"its ID token cannot be verified: {error}") from None
        except JoseError as error:
            claim = getattr(error, "claim", None) or ", ".join(getattr(error, "claims", ())) or error.error
            raise FetchFailed(f"its ID token is not valid: {claim}") from None
        if not claims["sub"].isascii() or not 0 < len(claims["sub"]) <= _LONGEST_SUBJECT:  # Core section 2
            raise FetchFailed("its ID token is not valid: sub")
        return claims

    async def _signed(self, server: UpstreamServer, id_token: str) -> dict[str, Any]:
        """Return what one of the provider's keys has signed; keys that are not known yet are fetched (Core 10.1.1)."""
        url = server.more["jwks_uri"]
        keys = await self._keys.get(url, lambda: self._fetch_keys(url))
        try:
            return verified_claims(id_token, self._fitting(keys, id_token))
        except SignatureInvalid:
            # Nobody but the provider can cause this: the token came from it.
            newer = await self._keys.get(url, lambda: self._fetch_keys(url), newer_than=self._now())
            return verified_claims(id_token, self._fitting(newer, id_token))

    def _fitting(self, keys: Sequence[Key], id_token: str) -> Sequence[Key]:
        """Return the keys that may have signed an ID token, as far as the provider limits them itself."""
        return keys

    @property
    def _stated_issuer(self) -> str:
        """What the provider's metadata says as `issuer`."""
        return self.issuer

    async def _discover(self) -> Loaded[Mapping[str, Any]]:
        url = self.issuer.removesuffix("/") + _DISCOVERY
        metadata, headers = await self._json(url)
        # Discovery section 4.3: else one provider could speak for another.
        if not isinstance(metadata, dict) or metadata.get("issuer") != self._stated_issuer:
            raise FetchFailed("its metadata is of another issuer than the one that is set, which counts byte for byte")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not is_server_url(str(metadata.get(name)).partition("?")[0]):
                raise FetchFailed(f"its metadata has no {name} that can be asked")
        return Loaded(metadata, document_lifetime(headers))

    async def _fetch_keys(self, url: str) -> Loaded[Sequence[Key]]:
        keys, headers = await self._json(url)
        try:
            return Loaded(self._read_keys(keys), document_lifetime(headers))
        except KeysInvalid as error:
            raise FetchFailed(f"what its jwks_uri serves {error}") from None

    def _read_keys(self, document: object) -> Sequence[Key]:
        return read_keys(document)
