"""One password in front of a few tools, in public too: whoever knows it is the owner.

ADMIN_PASSWORD="a few words in a row" python examples/static_password.py
"""

import os
import sys

from gatepost import Context, Server, StaticPasswordProvider, get_current_sub, run

server = Server("counter", title="Counter", instructions="Counts what the owner wants counted.")

counts: dict[str, int] = {}


@server.tool
def count(what: str) -> int:
    """Count one more of something, and return how many there are."""
    key = f"{get_current_sub()}: {what}"
    counts[key] = counts.get(key, 0) + 1
    return counts[key]


@server.tool(annotations={"readOnlyHint": True})
def whoami(ctx: Context) -> str:
    """Say who is logged in."""
    return f"{ctx.user.name} ({ctx.user.issuer})"


if __name__ == "__main__":
    # The variable alone does the same; in code the password may come from elsewhere.
    password = os.environ.get("ADMIN_PASSWORD")
    if not password:
        sys.exit('Set ADMIN_PASSWORD: ADMIN_PASSWORD="a few words in a row" python examples/static_password.py')
    run(server, provider=StaticPasswordProvider(password))
