"""`ctx.upstream_token`: whose it is, who is led to link an account, and what callers hear."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from gatepost.protocol.errors import InternalError
from gatepost.protocol.messages import Request
from gatepost.protocol.modern import CLIENT_CAPABILITIES
from gatepost.protocol.versions import REVISION_2026_07_28
from gatepost.resource.principal import Principal
from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange, InputRequests, Results
from gatepost.server.calls.upstream import (
    CallersAccessToken,
    NoPerson,
    NotLinked,
    UnknownUpstream,
    UpstreamUnavailable,
)
from gatepost.server.dispatch import ServerTarget
from gatepost.server.errors import InvalidResult, ToolError
from gatepost.server.server import Server
from tests.server.calls.answering_exchange import AnsweringExchange
from tests.server.calls.asking_client import Client, text

ORIGIN = "https://mcp.example.com"
LINK = f"{ORIGIN}/oauth/account/link/github"
NEEDED = (
    "This needs your account at GitHub, which is not linked here, or not any more. Open "
    f"{LINK} in a browser, link it there, and then try again."
)


def person(subject: str = "user-1", **changes: Any) -> Principal:
    values: dict[str, Any] = {"user_issuer": "local", **changes}
    return Principal(subject, "client-1", frozenset(), f"{ORIGIN}/mcp", ORIGIN, "grant-1", None, **values)


@dataclass
class Kept:
    """What is kept, by subject; and what happens while one waits for a link."""

    tokens: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    waited: int = 0
    fails: Exception | None = None

    async def access_token(self, provider: str, principal: Principal, *, refused: str | None) -> str:
        self.asked.append((principal.subject, provider, refused))
        if self.fails is not None:
            raise self.fails
        if principal.subject not in self.tokens:
            raise NotLinked("GitHub", LINK)
        return self.tokens[principal.subject]

    async def once_linked(self, provider: str, principal: Principal, *, refused: str | None) -> str:
        self.waited += 1
        self.tokens.update(self.links)
        return await self.access_token(provider, principal, refused=refused)


async def use(ctx: Context) -> str:
    """Use the token, as an HTTP client would."""
    return f"sent {(await ctx.upstream_token('github'))[::-1]}"


def of(kept: Kept | None, principal: Principal | None, client: Any = None) -> Context:
    return Context(Exchange(principal), client, upstream=kept)


async def test_it_is_the_callers_and_nobody_elses() -> None:
    kept = Kept({"user-1": "gho_0001", "user-2": "gho_0002"})
    assert await of(kept, person()).upstream_token("github") == "gho_0001"
    assert await of(kept, person("user-2")).upstream_token("github", refused="gho_0000") == "gho_0002"
    assert kept.asked == [("user-1", "github", None), ("user-2", "github", "gho_0000")]


async def test_it_does_not_show_where_texts_are_shown_as_written() -> None:
    token = await of(Kept({"user-1": "gho_0001"}), person()).upstream_token("github")
    assert isinstance(token, CallersAccessToken)
    assert repr({"Authorization": token}) == "{'Authorization': <access token>}"
    assert f"Bearer {token}" == "Bearer gho_0001"


@pytest.mark.parametrize(
    "principal",
    [
        None,
        person("api-key", user_issuer=None),
        person("client-1", user_issuer=None),
    ],
)
async def test_where_nobody_has_logged_in_there_is_none(principal: Principal | None) -> None:
    kept = Kept({"api-key": "gho_0001", "client-1": "gho_0001", "anonymous": "gho_0001"})
    with pytest.raises(NoPerson, match="nobody has logged in for this call"):
        await of(kept, principal).upstream_token("github")
    assert kept.asked == []


async def test_where_nobody_logs_in_elsewhere_the_author_hears_so() -> None:
    with pytest.raises(UnknownUpstream, match="no login provider 'github'"):
        await of(None, person()).upstream_token("github")


async def test_a_client_that_shows_no_pages_gets_the_address_in_words() -> None:
    with pytest.raises(NotLinked) as missing:
        await of(Kept(), person(), AnsweringExchange(client_capabilities={"elicitation": {}})).upstream_token("github")
    assert missing.value.url == LINK
    assert LINK in str(missing.value)
    with pytest.raises(NotLinked):
        await of(Kept(), person()).upstream_token("github")


class Session(AnsweringExchange):
    """A session of the handshake era whose client shows pages, and whose user does this."""

    def __init__(self, action: str) -> None:
        super().__init__({"elicitation/create": {"action": action}}, client_capabilities={"elicitation": {"url": {}}})
        self.count = 0

    async def request(self, requests: InputRequests) -> Results:
        self.count += 1
        return await super().request(requests)


async def test_in_a_session_the_user_is_asked_and_the_call_goes_on_once_linked() -> None:
    kept, session = Kept(links={"user-1": "gho_0001"}), Session("accept")
    assert await of(kept, person(), session).upstream_token("github") == "gho_0001"
    assert session.requests == {
        "upstream-github": {
            "method": "elicitation/create",
            "params": {"mode": "url", "message": "To go on, link your account at GitHub.", "url": LINK},
        }
    }
    assert kept.waited == 1


async def test_a_call_that_needs_it_twice_asks_once() -> None:
    kept, session = Kept(links={"user-1": "gho_0001"}), Session("accept")
    context = of(kept, person(), session)
    assert {*await asyncio.gather(context.upstream_token("github"), context.upstream_token("github"))} == {"gho_0001"}
    assert session.count == 1


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_user_who_says_no_ends_it_and_hears_the_address(action: str) -> None:
    kept = Kept(links={"user-1": "gho_0001"})
    with pytest.raises(NotLinked, match=LINK):
        await of(kept, person(), Session(action)).upstream_token("github")
    assert kept.waited == 0


async def test_a_user_who_agreed_and_did_not_do_it_hears_the_address() -> None:
    with pytest.raises(NotLinked, match=LINK):
        await of(Kept(), person(), Session("accept")).upstream_token("github")


async def test_who_opened_the_page_instead_gives_the_caller_nothing() -> None:
    """Bob, to whom the address was sent, linked his own account to himself."""
    kept = Kept(links={"user-2": "gho_of_bob"})
    with pytest.raises(NotLinked):
        await of(kept, person(), Session("accept")).upstream_token("github")


def asking(kept: Kept) -> Client:
    client = Client(use)
    client.principal = person()
    target = client.target
    client.target = ServerTarget(client.server, seal=target.seal, upstream=kept)
    return client


async def test_in_the_modern_era_the_call_ends_with_the_question_and_goes_on_with_the_answer() -> None:
    kept = Kept(links={"user-1": "gho_0001"})
    client = asking(kept)
    first = await client.call()
    assert first["inputRequests"]["upstream-github"]["params"]["url"] == LINK
    answered = await client.call({"upstream-github": {"action": "accept"}}, first["requestState"])
    assert text(answered) == "sent 1000_ohg"
    assert kept.waited == 1


async def test_who_has_linked_before_the_answer_comes_is_asked_nothing_more() -> None:
    kept = Kept()
    client = asking(kept)
    first = await client.call()
    kept.tokens["user-1"] = "gho_0001"
    assert text(await client.call({"upstream-github": {"action": "accept"}}, first["requestState"])) == "sent 1000_ohg"
    assert kept.waited == 0


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            NotLinked("GitHub", LINK),
            NEEDED,
        ),
        (
            UpstreamUnavailable("GitHub", 30),
            "GitHub cannot be asked for access to your account just now. Nothing is lost: try again in 30 seconds.",
        ),
        (
            UpstreamUnavailable("GitHub", 1),
            "GitHub cannot be asked for access to your account just now. Nothing is lost: try again in 1 second.",
        ),
    ],
)
async def test_callers_read_what_to_do(error: Exception, words: str) -> None:
    client = asking(Kept(fails=error))
    client.capabilities = {}
    result = await client.call()
    assert (result["isError"], text(result)) == (True, words)


async def test_what_the_author_got_wrong_is_an_incident_for_the_client(caplog: pytest.LogCaptureFixture) -> None:
    result = await asking(Kept(fails=UnknownUpstream("no login provider 'github' keeps tokens"))).call()
    assert text(result).startswith("The tool failed. Incident ")
    assert "no login provider 'github' keeps tokens" in caplog.text


async def test_a_plain_function_waits_for_it() -> None:
    def plain(ctx: Context) -> str:
        return f"sent {ctx.wait(ctx.upstream_token('github'))[::-1]}"

    client = Client(plain)
    client.principal = person()
    client.target = ServerTarget(client.server, seal=client.target.seal, upstream=Kept({"user-1": "gho_0001"}))
    assert text(await client.call()) == "sent 1000_ohg"


async def test_without_authentication_as_over_stdio_it_says_what_is_missing() -> None:
    result = await Client(use).call()
    assert "nobody has logged in for this call. Connect to this server over HTTP, and log in." in text(result)


async def returns(ctx: Context) -> dict[str, Any]:
    return {"headers": [{"Authorization": f"Bearer {await ctx.upstream_token('github')}"}]}


async def raises(ctx: Context) -> str:
    raise ToolError(f"GitHub did not take {await ctx.upstream_token('github')}")


async def tells(ctx: Context) -> str:
    token = await ctx.upstream_token("github")
    ctx.log.info("using %s", token)
    await ctx.progress(1, message=f"with {token}")
    return "done"


async def quoted(ctx: Context) -> str:
    return f"a token {await ctx.upstream_token('github')}"


@pytest.mark.parametrize(("tool", "token"), [(returns, "gho_0001"), (raises, "gho_0001"), (quoted, 'gho"\\0001')])
async def test_a_result_that_holds_the_token_is_not_sent(
    tool: Callable[..., Any], token: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(tool)
    client.principal = person()
    client.target = ServerTarget(client.server, seal=client.target.seal, upstream=Kept({"user-1": token}))
    result = await client.call()
    assert result["isError"]
    assert text(result) == (
        "The result cannot be sent: it holds an access token of a login provider, which no app may see"
    )
    assert "gho" not in str(result) + caplog.text


async def test_notifications_that_hold_the_token_are_not_sent_and_others_are() -> None:
    exchange = AnsweringNotifications(person())
    context = Context(
        exchange, exchange, params={"_meta": {"progressToken": 1}}, upstream=Kept({"user-1": "gho_0001"}), tool="tells"
    )
    assert await tells(context) == "done"
    assert exchange.messages == []
    await context.progress(2, message="without it")
    assert len(exchange.messages) == 1


class AnsweringNotifications(Exchange):
    """Sends what may leave, to a client that wants every log message."""

    client_capabilities: Mapping[str, Any] = {}
    log_level = "debug"

    def __init__(self, principal: Principal) -> None:
        super().__init__(principal)
        self.messages: list[bytes] = []

    async def send(self, message: bytes) -> None:
        self.messages.append(message)

    def post_message(self, message: bytes) -> None:
        self.messages.append(message)

    async def request(self, requests: InputRequests) -> Results:
        raise NotImplementedError


async def test_prompts_and_resources_send_no_token_either() -> None:
    server = Server("prompts")

    @server.prompt
    async def ask(ctx: Context) -> str:
        """Ask."""
        return f"Use {await ctx.upstream_token('github')}"

    @server.prompt
    async def complain(ctx: Context) -> str:
        """Complain."""
        raise ToolError(f"not {await ctx.upstream_token('github')}")

    target = ServerTarget(server, upstream=Kept({"user-1": "gho_0001"}))
    for name in ("ask", "complain"):
        params: dict[str, Any] = {"name": name, "_meta": {CLIENT_CAPABILITIES: {}}}
        with pytest.raises(InternalError) as refused:
            await target.answer(Request(1, "prompts/get", params), REVISION_2026_07_28, Exchange(person()))
        assert "gho" not in str(refused.value)
        assert "no app may see" in str(refused.value)


@pytest.mark.parametrize(
    "ask",
    [
        lambda context, token: context.elicit(f"Use {token}?", {"type": "object", "properties": {}}),
        lambda context, token: context.elicit_url("Look", f"https://api.github.com/user?access_token={token}"),
        lambda context, token: context.sample(f"What is {token}?"),
    ],
)
async def test_a_question_to_the_client_that_holds_a_token_is_not_sent(
    ask: Callable[[Context, str], Awaitable[Any]],
) -> None:
    """In a session questions go out while the call runs, so that no look at its result would find the token in one."""
    answers = {"elicitation/create": {"action": "decline"}}
    can: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}, "sampling": {}}
    session = AnsweringExchange(answers, client_capabilities=can)
    context = of(Kept({"user-1": "gho_0001"}), person(), session)
    token = await context.upstream_token("github")

    with pytest.raises(InvalidResult, match="no app may see"):
        await ask(context, token)
    assert session.requests == {}
    assert not (await context.elicit("Go on?", {"type": "object", "properties": {}})).accepted
