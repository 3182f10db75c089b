"""A login in the browser of this machine: authorization code with PKCE, answered on loopback (RFC 8252, RFC 9207)."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import field
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from gatepost.client.kept_tokens import RegisteredClient
from gatepost.client.protection import Protection
from gatepost.client.refusals import CallRefused
from gatepost.late_dataclass import dataclass

PATH: Final = "/callback"
_HEAD_LIMIT: Final = 16 * 1024
_HEAD_SECONDS: Final = 10.0
_DONE: Final = "You are logged in. Go back to the terminal; this window can be closed."
_NOT_DONE: Final = "You are not logged in. The terminal says why; this window can be closed."
_NOT_OURS: Final = "This is not the answer that is waited for."

Open = Callable[[str], Awaitable[None]]
"""Shows a URL to the person."""


@dataclass(frozen=True, slots=True)
class GrantedCode:
    """What the authorization endpoint gave."""

    code: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(slots=True)
class LoopbackAnswer:
    """A listener on loopback that waits for one answer (RFC 8252 section 7.3)."""

    port: int
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    _answer: asyncio.Future[dict[str, str]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future(), init=False, repr=False
    )

    @property
    def redirect_uri(self) -> str:
        """Where the browser is to be sent."""
        return f"http://127.0.0.1:{self.port}{PATH}"

    async def wait(self, seconds: float) -> dict[str, str]:
        """Return the parameters of the answer; raises CallRefused when there is none in time."""
        try:
            async with asyncio.timeout(seconds):
                return await self._answer
        except TimeoutError:
            raise CallRefused(f"Nobody has logged in within {seconds:g} seconds. Try again.") from None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            status, text = self._take(head.split(b" ", 2)[1].decode("ascii", "replace"))
            body = text.encode()
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
                "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n".encode()
                + body
            )
            await writer.drain()
        except (OSError, ValueError, IndexError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            pass  # whoever that was; the answer is still waited for
        finally:
            writer.close()

    def _take(self, target: str) -> tuple[str, str]:
        parts = urlsplit(target)
        pairs = parse_qsl(parts.query)
        answer = dict(pairs)
        # Other pages can send a browser here as well: only what has the state is the answer (RFC 6749 section 10.12).
        is_ours = hmac.compare_digest(answer.get("state", "").encode(), self.state.encode())
        if parts.path != PATH or not is_ours or len(answer) != len(pairs) or self._answer.done():
            return "400 Bad Request", _NOT_OURS
        self._answer.set_result(answer)
        return "200 OK", _DONE if "code" in answer else _NOT_DONE


@asynccontextmanager
async def loopback_answer(wanted: Sequence[int]) -> AsyncIterator[LoopbackAnswer]:
    """Listen on loopback, at the first of these ports that is free, for as long as the context lasts.

    Raises:
        CallRefused: none of them is free.
    """
    for port in wanted:
        answers: list[LoopbackAnswer] = []

        async def serve(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: list[LoopbackAnswer] = answers
        ) -> None:
            await answers[0].serve(reader, writer)

        try:
            server = await asyncio.start_server(serve, "127.0.0.1", port, limit=_HEAD_LIMIT, start_serving=False)
        except OSError:
            continue
        answers.append(LoopbackAnswer(server.sockets[0].getsockname()[1]))
        await server.start_serving()
        try:
            yield answers[0]
        finally:
            server.close()
        return
    raise CallRefused(f"The port {wanted[0]} of the redirect URI is taken: end what listens there, or name another.")


async def code_by_browser(
    protection: Protection,
    client: RegisteredClient,
    answer: LoopbackAnswer,
    *,
    scopes: Sequence[str],
    open_url: Open,
    seconds: float,
) -> GrantedCode:
    """Have the person log in and approve, and return the code.

    Args:
        protection: where.
        client: as whom.
        answer: what waits for the answer, at the redirect URI of the client.
        scopes: what is asked for; nothing where it is empty, which means the server's default.
        open_url: shows the address to the person.
        seconds: how long is waited.

    Raises:
        CallRefused: they said no, or the answer is another server's.
    """
    from authlib.oauth2.client import OAuth2Client  # noqa: PLC0415 - where somebody logs in

    verifier = secrets.token_urlsafe(64)
    builder = OAuth2Client(None, client.client_id, scope=" ".join(scopes) or None, code_challenge_method="S256")
    url, _ = builder.create_authorization_url(
        protection.endpoint("authorization_endpoint"),
        state=answer.state,
        code_verifier=verifier,
        redirect_uri=answer.redirect_uri,
        resource=protection.resource,
    )
    await open_url(url)
    said = await answer.wait(seconds)
    # RFC 9207 section 2.4: before anything else, so that no other server's answer is believed.
    must_say = protection.metadata.get("authorization_response_iss_parameter_supported") is True
    if said["iss"] != protection.issuer if "iss" in said else must_say:
        raise CallRefused(f"The answer is not of {protection.issuer}, and is not believed (iss, RFC 9207).")
    if "code" not in said:
        error = said.get("error", "no code")
        more = f": {said['error_description']}" if said.get("error_description") else ""
        raise CallRefused(f"{protection.issuer} has not let you in ({error}){more}")
    return GrantedCode(said["code"], verifier)
