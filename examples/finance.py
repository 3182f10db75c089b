"""A portfolio with scopes of its own, roles that have them, and a limit that only some may go beyond.

python examples/finance.py
gatepost users role bob add trader
"""

from collections import defaultdict
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from gatepost import Context, InsufficientScope, Role, Server, ToolError, any_of, run

LARGE = 10_000
"""Above this an order takes the scope `trades:large` as well, in euros."""
PRICES = {"ACME": 120.0, "GLOBEX": 45.5}
"""In euros. A real server asks an exchange."""


class Position(BaseModel):
    """How much somebody has of a share."""

    symbol: str
    shares: int
    value: float = Field(description="in euros, at the last price")


server = Server(
    "finance",
    title="Portfolio",
    instructions="Say what an order costs before you place it.",
    # The words are what people read on the consent page.
    scopes={
        "portfolio:read": "See what you own",
        "trades:execute": "Buy and sell in your name",
        "trades:large": "Buy and sell in your name for more than 10,000 euros at a time",
        "admin": "See what everybody owns",
    },
    implied_scopes={"trades:execute": ["portfolio:read"], "trades:large": ["trades:execute"]},
)
roles = {
    "reader": Role(users="*", scopes="portfolio:read"),
    "trader": Role(scopes="portfolio:read trades:execute trades:large"),
    "admin": Role(scopes="portfolio:read admin"),
}
holdings: defaultdict[str, dict[str, int]] = defaultdict(dict)


@server.tool(scopes=["portfolio:read"], annotations={"readOnlyHint": True})
def portfolio(ctx: Context) -> list[Position]:
    """List what the user owns."""
    return [
        Position(symbol=symbol, shares=shares, value=shares * PRICES[symbol])
        for symbol, shares in sorted(holdings[ctx.user.subject].items())
    ]


@server.tool(scopes=["trades:execute"], annotations={"destructiveHint": True})
def trade(
    side: Literal["buy", "sell"],
    symbol: Annotated[str, Field(description="such as ACME")],
    shares: Annotated[int, Field(ge=1, le=100_000)],
    ctx: Context,
) -> Position:
    """Buy or sell shares at the last price."""
    if symbol not in PRICES:
        raise ToolError(f"There is no share {symbol}; there are {', '.join(PRICES)}.")
    if shares * PRICES[symbol] > LARGE and "trades:large" not in ctx.scopes:
        raise InsufficientScope("trades:large")
    own = holdings[ctx.user.subject]
    after = own.get(symbol, 0) + (shares if side == "buy" else -shares)
    if after < 0:
        raise ToolError(f"You own {own.get(symbol, 0)} shares of {symbol}.")
    own[symbol] = after
    return Position(symbol=symbol, shares=after, value=after * PRICES[symbol])


@server.tool(scopes=any_of("admin", "trades:large"), annotations={"readOnlyHint": True})
def turnover() -> dict[str, int]:
    """Count the shares that everybody owns together."""
    return {symbol: sum(own.get(symbol, 0) for own in holdings.values()) for symbol in PRICES}


if __name__ == "__main__":
    run(server, roles=roles)
