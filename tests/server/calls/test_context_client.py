"""What a tool sends to its client, where the client answers at once: the handshake era."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from pydantic import BaseModel

from gatepost.protocol.errors import MissingRequiredClientCapability
from gatepost.server.calls.client_requests import Elicit, Elicited, InvalidAnswer, ListRoots, Root, Sample, Sampled
from gatepost.server.calls.context import Context
from gatepost.server.calls.context_log import NOTICE, protocol_level
from gatepost.server.calls.exchange import Exchange
from gatepost.server.calls.pending_client_requests import ClientError
from gatepost.server.declared.tools import Tool
from tests.server.calls.answering_exchange import AnsweringExchange


class Name(BaseModel):
    name: str


ACCEPTED = {"action": "accept", "content": {"name": "Ann"}}
SAID = {"role": "assistant", "content": {"type": "text", "text": "Hello"}, "model": "m"}
ANSWERS: dict[str, dict[str, Any]] = {
    "elicitation/create": ACCEPTED,
    "sampling/createMessage": SAID,
    "roots/list": {"roots": [{"uri": "file:///a"}]},
}


def on(exchange: AnsweringExchange | None, **meta: Any) -> Context:
    return Context(exchange, exchange, params={"_meta": meta}, tool="tested")


async def test_progress_is_sent_with_the_token_of_the_request() -> None:
    exchange = AnsweringExchange()
    context = on(exchange, progressToken=0)

    await context.progress(1)
    await context.progress(2.5, 5, "half")

    assert exchange.sent == [
        ("notifications/progress", {"progressToken": 0, "progress": 1}),
        ("notifications/progress", {"progressToken": 0, "progress": 2.5, "total": 5, "message": "half"}),
    ]


async def test_progress_that_does_not_grow_is_not_sent() -> None:
    exchange = AnsweringExchange()
    context = on(exchange, progressToken="t")

    for step in (2, 2, 1, 3):
        await context.progress(step)

    assert [params["progress"] for _, params in exchange.sent] == [2, 3]


async def test_progress_goes_nowhere_without_a_token_or_a_client() -> None:
    exchange = AnsweringExchange()

    await on(exchange).progress(1)
    await on(None, progressToken="t").progress(1)
    await Context(params={"_meta": {"progressToken": "t"}}).progress(1)

    assert exchange.sent == []


@pytest.mark.parametrize(("progress", "total"), [(float("nan"), None), (float("inf"), None), (1, float("inf"))])
async def test_progress_takes_numbers_that_json_has(progress: float, total: float | None) -> None:
    with pytest.raises(ValueError, match="finite"):
        await on(AnsweringExchange(), progressToken="t").progress(progress, total)


async def test_a_log_line_goes_to_pythons_log_and_to_a_client_that_wants_its_level(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exchange = AnsweringExchange(log_level="notice")
    log = on(exchange).log

    with caplog.at_level(logging.DEBUG, "gatepost.tools"):
        log.debug("one")
        log.info("two")
        log.log(NOTICE, "three")
        log.warning("four %s", 4)
        log.error("half \ud800")

    assert [record.getMessage() for record in caplog.records] == ["one", "two", "three", "four 4", "half \ud800"]
    assert {record.funcName for record in caplog.records} == {
        "test_a_log_line_goes_to_pythons_log_and_to_a_client_that_wants_its_level"
    }
    assert exchange.sent == [
        ("notifications/message", {"level": "notice", "logger": "tested", "data": "three"}),
        ("notifications/message", {"level": "warning", "logger": "tested", "data": "four 4"}),
        ("notifications/message", {"level": "error", "logger": "tested", "data": "half \ufffd"}),
    ]


async def test_a_traceback_stays_in_the_servers_log(caplog: pytest.LogCaptureFixture) -> None:
    exchange = AnsweringExchange(log_level="debug")

    try:
        raise ValueError("the path of the database")
    except ValueError:
        on(exchange).log.exception("the shelf is closed")

    assert "the path of the database" in caplog.text
    (sent,) = [params["data"] for _, params in exchange.sent]
    assert sent == "the shelf is closed"


@pytest.mark.parametrize("exchange", [None, AnsweringExchange()])
async def test_a_client_that_wants_no_log_gets_none(exchange: AnsweringExchange | None) -> None:
    on(exchange).log.critical("down")

    assert exchange is None or exchange.sent == []


@pytest.mark.parametrize(
    ("level", "name"),
    [(5, "debug"), (10, "debug"), (20, "info"), (25, "notice"), (30, "warning"), (40, "error"), (60, "critical")],
)
def test_pythons_levels_have_names_of_the_protocol(level: int, name: str) -> None:
    assert protocol_level(level) == name


async def test_each_request_gives_its_result() -> None:
    exchange = AnsweringExchange(ANSWERS)
    context = on(exchange)

    assert await context.elicit("Who?", Name) == Elicited("accept", Name(name="Ann"))
    assert await context.elicit_url("Pay", "https://example.com") == Elicited("accept", None)
    assert await context.sample("Hi", temperature=0) == Sampled(
        ({"type": "text", "text": "Hello"},), "m", None, "assistant"
    )
    assert await context.roots() == (Root("file:///a", None),)
    assert exchange.requests["roots-1"] == {"method": "roots/list", "params": {}}
    assert await context.elicit("Who?", Name, key="mine") == Elicited("accept", Name(name="Ann"))
    assert list(exchange.requests) == ["elicit-1", "elicit_url-1", "sample-1", "roots-1", "mine"]


async def test_keys_count_each_kind_of_request() -> None:
    exchange = AnsweringExchange(ANSWERS)
    context = on(exchange)

    await context.roots()
    await context.elicit("Who?", Name)
    await context.elicit("Who else?", Name)

    assert list(exchange.requests) == ["roots-1", "elicit-1", "elicit-2"]


async def test_several_requests_are_sent_at_once() -> None:
    exchange = AnsweringExchange(ANSWERS)

    answers = await on(exchange).request_all({"who": Elicit("Who?", Name), "words": Sample("Hi"), "where": ListRoots()})

    assert answers["who"].data == Name(name="Ann")
    assert answers["words"].text == "Hello"
    assert answers["where"] == (Root("file:///a", None),)
    assert list(exchange.requests) == ["who", "words", "where"]
    assert await on(None).request_all({}) == {}


async def test_a_key_stands_for_one_request_of_a_call() -> None:
    context = on(AnsweringExchange(ANSWERS))
    await context.roots(key="a")

    with pytest.raises(ValueError, match="'a' stands for another request"):
        await context.roots(key="a")


@pytest.mark.parametrize(
    "context", [Context(), on(None), on(AnsweringExchange(client_capabilities={"elicitation": {}, "sampling": {}}))]
)
async def test_a_client_that_cannot_answer_is_not_asked(context: Context) -> None:
    with pytest.raises(MissingRequiredClientCapability) as caught:
        await context.elicit_url("Pay", "https://example.com")
    assert caught.value.body()["data"] == {"requiredCapabilities": {"elicitation": {"url": {}}}}
    with pytest.raises(MissingRequiredClientCapability):
        await context.request_all({"a": Sample("Hi", tools=[{}])})


async def test_what_a_client_can_do_is_there_to_be_looked_at() -> None:
    assert "sampling" in on(AnsweringExchange()).client_capabilities
    assert Context().client_capabilities == {}


@pytest.mark.parametrize("error", [InvalidAnswer, MissingRequiredClientCapability])
async def test_faults_of_the_client_leave_a_tool_as_errors_of_the_protocol(error: type[Exception]) -> None:
    async def ask(ctx: Context) -> str:
        if error is InvalidAnswer:
            await ctx.roots()
        await ctx.elicit("Who?", Name)
        return "never"

    exchange = AnsweringExchange({"roots/list": {}}, client_capabilities={"roots": {}})

    with pytest.raises(error):
        await Tool(ask).call({}, exchange, lambda _: on(exchange))


async def test_an_error_of_the_client_is_the_tools_to_handle() -> None:
    class Refusing(AnsweringExchange):
        async def request(self, requests: Any) -> Any:  # noqa: ARG002 - refuses whatever it is
            raise ClientError(-1, "the user said no")

    async def ask(ctx: Context) -> str:
        try:
            await ctx.sample("Hi")
        except ClientError as error:
            return f"{error.code} {error.message} / {error}"
        return "never"

    result = await Tool(ask).call({}, Exchange(), lambda _: on(Refusing()))

    assert result["content"][0]["text"] == "-1 the user said no / the client answered with error -1"


async def test_a_client_that_does_not_know_what_it_declared_is_no_incident(caplog: pytest.LogCaptureFixture) -> None:
    class Unknowing(AnsweringExchange):
        async def request(self, requests: Any) -> Any:  # noqa: ARG002 - refuses whatever it is
            raise ClientError(-32601, "Method not found: secret")

    async def ask(ctx: Context) -> str:
        await ctx.elicit("Who?", Name)
        return "never"

    exchange = Unknowing(client_capabilities={"elicitation": {"form": {}}})
    result = await Tool(ask).call({}, Exchange(), lambda _: on(exchange))

    text = "the client answered with error -32601: it does not know this request, though it declared that it does"
    assert (result["isError"], result["content"][0]["text"]) == (True, text)
    assert caplog.records == []


@pytest.mark.parametrize("context", [Context(), on(AnsweringExchange())])
async def test_once_runs_a_function_once_in_a_call(context: Context) -> None:
    runs: list[int] = []

    def draw() -> Any:
        runs.append(1)
        return (4,)

    async def fetch() -> str:
        return "text"

    assert await context.once("number", draw) == [4]
    assert await context.once("number", draw) == [4]
    assert await context.once("text", fetch) == "text"
    assert runs == [1]


async def test_once_takes_json_only() -> None:
    with pytest.raises(TypeError):
        await Context().once("set", lambda: {1, 2})


async def test_a_tool_that_is_a_plain_function_waits_for_the_asynchronous_methods() -> None:
    exchange = AnsweringExchange(ANSWERS, log_level="debug")

    def ask(ctx: Context) -> str:
        ctx.log.info("from a thread")
        ctx.wait(ctx.progress(1))
        answer = ctx.wait(ctx.elicit("Who?", Name))
        assert answer.data is not None
        return answer.data.name

    result = await Tool(ask).call({}, exchange, lambda _: on(exchange, progressToken=1))

    assert result["content"][0]["text"] == "Ann"
    assert [method for method, _ in exchange.sent] == ["notifications/message", "notifications/progress"]


async def test_waiting_in_the_event_loop_is_refused() -> None:
    context = on(AnsweringExchange())

    with pytest.raises(RuntimeError, match="write await"):
        await asyncio.get_running_loop().run_in_executor(None, lambda: context.wait(context.progress(1)))


async def test_a_stream_is_closed_where_there_is_one() -> None:
    exchange = AnsweringExchange()

    await on(exchange).close_stream()
    await Context().close_stream()

    assert exchange.streams_closed == 1
