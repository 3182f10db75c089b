"""A server of the official SDK on standard input and output, as people write them."""

from mcp.server.mcpserver import Context, MCPServer
from pydantic import BaseModel

server = MCPServer("sdk", instructions="Ask.")
counted: list[str] = []


class Form(BaseModel):
    """What is asked."""

    name: str


@server.tool()
async def greet(ctx: Context) -> str:
    """Ask for a name and greet."""
    answer = await ctx.elicit("Who are you?", Form)
    return f"Hello {answer.data.name}" if answer.action == "accept" else answer.action


@server.tool()
async def count(ctx: Context) -> int:
    """Count the calls of this process."""
    counted.append("")
    await ctx.report_progress(1, 2)
    return len(counted)


if __name__ == "__main__":
    server.run()
