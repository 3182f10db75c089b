"""Prediction markets for everybody who asks: no login, public tools, and an API elsewhere that may fail.

python examples/polymarket.py
"""

import json
from typing import Annotated, Any

import httpx2
from pydantic import BaseModel, Field

from gatepost import Server, ToolError, run
from gatepost.configuration.settings import load_settings

server = Server(
    "polymarket",
    title="Polymarket",
    instructions="Prices are probabilities from 0 to 1. Say that they are opinions of traders.",
)
api = httpx2.AsyncClient(base_url="https://gamma-api.polymarket.com", timeout=10)

Limit = Annotated[int, Field(ge=1, le=50, description="return at most this many markets")]


class Market(BaseModel):
    """A question, and what its answers cost."""

    question: str
    slug: str = Field(description="names the market, for `market`")
    prices: dict[str, float] = Field(description="for each answer its price, from 0 to 1")
    volume: float = Field(description="traded so far, in dollars")
    ends: str | None = None


async def ask(path: str, **parameters: str | int) -> Any:
    """Return what the API answers. Whatever goes wrong there is told in a sentence, which the model reads."""
    try:
        answer = await api.get(path, params=parameters)
        return answer.raise_for_status().json()
    except httpx2.TimeoutException:
        raise ToolError("Polymarket does not answer in time. Try again in a minute.") from None
    except httpx2.HTTPStatusError as error:
        status = error.response.status_code
        if status == httpx2.codes.TOO_MANY_REQUESTS:
            raise ToolError("Polymarket was asked too often. Try again in a minute.") from None
        raise ToolError(f"Polymarket answers {status}, so nothing is known now.") from None
    except (httpx2.HTTPError, ValueError):
        raise ToolError("Polymarket cannot be reached, so nothing is known now.") from None


def read(found: dict[str, Any]) -> Market:
    """Return a market as the API has it; answers and prices are JSON within JSON there."""
    answers, prices = json.loads(found["outcomes"]), json.loads(found.get("outcomePrices") or "[]")
    return Market(
        question=found["question"],
        slug=found["slug"],
        prices={answer: float(price) for answer, price in zip(answers, prices, strict=False)},
        volume=found.get("volumeNum") or 0,
        ends=found.get("endDate"),
    )


@server.tool(annotations={"readOnlyHint": True, "openWorldHint": True})
async def trending(limit: Limit = 10) -> list[Market]:
    """List the markets with the highest volume of the last day."""
    parameters = {"active": "true", "closed": "false", "order": "volume24hr", "ascending": "false"}
    return [read(found) for found in await ask("/markets", limit=limit, **parameters)]


@server.tool(annotations={"readOnlyHint": True, "openWorldHint": True})
async def market(slug: str) -> Market:
    """Look one market up."""
    found = await ask("/markets", slug=slug, limit=1)
    if not found:
        raise ToolError(f"There is no market {slug}; trending lists some.")
    return read(found[0])


PUBLIC = {"MCP_REQUIRE_AUTH": "false", "OAUTH_ENABLED": "false"}
"""Nobody logs in; in public, limits by address still hold."""

if __name__ == "__main__":
    run(server, settings=load_settings(PUBLIC))
