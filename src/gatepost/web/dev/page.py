"""The dev page's addresses: the page, its files, the exchange of the key, the state that it shows, tokens."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gatepost.late_dataclass import dataclass
from gatepost.oauth.errors import OAuthError
from gatepost.web.dev.access import DevAccess
from gatepost.web.dev.tokens import DevTokens
from gatepost.web.site.request_body import ClientDisconnected, media_type, read_body
from gatepost.web.site.responses import json_response

PATH: Final = "/dev"
_FOLDER: Final = Path(__file__).parent / "static"
_PAGES: Final = _FOLDER.parents[1] / "pages" / "static"
_FILES: Final = {
    "dev.css": (_FOLDER, "text/css; charset=utf-8"),
    "dev.js": (_FOLDER, "text/javascript; charset=utf-8"),
    "client.js": (_FOLDER, "text/javascript; charset=utf-8"),
    "form.js": (_FOLDER, "text/javascript; charset=utf-8"),
    "show.js": (_FOLDER, "text/javascript; charset=utf-8"),
    "questions.js": (_FOLDER, "text/javascript; charset=utf-8"),
    "gatepost.css": (_PAGES, "text/css; charset=utf-8"),
    "gatepost.svg": (_PAGES, "image/svg+xml"),
}
_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    # What tools return is text here: no script of the page can write it as markup.
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_LONGEST_BODY: Final = 64 * 1024
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class DevEndpoint:
    """An MCP endpoint as the page knows it."""

    path: str
    name: str
    scopes: Mapping[str, str]
    """Each scope with its words."""
    needs_token: bool
    needs: Callable[[], Mapping[str, Mapping[str, Sequence[Sequence[str]]]]]
    """By kind (`tools`, `prompts`, `resources`) and name, groups of scopes of each of which one is needed."""
    resource_at: Callable[[str], str]
    """The audience of tokens, at an origin."""

    def as_object(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "path": self.path,
            "name": self.name,
            "scopes": dict(self.scopes),
            "needs_token": self.needs_token,
            "needs": self.needs(),
        }


@dataclass(frozen=True, slots=True)
class DevApp:
    """Answers at `/dev`, and leaves all else to the app."""

    app: ASGIApp
    _: KW_ONLY
    access: DevAccess
    status: Callable[[], Mapping[str, Any]]
    """How the server is: generation, what changed, what failed."""
    name: str
    version: str
    """Gatepost's."""
    process: int = 0
    """The number of this process, which the process that takes its place has a higher one than."""
    endpoints: Sequence[DevEndpoint] = ()
    tokens: DevTokens | None = None
    """None where nothing is served."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        path = scope["path"] if scope["type"] == "http" else ""
        if path != PATH and not path.startswith(f"{PATH}/"):
            await self.app(scope, receive, send)
            return
        try:
            response = await self._respond(Request(scope, receive))
        except OAuthError as error:
            response = json_response({"error": error.error, "error_description": error.description}, error.status)
        except ClientDisconnected:
            return
        for name, value in _HEADERS.items():
            response.headers[name] = value
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if refusal := self.access.refusal_of_place(request):
            return refusal
        path = request.url.path
        if request.method in {"GET", "HEAD"} and path.rstrip("/") == PATH:
            return _file("index.html", _FOLDER, "text/html; charset=utf-8")
        if request.method in {"GET", "HEAD"} and path.startswith(f"{PATH}/static/"):
            folder, kind = _FILES.get(path.removeprefix(f"{PATH}/static/"), (None, ""))
            return PlainTextResponse("Not found", 404) if folder is None else _file(Path(path).name, folder, kind)
        return await self._answer_script(request, (request.method, path))

    async def _answer_script(self, request: Request, asked: tuple[str, str]) -> Response:
        handler = {
            ("POST", f"{PATH}/session"): self._let_in,
            ("GET", f"{PATH}/state"): self._state,
            ("POST", f"{PATH}/token"): self._token,
        }.get(asked)
        if handler is None:
            return json_response({"error": "not_found", "error_description": "Nothing is served here."}, 404)
        # 1. Which page asks.
        if refusal := self.access.refusal_of_page(request):
            return refusal
        # 2. Whose browser that is.
        if handler != self._let_in and (refusal := self.access.refusal_of_browser(request)):
            return refusal
        return await handler(request)

    async def _let_in(self, request: Request) -> Response:
        given = await _read_json(request)
        if not self.access.takes_key(given.get("key")):
            return _wrong("This key is not of this start: open the link that the terminal shows now.", status=403)
        response = json_response({"proof": self.access.proof})
        self.access.let_in(request, response)
        return response

    async def _state(self, _request: Request) -> Response:
        return json_response(
            {
                "name": self.name,
                "version": self.version,
                "process": self.process,
                "status": self.status(),
                "endpoints": [endpoint.as_object() for endpoint in self.endpoints],
            }
        )

    async def _token(self, request: Request) -> Response:
        given = await _read_json(request)
        path, user, scopes = given.get("endpoint"), given.get("user"), given.get("scopes")
        endpoint = next((each for each in self.endpoints if each.path == path), None)
        if endpoint is None or self.tokens is None:
            return _wrong("There is no such endpoint (any more).")
        if not isinstance(user, str) or not user.strip() or len(user) > _LONGEST_NAME or not user.isprintable():
            return _wrong(f"The user is a name of at most {_LONGEST_NAME} printable characters.")
        if not isinstance(scopes, list) or any(scope not in list(endpoint.scopes) for scope in scopes):
            return _wrong("The scopes are a list of those that the endpoint has.")
        origin = f"http://{request.headers['host']}"
        resource = endpoint.resource_at(origin)
        tokens = await self.tokens.make(origin, resource, subject=user.strip(), scopes=tuple(scopes))
        return json_response(tokens.answer(now=self.tokens.now()))


def _wrong(description: str, *, status: int = 400) -> Response:
    return json_response({"error": "invalid_request", "error_description": description}, status)


async def _read_json(request: Request) -> dict[str, Any]:
    """Return the object that a request has; an empty one for what is none."""
    # Pages of others can send this media type only after a preflight, which is not answered here.
    if media_type(request.scope["headers"]) != "application/json":
        return {}
    try:
        given = json.loads(await read_body(request.receive, limit=_LONGEST_BODY))
    except (ValueError, RecursionError):
        return {}
    return given if isinstance(given, dict) else {}


def _file(name: str, folder: Path, kind: str) -> Response:
    return Response(_content(folder / name), media_type=kind)


@functools.cache
def _content(path: Path) -> bytes:
    return path.read_bytes()
