"""What the tests start as a process. It prints wherever it can."""

import asyncio
import os
import subprocess
import sys

from pydantic import BaseModel

from gatepost import Context, Server, run_stdio

if __name__ != "__main__":
    print("printed while it is imported")  # noqa: T201 - what authors do

server = Server("noisy")


class Name(BaseModel):
    name: str


@server.tool(scopes=["notes:write"])
def team(ctx: Context) -> str:
    """Print in every way, and tell a header."""
    print("printed by print")  # noqa: T201 - what authors do
    os.write(1, b"printed by the system call\n")
    subprocess.run([sys.executable, "-c", "print('printed by a child', input)"], check=True)
    return f"{ctx.request.headers['x-team']} {sys.stdin.read()!r}"


@server.tool
async def greet(ctx: Context) -> str:
    """Ask for a name."""
    answer = await ctx.elicit("Who is it?", Name)
    return f"Hello {answer.data.name}" if answer.data else "nobody"


@server.tool
async def stubborn() -> str:
    """Wait for ever, and do not let oneself be cancelled."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


def not_json(message: dict[str, object]) -> None:
    """Have no answer."""


number = 7

if __name__ == "__main__":
    run_stdio(server, headers={"X-Team": "garden"})
