"""The same as an ASGI app, for whatever serves such apps."""

from __future__ import annotations

from gatepost import create_app
from tests.seeds.programs.json_rpc_handler import my_handler

app = create_app(my_handler, title="My Server")
