"""Event streams of an application end with the token that opened them, as those of our own endpoint do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.types import Message, Send


def ending_with_token(send: Send, still_counts: Callable[[], Awaitable[bool]]) -> Send:
    """Return what an application sends with, which ends an event stream once its token counts no more.

    It is asked for each part that the application sends after the first, such as the pings by which streams are kept
    alive. What else is sent then goes nowhere; the application hears of a disconnect.
    """
    is_stream = is_over = is_begun = False

    async def sent(message: Message) -> None:
        nonlocal is_stream, is_over, is_begun
        if is_over:
            return
        if message["type"] == "http.response.start":
            is_stream = any(
                name.lower() == b"content-type" and value.lower().startswith(b"text/event-stream")
                for name, value in message.get("headers", ())
            )
        elif is_stream and message["type"] == "http.response.body":
            if is_begun and message.get("more_body", False) and not await still_counts():
                is_over = True
                message = {"type": "http.response.body", "body": b""}
            is_begun = True
        await send(message)

    return sent
