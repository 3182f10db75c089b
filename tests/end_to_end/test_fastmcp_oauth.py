"""FastMCP's client with its own OAuth helper: it registers, logs in, calls, and goes on when its token has ended."""

import pytest
from fastmcp import Client
from fastmcp.client.auth import OAuth
from mcp.client.auth import AuthorizationCodeResult

from tests.end_to_end.local_http import PATIENCE
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.scripted_client import Person
from tests.end_to_end.test_official_client import Visits


class ScriptedOAuth(OAuth):
    """The helper, with a scripted browser in place of the real one."""

    visits: Visits

    async def redirect_handler(self, authorization_url: str) -> None:
        await self.visits.open(authorization_url)

    async def callback_handler(self) -> AuthorizationCodeResult:
        return await self.visits.callback()


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
@pytest.mark.filterwarnings("ignore::UserWarning")  # tokens are kept in memory, and FastMCP says so
async def test_fastmcp_logs_in_once_and_refreshes(
    shared_server: RunningServer, shared_owner: Person, mode: str
) -> None:
    auth = ScriptedOAuth()
    auth.visits = Visits(shared_owner)
    async with Client(shared_server.mcp_url, auth=auth, mode=mode, timeout=PATIENCE) as client:
        tools = [tool.name for tool in await client.list_tools()]
        await client.call_tool("add", {"text": "before"})
        assert auth.context.current_tokens is not None
        ended = auth.context.current_tokens.access_token
        auth.context.token_expiry_time = 1.0  # long ago
        await client.call_tool("add", {"text": "after"})

    assert tools == ["add", "both", "whoami", "fail", "wait"]
    assert auth.context.current_tokens.access_token != ended
    assert auth.visits.count == 1
