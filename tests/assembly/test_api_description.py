"""The server against its own OpenAPI description: whatever that allows or forbids is sent, and nothing fails."""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis import BaseSchema, Case
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks as described_by

from gatepost import Server, create_app
from gatepost.configuration.settings import load_settings
from gatepost.stores.sql.sqlite import memory_store
from tests.conftest import no_settings_from_outside

ORIGIN = "http://127.0.0.1:8000"
EXAMPLES = 10
"""Drawn per operation and way of asking, beside those at the edges of what the description allows."""
CHECKS: list[CheckFunction] = [
    not_a_server_error,
    described_by.status_code_conformance,
    described_by.content_type_conformance,
    described_by.response_headers_conformance,
    described_by.response_schema_conformance,
    described_by.unsupported_method,
]
"""Not asked: that whatever fits the description is accepted, or whatever does not is refused. Codes, tokens and links
fit it and are still wrong, members that are unknown are ignored (RFC 6749 section 3.1, RFC 7591 section 2), and a page
answers a parameter that is too much. Nor that credentials are demanded: public clients have none."""

REGISTRATION: dict[str, Any] = {
    "redirect_uris": ["http://127.0.0.1/callback"],
    "token_endpoint_auth_method": "client_secret_post",
}


def described() -> BaseSchema:
    """The description of a server with one tool, and the server to call."""
    server = Server("notes")

    @server.tool(scopes=["notes:read"])
    async def read() -> str:
        """Read."""
        return "milk"

    with no_settings_from_outside():
        settings = load_settings({"MCP_STORAGE_URL": "memory:", "OAUTH_LIMIT_FACTOR": "0"}, env_file=None)
    app = create_app(server, settings=settings, store=memory_store(), announce=lambda _: None)
    config = SchemathesisConfig()
    config.projects.default.update(base_url=ORIGIN)
    config.projects.default.generation.update(max_examples=EXAMPLES, deterministic=True)
    api = schemathesis.openapi.from_dict(app.openapi(), config=config)
    api.app = app
    return api


API = described()


@API.parametrize()
def test_a_stranger_gets_no_operation_to_fail(case: Case[Any]) -> None:
    case.validate_response(case.call(), checks=checks_of(case))


@API.parametrize()
def test_a_registered_client_does_not_either(case: Case[Any]) -> None:
    headers = identify(case)
    case.validate_response(case.call(headers=headers), checks=checks_of(case))


def checks_of(case: Case[Any]) -> list[CheckFunction]:
    """Return what is asked of an answer. At an MCP endpoint each method without a token is a way to the challenge."""
    return [check for check in CHECKS if case.path != "/mcp" or check is not described_by.unsupported_method]


def identify(case: Case[Any]) -> dict[str, str]:
    """Make a request one of a client that has just registered, where it says who sends it; return more headers."""
    client = registered()
    if "client_id" in case.path_parameters:
        case.path_parameters["client_id"] = client["client_id"]
    if "client_id" in case.query:
        case.query |= {"client_id": client["client_id"], "redirect_uri": client["redirect_uris"][0]}
    if isinstance(case.body, dict):
        case.body |= {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    is_managed = case.path.startswith("/oauth/register/")
    return {"Authorization": f"Bearer {client['registration_access_token']}"} if is_managed else {}


def registered() -> dict[str, Any]:
    """A new client as the server sees it."""
    case = API["/oauth/register"]["POST"].Case(body=REGISTRATION, media_type="application/json")
    response = case.call()
    assert response.status_code == 201
    client: dict[str, Any] = response.json()
    return client
