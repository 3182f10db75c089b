"""The Polymarket example without a login, against answers in the shape of its API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from examples import polymarket
from gatepost.testing import Client
from tests.testing.notes_server import text_of

# In the shape in which the API has them; the numbers are made up.
RAIN = {
    "id": "512340",
    "question": "Will it rain in Zurich on New Year's Eve?",
    "conditionId": "0x00",
    "slug": "will-it-rain-in-zurich",
    "endDate": "2026-12-31T23:00:00Z",
    "outcomes": '["Yes", "No"]',
    "outcomePrices": '["0.275", "0.725"]',
    "clobTokenIds": '["1", "2"]',
    "volume": "1250.5",
    "volumeNum": 1250.5,
    "volume24hr": 310.25,
    "active": True,
    "closed": False,
}
UNPRICED = {"id": "512341", "question": "Will it snow?", "slug": "will-it-snow", "outcomes": '["Yes", "No"]'}


class Gamma:
    """Answers as the test says, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answer: httpx2.Response | Exception = httpx2.Response(200, json=[RAIN])
        self.asked: list[tuple[str, dict[str, str]]] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append((f"{request.url.copy_with(query=None)}", dict(request.url.params)))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
async def gamma(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gamma]:
    """The API."""
    gamma = Gamma()
    transport = httpx2.MockTransport(gamma)
    async with httpx2.AsyncClient(transport=transport, base_url="https://gamma-api.polymarket.com") as api:
        monkeypatch.setattr(polymarket, "api", api)
        yield gamma


def anybody() -> Client:
    return Client(polymarket.server, user=None, settings=polymarket.PUBLIC)


async def test_anybody_reads_markets_without_a_token(gamma: Gamma) -> None:
    gamma.answer = httpx2.Response(200, json=[RAIN, UNPRICED])
    async with anybody() as client:
        result = await client.call_tool("trending", {"limit": 2})

    assert result.structured_content == [
        {
            "question": "Will it rain in Zurich on New Year's Eve?",
            "slug": "will-it-rain-in-zurich",
            "prices": {"Yes": 0.275, "No": 0.725},
            "volume": 1250.5,
            "ends": "2026-12-31T23:00:00Z",
        },
        {"question": "Will it snow?", "slug": "will-it-snow", "prices": {}, "volume": 0.0, "ends": None},
    ]
    parameters = {"limit": "2", "active": "true", "closed": "false", "order": "volume24hr", "ascending": "false"}
    assert gamma.asked == [("https://gamma-api.polymarket.com/markets", parameters)]


async def test_a_market_is_looked_up_by_its_name(gamma: Gamma) -> None:
    async with anybody() as client:
        found = await client.call_tool("market", {"slug": "will-it-rain-in-zurich"})
        gamma.answer = httpx2.Response(200, json=[])
        missing = await client.call_tool("market", {"slug": "none"})

    assert found.structured_content["prices"] == {"Yes": 0.275, "No": 0.725}
    assert (missing.is_error, text_of(missing)) == (True, "There is no market none; trending lists some.")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (httpx2.ReadTimeout("slow"), "Polymarket does not answer in time. Try again in a minute."),
        (httpx2.ConnectError("no route"), "Polymarket cannot be reached, so nothing is known now."),
        (httpx2.Response(429), "Polymarket was asked too often. Try again in a minute."),
        (httpx2.Response(503), "Polymarket answers 503, so nothing is known now."),
        (httpx2.Response(200, text="<html>"), "Polymarket cannot be reached, so nothing is known now."),
    ],
    ids=["timeout", "unreachable", "too often", "down", "no JSON"],
)
async def test_whatever_goes_wrong_there_is_told_in_a_sentence(gamma: Gamma, answer: Any, sentence: str) -> None:
    gamma.answer = answer
    async with anybody() as client:
        result = await client.call_tool("trending")

    assert (result.is_error, text_of(result)) == (True, sentence)
