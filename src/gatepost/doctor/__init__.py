"""What real clients would meet at a live MCP URL, ours or anybody's: `gatepost doctor`.

Owns: the requests that clients make, in their order; the checks of what came back, each with its reason and its cure;
the report. `requester` says how a server is asked, `seen` keeps what came back, `examination` is the whole walk. Of the
other modules each is one concern: a function that asks, and a table of checks that look at what was seen and ask
nothing. Depends on: httpx2, which addresses are public (`outbound.addresses`), the pure packages; it imports nothing
that serves.
"""
