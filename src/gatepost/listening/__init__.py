"""The HTTP server: uvicorn, with the connections that Gatepost needs.

Owns: sockets and their limits, slow readers and senders, write coalescing, the fast path past ASGI, draining.
Depends on: `uvicorn`; the app that it serves is given to it.
"""
