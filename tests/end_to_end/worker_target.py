"""A server whose tools say which process they run in, keep it from its work, or end it."""

import asyncio
import os
import time
from pathlib import Path

from gatepost import Context, Server

server = Server("worker")
_folder = Path(os.environ.get("WORKER_FOLDER", "."))
_release = _folder / "release"
_code = _release.read_text(encoding="utf-8") if _release.exists() else "first"
if _code == "broken":
    raise SystemExit(3)


@server.tool
def process() -> str:
    """Say which process this is, and which code it has."""
    return f"{os.getpid()} {_code}"


@server.tool
async def wait(name: str) -> str:
    """Say that the call has begun, and end when told to, by files of a name."""
    (_folder / f"{name}-begun").write_text(f"{os.getpid()}", encoding="utf-8")
    while not (_folder / f"{name}-end").exists():  # noqa: ASYNC110 - the test is another process
        await asyncio.sleep(0.01)
    return f"{os.getpid()}"


@server.tool
async def stick(seconds: float) -> str:
    """Keep the event loop from turning."""
    (_folder / "stuck").touch()
    time.sleep(seconds)  # noqa: ASYNC251 - the fault that is to be found
    return "over"


@server.tool
async def tell(ctx: Context) -> str:
    """Add a tool, of which clients that listen hear."""
    server.tool(name=f"told_{time.monotonic_ns()}")(lambda: "here")
    return str(ctx.user is not None)
