"""What an app does between its start and its end."""

import asyncio

from gatepost.app import create_app
from gatepost.configuration.settings import load_settings
from gatepost.server.server import Server
from gatepost.stores.sql.sqlite import memory_store


def names_of_tasks() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks()}


async def test_the_purge_runs_for_as_long_as_the_app() -> None:
    settings = load_settings(env_file=None)
    app = create_app(Server("Notes"), settings=settings, store=memory_store(), announce=lambda _: None)

    async with app.router.lifespan_context(app):
        assert "gatepost-purge" in names_of_tasks()

    assert "gatepost-purge" not in names_of_tasks()
