"""The same tools and prompts on standard input and output, in the program's own event loop."""

from __future__ import annotations

import asyncio
import os

from tests.seeds.programs.typed_objects import mcp_server


async def main() -> None:
    request_headers = {
        "Authorization": f"Bearer {os.getenv('MCP_TOKEN', '')}",
        "User-Agent": "a pipe",
    }
    await mcp_server.serve_stdio(request_headers)


if __name__ == "__main__":
    asyncio.run(main())
