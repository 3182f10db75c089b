"""Reports that take their time: calls that are tasks. python examples/reports.py

Clients that know tasks get a handle and come back for the report; all others wait for it.
"""

import asyncio

from pydantic import BaseModel

from gatepost import Context, Server, TaskOptions, run

server = Server("reports", scopes={"reports:write": "Have reports written"})

MONTH = 0.2  # seconds that a month takes


class Approval(BaseModel):
    """What the person is asked before the report is sent."""

    send: bool


@server.tool(task=True, scopes=["reports:write"])
async def write_report(year: int, ctx: Context) -> str:
    """Write the report of a year."""
    for month in range(1, 13):
        await asyncio.sleep(MONTH)
        await ctx.progress(month, 12, f"month {month} of {year}")
    return f"The report of {year}: twelve months, all of them good."


@server.tool(task=TaskOptions(resumable=True, ttl=24 * 3600), scopes=["reports:write"])
async def send_report(year: int, ctx: Context) -> str:
    """Write a report, ask whether it is right, and send it; goes on after a restart of the server."""
    number = await ctx.once("number", lambda: f"R-{year}-1")
    answer = await ctx.elicit(f"Report {number} of {year} is written. Send it?", Approval)
    if not answer.data or not answer.data.send:
        return f"Report {number} was not sent."
    return f"Report {number} is on its way."


if __name__ == "__main__":
    run(server)
