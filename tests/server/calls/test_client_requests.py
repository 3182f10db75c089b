from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import BaseModel

from gatepost.server.calls.client_requests import (
    Elicit,
    Elicited,
    ElicitURL,
    InvalidAnswer,
    ListRoots,
    Root,
    Sample,
    Sampled,
    is_declared,
)


class Trip(BaseModel):
    city: str
    day: date = date(2026, 1, 1)


FORM = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
SAID = {"role": "assistant", "content": {"type": "text", "text": "Paris"}, "model": "m", "stopReason": "endTurn"}


def test_a_form_is_sent_with_its_schema_and_without_a_mode() -> None:
    assert Elicit("Where to?", FORM).params() == {"message": "Where to?", "requestedSchema": FORM}


def test_an_accepted_form_is_read_as_the_model_with_its_defaults() -> None:
    answer = Elicit("?", Trip).read({"action": "accept", "content": {"city": "Rome", "day": "2026-05-06"}})

    assert answer == Elicited("accept", Trip(city="Rome", day=date(2026, 5, 6)))
    assert answer.accepted
    assert Elicit("?", Trip).read({"action": "accept", "content": {"city": "Rome"}}).data == Trip(city="Rome")


def test_an_accepted_form_of_a_schema_is_read_as_it_came() -> None:
    assert Elicit("?", FORM).read({"action": "accept", "content": {"city": "Rome"}}).data == {"city": "Rome"}


@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_a_user_who_does_not_fill_in_the_form_gives_no_data(action: str) -> None:
    answer = Elicit("?", Trip).read({"action": action, "content": {"city": 5}})

    assert (answer.action, answer.data, answer.accepted) == (action, None, False)


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"action": "maybe"},
        {"action": ["accept"]},
        {"action": "accept"},
        {"action": "accept", "content": []},
        {"action": "accept", "content": {}},
        {"action": "accept", "content": {"city": 5}},
        {"action": "accept", "content": {"city": "Rome", "day": "never"}},
        {"action": "accept", "content": {"city": 10**30}},
    ],
)
@pytest.mark.parametrize("form", [Trip, {**FORM, "properties": {**FORM["properties"], "day": {"type": "boolean"}}}])  # type: ignore[dict-item] # a literal, by hand
def test_an_answer_that_does_not_fit_the_form_is_refused_without_its_values(form: Any, result: dict[str, Any]) -> None:
    with pytest.raises(InvalidAnswer) as caught:
        Elicit("?", form).read(result)

    assert "never" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_page_to_visit_is_sent_in_url_mode_and_brings_no_data() -> None:
    question = ElicitURL("Log in there", "https://example.com/in")

    assert question.params() == {"mode": "url", "message": "Log in there", "url": "https://example.com/in"}
    assert question.read({"action": "accept", "content": {"x": 1}}) == Elicited("accept", None)


@pytest.mark.parametrize("url", ["/in", "https://", "http://example.com/in", "file:///etc/passwd", "app://host/in"])
def test_a_page_has_an_absolute_https_url(url: str) -> None:
    with pytest.raises(ValueError, match="absolute https"):
        ElicitURL("Log in", url).params()


@pytest.mark.parametrize("host", ["localhost:3000", "127.0.0.1", "[::1]:8000"])
def test_a_page_on_this_machine_may_do_without_tls(host: str) -> None:
    assert ElicitURL("Log in", f"http://{host}/in").params()["url"] == f"http://{host}/in"


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "http://localhost:8000/in?a=%20#b",
        "https://[::1]:1/",
        "https://xn--bcher-kva.example/a@b",
    ],
)
def test_a_page_may_have_any_valid_address(url: str) -> None:
    assert ElicitURL("Log in", url).params()["url"] == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/in",
        "example.com/in",
        "https:in",
        "https://",
        "https://:443/",
        "https://example.com:x/",
        "https://example.com:65536/",
        "https://[::1/",
        "https://example.com/a b",
        "https://example.com/\n",
        " https://example.com",
        "https://example.com/%2",
        "https://bücher.example/",
        "https://example.com\\@evil.example/",
        "javascript://example.com/%0aalert(1)",
        "file://host/etc/passwd",
        "https://ann:secret@example.com/",
        "https://ann@example.com/",
    ],
)
def test_what_is_no_address_of_a_page_or_logs_somebody_in_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="absolute"):
        ElicitURL("Log in", url).params()


def test_a_text_is_sampled_as_one_message_of_the_user() -> None:
    assert Sample("Capital of France?").params() == {
        "messages": [{"role": "user", "content": {"type": "text", "text": "Capital of France?"}}],
        "maxTokens": 1000,
    }


def test_everything_that_sampling_knows_is_sent_in_words_of_the_wire() -> None:
    mcp_types = pytest.importorskip("mcp_types")
    message = mcp_types.SamplingMessage(role="user", content=mcp_types.TextContent(type="text", text="Hi"))
    question = Sample(
        [message],
        max_tokens=5,
        system_prompt="Be brief",
        temperature=0.5,
        stop_sequences=["."],
        model_preferences={"speedPriority": 1},
        tools=[{"name": "t", "inputSchema": {"type": "object"}}],
        tool_choice={"mode": "auto"},
        metadata={"a": 1},
    )

    assert question.params() == {
        "messages": [{"role": "user", "content": {"type": "text", "text": "Hi"}}],
        "maxTokens": 5,
        "systemPrompt": "Be brief",
        "temperature": 0.5,
        "stopSequences": ["."],
        "modelPreferences": {"speedPriority": 1},
        "tools": [{"name": "t", "inputSchema": {"type": "object"}}],
        "toolChoice": {"mode": "auto"},
        "metadata": {"a": 1},
    }
    assert question.capability == {"sampling": {"tools": {}}}


def test_what_a_model_said_is_read_with_its_text() -> None:
    block = {"type": "text", "text": "Paris"}

    assert Sample("?").read(SAID) == Sampled((block,), "m", "endTurn", "assistant")
    assert Sample("?").read({**SAID, "content": [block, {"type": "image", "data": ""}, block]}).text == "ParisParis"
    assert Sample("?").read({**SAID, "stopReason": None}).stop_reason is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": 1},
        {"role": "system"},
        {"content": "Paris"},
        {"content": [{}]},
        {"content": {"type": "text", "text": 1}},
    ],
)
def test_what_no_model_says_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidAnswer):
        Sample("?").read({**SAID, **wrong})


def test_roots_are_read_with_their_names() -> None:
    roots = [{"uri": "file:///a", "name": "A"}, {"uri": "file:///b", "name": 1}]

    assert ListRoots().read({"roots": roots}) == (Root("file:///a", "A"), Root("file:///b", None))
    assert ListRoots().params() == {}


@pytest.mark.parametrize("result", [{}, {"roots": {}}, {"roots": [1]}, {"roots": [{"uri": 1}]}])
def test_what_lists_no_roots_is_refused(result: dict[str, Any]) -> None:
    with pytest.raises(InvalidAnswer):
        ListRoots().read(result)


@pytest.mark.parametrize(
    ("needed", "declared", "is_there"),
    [
        ({"elicitation": {"form": {}}}, {"elicitation": {}}, True),
        ({"elicitation": {"form": {}}}, {"elicitation": {"form": {}}}, True),
        ({"elicitation": {"form": {}}}, {"elicitation": {"url": {}}}, False),
        ({"elicitation": {"url": {}}}, {"elicitation": {}}, False),
        ({"elicitation": {"form": {}}}, {"elicitation": True}, False),
        ({"sampling": {}}, {"sampling": {}}, True),
        ({"sampling": {"tools": {}}}, {"sampling": {}}, False),
        ({"roots": {}}, {}, False),
        ({}, {}, True),
    ],
)
def test_a_capability_is_declared_with_all_of_its_parts(needed: Any, declared: Any, is_there: bool) -> None:
    assert is_declared(needed, declared) is is_there
