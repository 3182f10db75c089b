"""A login at an authorization server elsewhere: the code flow (RFC 6749 section 4.1) with PKCE (RFC 7636), by Authlib.

What differs between such servers is where their endpoints are and how they say who the person is. The state is bound
to browser and provider by `Login`; each provider has a redirect URI of its own, and `iss` of the answer is compared, so
that the answer of one server never counts as another's (RFC 9207, RFC 9700 section 4.4).
"""

from __future__ import annotations

import asyncio
import base64
import logging
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import quote_plus, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gatepost.identity.provider import (
    Identity,
    Login,
    LoginRefused,
    LoginRoute,
    LoginUnavailable,
    Surroundings,
)
from gatepost.identity.token_holder import TOTAL_SECONDS, TokenHolder, shown
from gatepost.late_dataclass import dataclass
from gatepost.outbound.addresses import is_server_url
from gatepost.outbound.fetching import FetchFailed
from gatepost.stores.contract.users import User
from gatepost.wording.phrase import Phrase, Words

if TYPE_CHECKING:
    from authlib.integrations.httpx_client import AsyncOAuth2Client

CODE_OVER: Final = Phrase("This login took too long, or its answer was used before. Try again.")
_CALLBACK: Final = "callback"
_OK: Final = 200
AUTH_METHODS: Final = ("client_secret_basic", "client_secret_post")
"""How a client may say who it is at the token endpoint (OpenID Connect Core section 9)."""

_log = logging.getLogger("gatepost.identity")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamServer:
    """What is known of an authorization server."""

    authorization_endpoint: str
    token_endpoint: str
    token_endpoint_auth_method: str
    says_issuer: bool = False
    """Whether each of its answers says whose it is (RFC 9207)."""
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """All that it says of itself."""


class UpstreamLogin(TokenHolder):
    """What providers that ask another authorization server have in common.

    Raises:
        ValueError: an argument is wrong; the message is a sentence.
    """

    refusals: Mapping[str, Words] = {"invalid_grant": CODE_OVER}
    """The errors of the token endpoint that are no fault, and what people are told."""
    offline_scopes: Sequence[str] = ()
    """What is asked for beside the other scopes, for a refresh token, where tokens are kept."""
    offline_parameters: Mapping[str, str] = {}
    """What the authorization request has to say for one."""

    def __init__(
        self,
        name: str,
        issuer: str,
        client_id: str,
        client_secret: str | None,
        *,
        scopes: Sequence[str],
        keep_tokens: bool = False,
    ) -> None:
        if not is_server_url(issuer):
            raise ValueError(
                "The issuer is an https URL without query and fragment, as its operator writes it, such as "
                "https://id.example.com; http is taken on this machine only."
            )
        if not client_id or client_secret == "":
            raise ValueError(
                "The client id is what the login provider calls this server; a client secret is not empty."
            )
        self._name = name
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._scopes = tuple(dict.fromkeys((*scopes, *(self.offline_scopes if keep_tokens else ()))))
        self.keeps_tokens = keep_tokens
        self._surroundings: Surroundings | None = None

    @property
    def name(self) -> str:
        """The word in its redirect URI, `/oauth/login/<name>/callback`."""
        return self._name

    @property
    def label(self) -> str:
        """Its host."""
        return self.host

    @property
    def issuer(self) -> str:
        """The URL of the server that vouches."""
        return self._issuer

    @property
    def routes(self) -> Sequence[LoginRoute]:
        """The way back."""
        return (LoginRoute(_CALLBACK, self._callback),)

    def connect(self, surroundings: Surroundings) -> None:
        """Take clock, randomness and the way to the server."""
        self._surroundings = surroundings

    @abstractmethod
    async def _server(self) -> UpstreamServer:
        """Return what is known of the server; in `_asking`."""

    @abstractmethod
    async def _identify(self, server: UpstreamServer, token: Mapping[str, Any], nonce: str) -> Identity:
        """Return whom a token answer is about; in `_asking`."""

    async def reach(self) -> None:
        """Ask the server for what a login needs of it: what it says of itself, or any answer where it says nothing.

        Raises:
            FetchFailed: it cannot be had, or is another server's.
        """
        server = await self._server()
        if not server.more:
            await self._knock(server.token_endpoint)

    async def _knock(self, url: str) -> None:
        """Have a server answer anything at all; raises FetchFailed."""
        import httpx2  # noqa: PLC0415 - as in `_json`

        try:
            async with asyncio.timeout(TOTAL_SECONDS), httpx2.AsyncClient(**self._options(url)) as http:
                await http.get(url)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise FetchFailed(f"{urlsplit(url).path}: {type(error).__name__}") from None

    def _extra(self, server: UpstreamServer, login: Login, nonce: str) -> Mapping[str, str]:
        """Return further parameters of the authorization request."""
        return {}

    def _is_own(self, issuer: str) -> bool:
        """Say whether `iss` of an answer names this server (RFC 9207 section 2.4)."""
        return issuer == self._issuer

    def vouches_for(self, issuer: str) -> bool:
        """Say whether it is the server's own issuer, or one of them."""
        return self._is_own(issuer)

    async def is_active(self, user: User) -> bool:
        """Say whether they came by this server: under its name there may have been another."""
        return self._is_own(user.issuer)

    async def challenge(self, request: Request, login: Login) -> Response:
        """Send the browser to the server."""
        from authlib.oauth2.client import OAuth2Client  # noqa: PLC0415 - nobody has logged in at the start

        async with self._asking():
            server = await self._server()
        nonce, verifier = self._random_text(), self._random_text()
        state = await login.begin({"nonce": nonce, "verifier": verifier})
        client = OAuth2Client(None, self._client_id, scope=" ".join(self._scopes) or None, code_challenge_method="S256")
        url, _ = client.create_authorization_url(
            server.authorization_endpoint,
            state=state,
            code_verifier=verifier,
            redirect_uri=login.url(_CALLBACK),
            **_merged(self._extra(server, login, nonce), self.offline_parameters if self.keeps_tokens else {}),
        )
        return RedirectResponse(url, 303)

    async def _callback(self, request: Request, login: Login) -> Response:
        # 1. It is the answer to what this browser asked; and the answer of the server that was asked.
        answer = {name: value for name, value in request.query_params.items() if value}
        data = await login.resume(answer.get("state"))
        async with self._asking():
            server = await self._server()
            if not self._is_own(answer["iss"]) if "iss" in answer else server.says_issuer:
                _log.warning("login provider %s: an answer names another issuer, or none", self._name)
                raise LoginRefused(Phrase("Another login provider answered than the one that was asked. Try again."))

            # 2. It may say no.
            if "error" in answer:
                self._refused(answer["error"])
            if "code" not in answer:
                raise LoginRefused(Phrase("%(host)s sent you back without an answer. Try again.", host=self.host))

            # 3. The code is for a token, and the token for the person.
            async with self._client(server) as http:
                token = await http.fetch_token(
                    server.token_endpoint,
                    grant_type="authorization_code",
                    code=answer["code"],
                    redirect_uri=login.url(_CALLBACK),
                    code_verifier=data["verifier"],
                )
                if not isinstance(token.get("access_token"), str):
                    raise FetchFailed("no access token")
                identity = await self._identify(server, token, data["nonce"])
            if self.keeps_tokens:
                tokens = self._read(token)
                # RFC 6749 section 5.1: what is not said is as it was asked for.
                identity = replace(identity, tokens=replace(tokens, scopes=tokens.scopes or self._scopes))
        return await login.finish(identity)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """Ask elsewhere; what goes wrong is for the log, and a page says that something did."""
        import httpx2  # noqa: PLC0415 - nobody has logged in at the start
        from authlib.integrations.base_client import OAuthError  # noqa: PLC0415 - likewise

        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                yield
        except OAuthError as error:
            code = shown(error.error)
            if code in self.refusals:
                raise LoginRefused(self.refusals[code]) from None
            cause = f"its token endpoint says {code}"
        except httpx2.HTTPStatusError as error:
            cause = f"its token endpoint answers {error.response.status_code}"
        except FetchFailed as failure:
            cause = failure.cause
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, TypeError, RecursionError) as error:
            cause = type(error).__name__
        else:
            return
        _log.warning("login provider %s: %s", self._name, cause, extra={"host": self.host})
        raise LoginUnavailable(Phrase("%(host)s, where you log in, does not answer as it should.", host=self.host))

    def _refused(self, error: str) -> NoReturn:
        """Say what an error of the authorization endpoint means (RFC 6749 section 4.1.2.1, Core section 3.1.2.6)."""
        if error in {"server_error", "temporarily_unavailable"}:
            raise FetchFailed(f"it says {error}")
        if error in {"access_denied", "login_required", "interaction_required", "consent_required"}:
            raise LoginRefused(Phrase("%(host)s did not let you in, or you did not go on there.", host=self.host))
        _log.warning("login provider %s: it refuses the request: %s", self._name, shown(error))
        raise LoginRefused(
            Phrase(
                "%(host)s did not take this server's request. The people who run this server find more in its log.",
                host=self.host,
            )
        )

    def _client(self, server: UpstreamServer) -> AsyncOAuth2Client:
        from authlib.integrations.httpx_client import AsyncOAuth2Client  # noqa: PLC0415 - nobody has logged in yet

        client = AsyncOAuth2Client(
            self._client_id,
            self._client_secret,
            token_endpoint_auth_method=server.token_endpoint_auth_method,
            **self._options(server.token_endpoint),
        )
        client.register_client_auth_method(("client_secret_basic", _basic))
        return client

    async def _json(
        self, url: str, bearer: str | None = None, *, absent: Sequence[int] = ()
    ) -> tuple[Any, Mapping[str, str]]:
        """Return the JSON at a URL of the server's, None for a status in `absent`, and the headers.

        No redirect is followed.

        Raises:
            FetchFailed: it cannot be had.
        """
        import httpx2  # noqa: PLC0415 - nobody has logged in at the start

        headers = {"Accept": "application/json"} | ({} if bearer is None else {"Authorization": f"Bearer {bearer}"})
        try:
            async with asyncio.timeout(TOTAL_SECONDS), httpx2.AsyncClient(**self._options(url)) as http:
                response = await http.get(url, headers=headers)
                value = response.json() if response.status_code == _OK else None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, RecursionError) as error:
            raise FetchFailed(f"{urlsplit(url).path}: {type(error).__name__}") from None
        if response.status_code not in {_OK, *absent}:
            raise FetchFailed(f"{urlsplit(url).path} answers {response.status_code}")
        return value, response.headers

    def _options(self, url: str) -> dict[str, Any]:
        return {
            "transport": self._around.transport(url),
            "trust_env": False,
            "timeout": TOTAL_SECONDS,
            "headers": {"User-Agent": "gatepost"},
        }

    def _revocation_endpoint(self, server: UpstreamServer) -> str | None:
        url = str(server.more.get("revocation_endpoint"))
        return url if is_server_url(url.partition("?")[0]) else None

    def _now(self) -> int:
        return self._around.now()

    @property
    def _around(self) -> Surroundings:
        if self._surroundings is None:
            raise RuntimeError(f"the login provider {self._name} is of no installation")
        return self._surroundings

    @property
    def host(self) -> str:
        """What people are told of where they log in."""
        return urlsplit(self._issuer).hostname or ""

    def _random_text(self) -> str:
        return base64.urlsafe_b64encode(self._around.random_bytes(32)).decode().rstrip("=")


def auth_method(secret: str | None, wanted: str | None, supported: object) -> str:
    """Return how the client says who it is at the token endpoint: as wanted, or the first that the server takes."""
    if secret is None:
        return "none"
    taken = supported if isinstance(supported, list) else AUTH_METHODS[:1]  # OpenID Connect Discovery section 3
    return wanted or next((method for method in AUTH_METHODS if method in taken), AUTH_METHODS[0])


def _merged(parameters: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Return both; `prompt` is a list (OpenID Connect Core section 3.1.2.1)."""
    prompts = " ".join(filter(None, (parameters.get("prompt"), more.get("prompt"))))
    return {**parameters, **more, **({"prompt": prompts} if prompts else {})}


def _basic(client: Any, _method: str, uri: str, headers: dict[str, str], body: str) -> tuple[str, dict[str, str], str]:
    """Authenticate as RFC 6749 section 2.3.1 has it; Authlib (1.9) leaves out the form encoding."""
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return uri, headers, body
