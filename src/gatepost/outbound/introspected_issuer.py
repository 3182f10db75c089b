"""`IntrospectedIssuer`: an authorization server elsewhere that is asked what each token is worth (RFC 7662).

For issuers whose access tokens are opaque, or whose revocations have to count here within seconds.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote_plus

from gatepost.outbound.addresses import is_server_url
from gatepost.outbound.fetching import FetchFailed
from gatepost.outbound.issuer_documents import (
    IssuerSurroundings,
    UnexpectedStatus,
    json_at,
    metadata_of,
    server_url_in,
)
from gatepost.outbound.issuer_keys import PAUSE, IssuerUnavailable
from gatepost.resource import bearer
from gatepost.resource.bearer import TokenRefused
from gatepost.resource.external_tokens import Claims, TokenInfo, TokenRules
from gatepost.tokens.client_keys import SignatureInvalid, unverified_claims
from gatepost.tokens.opaque import fingerprint
from gatepost.tokens.signing import looks_signed

_METHODS: Final = ("client_secret_basic", "client_secret_post")
_AT_ONCE: Final = 16
"""Questions that are under way."""
_WAITING: Final = 256
"""Questions that are under way or wait: whoever makes up tokens must not have everybody else wait behind them."""

_OF_ONE_TOKEN: Final = frozenset({400, 413, 414, 422, 431})
"""Statuses that what was asked about may cause, and no other question need get (RFC 9110 section 15.5)."""

_log = logging.getLogger("gatepost.outbound")


class IntrospectedIssuer:
    """An authorization server elsewhere that says what its access tokens are worth; opaque ones, and JWTs of its own.

        create_app(server, external=IntrospectedIssuer("https://id.example.com", client_id="notes", client_secret=...))

    Args:
        issuer: its issuer URL, byte for byte as its metadata says it.
        audience: what `aud` of its answer has to name, one or any of several; by default the URL of the endpoint here.
        client_id: as whom this server asks.
        client_secret: the secret of that client.
        introspection_uri: where it is asked; by default what its metadata says.
        auth_method: how the client says who it is: `client_secret_basic` or `client_secret_post`.
        claims: where its answers say scopes, roles and the user; by default a token without a person is the client's.
        subject_prefix: as for `ExternalIssuer`.

    Raises:
        ValueError: an argument is wrong; the message is a sentence.
    """

    def __init__(
        self,
        issuer: str,
        audience: str | Sequence[str] = (),
        *,
        client_id: str,
        client_secret: str,
        introspection_uri: str | None = None,
        auth_method: str = "client_secret_basic",
        claims: Claims | None = None,
        subject_prefix: str | None = None,
    ) -> None:
        if not is_server_url(issuer):
            raise ValueError(
                "The issuer is an https URL without query and fragment; http is taken on this machine only."
            )
        if introspection_uri is not None and not is_server_url(introspection_uri.partition("?")[0]):
            raise ValueError("introspection_uri is an https URL; http is taken on this machine only.")
        if not client_id or not client_secret:
            raise ValueError("client_id and client_secret say as whom the issuer is asked: it answers no stranger.")
        if auth_method not in _METHODS:
            raise ValueError(f"auth_method takes {' or '.join(_METHODS)}.")
        self.issuer = issuer
        self.subject_prefix = subject_prefix
        self._client = (client_id, client_secret)
        self._posts_secret = auth_method == "client_secret_post"
        self._introspection_uri = introspection_uri
        self._surroundings: IssuerSurroundings | None = None
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._under_way: dict[bytes, asyncio.Task[Mapping[str, Any]]] = {}
        self._failed_at: int | None = None
        self.rules = TokenRules(
            issuer=issuer,
            audience=frozenset((audience,) if isinstance(audience, str) else audience),
            claims=claims or Claims(subject=("sub", "client_id")),
            needs_expiry=False,
        )

    def __repr__(self) -> str:
        return f"IntrospectedIssuer({self.issuer!r})"

    @property
    def authorization_servers(self) -> tuple[str, ...]:
        """What the metadata of a resource names: where clients get the tokens (RFC 9728 section 2)."""
        return (self.issuer,)

    def connect(self, surroundings: IssuerSurroundings) -> None:
        """Get what it needs of the installation."""
        self._surroundings = surroundings
        self._places, self._under_way, self._failed_at = asyncio.Semaphore(_AT_ONCE), {}, None

    def is_issuer_of(self, token: str) -> bool:
        """Say whether a token can be of this issuer: an opaque one, or a JWT that names it."""
        if not looks_signed(token):
            return True
        try:
            return unverified_claims(token).get("iss") == self.issuer
        except SignatureInvalid:
            return False

    async def validate_token(self, token: str, resource: str | None = None) -> TokenInfo:
        """Return what a token is worth at `resource`.

        Raises:
            TokenRefused: nothing.
            IssuerUnavailable: it cannot be known now.
        """
        said = await self._asked_once(token)
        # RFC 7662 section 2.2: nothing else that is said counts where this is not so.
        if said["active"] is not True:
            raise TokenRefused(bearer.UNKNOWN)
        kind = said.get("token_type", "Bearer")
        if not isinstance(kind, str) or kind.lower() not in ("bearer", "access_token"):  # some name the use here
            raise TokenRefused(bearer.WRONG_KIND)
        # Whose it is, and that it is an access token, need not be said: nobody else was asked about anything else.
        claims = {"iss": self.issuer, "typ": "Bearer", **said}
        self.rules.check(None, claims, resource=resource or "", now=self._around.now())
        return self.rules.read(claims)

    async def reach(self) -> bool:
        """Ask it about a token that nobody has, which shows whether it knows this server; True: it was asked.

        Raises:
            FetchFailed: it does not answer, or does not take this server's credentials.
        """
        await self._answer("gatepost-check")
        return True

    async def _asked_once(self, token: str) -> Mapping[str, Any]:
        """Return what it answers. Whoever sends the same token meanwhile waits for the same answer."""
        key = fingerprint(token)
        asking = self._under_way.get(key)
        if asking is None:
            if len(self._under_way) >= _WAITING or self._is_pausing():
                raise IssuerUnavailable(self.issuer)
            asking = asyncio.create_task(self._ask(token), name="gatepost-introspection")
            self._under_way[key] = asking
            asking.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(asking)

    def _is_pausing(self) -> bool:
        return self._failed_at is not None and 0 <= self._around.now() - self._failed_at < PAUSE

    async def _ask(self, token: str) -> Mapping[str, Any]:
        async with self._places:
            try:
                said = await self._answer(token)
            except FetchFailed as failure:
                self._note(failure)
                raise IssuerUnavailable(self.issuer) from None
        if self._failed_at is not None:
            _log.info("%s can be asked about tokens again", self.issuer)
            self._failed_at = None
        return said

    def _note(self, failure: FetchFailed) -> None:
        """Leave the issuer alone for a moment, unless it only dislikes one token, which anybody can have made up."""
        status = failure.status if isinstance(failure, UnexpectedStatus) else None
        if status in _OF_ONE_TOKEN:
            _log.info("%s does not say what a token is worth: %s", self.issuer, failure.cause)
            return
        if self._failed_at is None:
            _log.warning("%s cannot be asked about tokens: %s", self.issuer, failure.cause)
        self._failed_at = self._around.now()

    async def _answer(self, token: str) -> Mapping[str, Any]:
        transport = self._around.transport
        if self._introspection_uri is None:
            metadata = await metadata_of(self.issuer, transport)
            self._introspection_uri = server_url_in(metadata, "introspection_endpoint")
        client_id, secret = self._client
        form, authorization = {"token": token, "token_type_hint": "access_token"}, None
        if self._posts_secret:
            form |= {"client_id": client_id, "client_secret": secret}
        else:  # RFC 6749 section 2.3.1 has both form-encoded first
            pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
            authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
        said, _ = await json_at(self._introspection_uri, transport, form=form, authorization=authorization)
        if not isinstance(said, dict) or not isinstance(said.get("active"), bool):
            raise FetchFailed("what it answers says neither active nor not (RFC 7662 section 2.2)")
        return said

    @property
    def _around(self) -> IssuerSurroundings:
        if self._surroundings is None:
            raise RuntimeError(f"{self!r} is of no installation")
        return self._surroundings
