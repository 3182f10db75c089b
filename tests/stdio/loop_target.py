"""A program that has an event loop of its own, serves in it, and goes on afterwards."""

import asyncio
import signal
import sys

from starlette.authentication import has_required_scope

from gatepost import Arguments, NoArguments, Server, Tool


def team(args: Arguments[NoArguments]) -> str:
    """Tell a header, and whether one may."""
    may = has_required_scope(args.request, ("notes:write",))
    return f"{args.request.headers['X-Team']} {may} {args.request.user.is_authenticated}"


server = Server("garden", tools=(Tool(func=team, inputs=NoArguments, scopes=("notes:write",)),))


async def main() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    await server.serve_stdio({"X-Team": "garden"})
    after = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    print(f"went on: {before == after}", file=sys.stderr)  # noqa: T201 - read by the test


def in_a_thread() -> None:
    """Do the same where signals cannot be heard."""
    asyncio.run(server.serve_stdio({"X-Team": "thread"}))


if __name__ == "__main__":
    if "thread" in sys.argv:
        import threading

        thread = threading.Thread(target=in_a_thread)
        thread.start()
        thread.join()
    else:
        asyncio.run(main())
