"""A forecast that hosts show as a chart, and everybody else as text: python examples/weather_app.py

The page is examples/apps/forecast.html. A button in it calls a tool that models are not shown.
"""

import math
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from gatepost import Server, run

PAGE = Path(__file__).parent / "apps" / "forecast.html"
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

server = Server("weather", title="Weather", scopes={"weather:read": "See forecasts"})

City = Annotated[str, Field(min_length=1, max_length=60)]


class Day(BaseModel):
    """The temperatures of a day, in °C."""

    name: str
    low: int
    high: int


class Forecast(BaseModel):
    """What the chart is drawn from."""

    city: str
    days: list[Day]


@server.ui("ui://weather/forecast", title="Forecast", prefers_border=True)
def forecast_page() -> str:
    """A chart of the days to come, with the lowest and the highest temperature of each."""
    return PAGE.read_text(encoding="utf-8")


@server.tool(scopes=["weather:read"], annotations={"readOnlyHint": True}, ui="ui://weather/forecast")
def forecast(city: City) -> Forecast:
    """Forecast the weather of the next five days."""
    return made_up(city, 5)


@server.tool(
    scopes=["weather:read"],
    annotations={"readOnlyHint": True},
    ui={"resourceUri": "ui://weather/forecast", "visibility": ["app"]},
)
def longer_forecast(city: City) -> Forecast:
    """Forecast the weather of the next ten days, for the button in the page."""
    return made_up(city, 10)


def made_up(city: str, count: int) -> Forecast:
    """Return what a real server would ask a weather service for: the same for the same city."""
    first = sum(city.encode()) % 20
    lows = [first + round(4 * math.sin(first + day)) for day in range(count)]
    days = [Day(name=DAYS[day % 7], low=low, high=low + 5 + (first + day) % 4) for day, low in enumerate(lows)]
    return Forecast(city=city, days=days)


if __name__ == "__main__":
    run(server)
