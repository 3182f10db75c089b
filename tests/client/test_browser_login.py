"""What waits on loopback for the answer of a login: what it takes, and what it lets pass."""

from __future__ import annotations

import asyncio

import pytest

from gatepost.client.browser_login import LoopbackAnswer, loopback_answer
from gatepost.client.refusals import CallRefused
from tests.end_to_end import local_http


async def status(answer: LoopbackAnswer, query: str, *, path: str = "/callback") -> int:
    async with local_http.async_client() as browser:
        response = await browser.get(f"http://127.0.0.1:{answer.port}{path}?{query}")
    assert response.headers["cache-control"] == "no-store"
    return response.status_code


async def test_only_what_has_the_state_is_the_answer_and_it_is_taken_once() -> None:
    async with loopback_answer((0,)) as answer:
        state = f"state={answer.state}"
        for query, path in (
            ("code=x&state=wrong", "/callback"),
            ("code=x", "/callback"),
            (f"code=x&{state}", "/"),
            (f"code=x&code=y&{state}", "/callback"),
        ):
            assert await status(answer, query, path=path) == 400
        assert await status(answer, f"code=x&{state}&iss=https%3A%2F%2Fid.example") == 200
        assert await status(answer, f"code=y&{state}") == 400
        said = await answer.wait(60)
    assert said == {"code": "x", "state": answer.state, "iss": "https://id.example"}


async def test_a_connection_that_says_nothing_keeps_no_answer_away() -> None:
    async with loopback_answer((0,)) as answer:
        _, writer = await asyncio.open_connection("127.0.0.1", answer.port)
        writer.write(b"GET")
        assert await status(answer, f"error=access_denied&state={answer.state}") == 200
        writer.close()
        assert (await answer.wait(60))["error"] == "access_denied"


async def test_a_target_that_is_no_url_keeps_no_answer_away() -> None:
    failures: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failures.append(context))
    async with loopback_answer((0,)) as answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", answer.port)
        writer.write(b"GET http://[/ HTTP/1.1\r\n\r\n")
        assert await reader.read() == b""
        writer.close()
        assert await status(answer, f"error=access_denied&state={answer.state}") == 200
        assert (await answer.wait(60))["error"] == "access_denied"
    assert failures == []


async def test_nobody_is_waited_for_for_ever() -> None:
    async with loopback_answer((0,)) as answer:
        with pytest.raises(CallRefused, match="Nobody has logged in within 0 seconds"):
            await answer.wait(0)


async def test_a_port_that_is_taken_is_passed_over_where_another_will_do() -> None:
    async with loopback_answer((0,)) as first:
        async with loopback_answer((first.port, 0)) as second:
            assert second.port != first.port
        with pytest.raises(CallRefused, match=f"port {first.port} of the redirect URI is taken"):
            async with loopback_answer((first.port,)):
                raise AssertionError
