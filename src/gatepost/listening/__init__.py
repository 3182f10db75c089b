"""The HTTP server: uvicorn, with the connections that Gatepost needs.

Owns: sockets and their limits, slow readers and senders, write coalescing, the fast path past ASGI, draining,
workers and their parent.
Depends on: `uvicorn`; the app that it serves is given to it.
"""

WORKER_VARIABLE = "GATEPOST_WORKER"
"""The environment variable by which a process knows that it is a worker, and of what (`listening/worker.py`)."""
