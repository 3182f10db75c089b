"""Forms of authenticated clients, as the endpoints without pages take them (RFC 6749 sections 2.3 and 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request

from gatepost.oauth.client_authentication import authenticate_client, identified_client, read_client
from gatepost.oauth.errors import InvalidRequest
from gatepost.oauth.parameters import parse_parameters
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client
from gatepost.stores.contract.clients import ClientFinder
from gatepost.web.oauth.client_assertions import AssertionChecker
from gatepost.web.site.request_body import media_type, read_body

MAX_BODY = 64 * 1024
"""Bytes; such a form has one or two thousand."""


@dataclass(frozen=True, slots=True)
class ClientForm:
    """Who sends what."""

    client: Client
    parameters: Mapping[str, str]

    def required(self, name: str) -> str:
        """Return a parameter.

        Raises:
            InvalidRequest: it is missing.
        """
        value = self.parameters.get(name)
        if value is None:
            raise InvalidRequest(Reason.PARAMETER_MISSING, f"{name} is missing.")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientForms:
    """Reads forms and authenticates the clients that send them."""

    clients: ClientFinder
    assertions: AssertionChecker | None = None
    """Judges the assertions of clients with keys (`private_key_jwt`); None takes none."""

    async def read(self, request: Request) -> ClientForm:
        """Return the form of a request.

        Raises:
            InvalidRequest: it is no form, or a parameter is repeated or malformed.
            InvalidClient: the client is unknown or failed to authenticate.
            BodyTooLarge: it is longer than `MAX_BODY`.
            StoreUnavailable: it cannot be known now.
        """
        # 1. Parse the form. A parameter sent twice ends here; neither value is used (RFC 6749 section 3.2).
        if media_type(request.scope["headers"]) != "application/x-www-form-urlencoded":
            raise InvalidRequest(
                Reason.CONTENT_TYPE_UNSUPPORTED, "Send the parameters as application/x-www-form-urlencoded."
            )
        parameters = parse_parameters(await read_body(request.receive, limit=MAX_BODY))

        # 2. Authenticate the client.
        presented = read_client(parameters, request.headers.getlist("authorization"))
        found = await self.clients.find_client(presented.client_id)
        if found is not None:
            request.state.client_id = found.client_id
        if presented.assertion is None or self.assertions is None:
            return ClientForm(authenticate_client(found, presented), parameters)
        client = identified_client(found, presented)
        await self.assertions.check(client, presented.assertion)
        return ClientForm(client, parameters)
