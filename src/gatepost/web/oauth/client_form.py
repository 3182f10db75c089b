"""Forms of authenticated clients, as the endpoints without pages take them (RFC 6749 sections 2.3 and 3.2)."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request

from gatepost.late_dataclass import dataclass
from gatepost.oauth.client_authentication import (
    PresentedClient,
    authenticate_client,
    identified_client,
    read_client,
)
from gatepost.oauth.client_documents import is_document_url
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


@dataclass(frozen=True, slots=True)
class Registered:
    """What is registered under an id."""

    client_id: str
    client: Client | None
    """None where nothing is."""


def presented_client(request: Request, parameters: Mapping[str, str]) -> PresentedClient:
    """Return which client a request says it comes from; raises what `read_client` does."""
    values = [value.decode("latin-1") for name, value in request.scope["headers"] if name == b"authorization"]
    return read_client(parameters, values)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientForms:
    """Reads forms and authenticates the clients that send them."""

    clients: ClientFinder
    assertions: AssertionChecker | None = None
    """Judges the assertions of clients with keys (`private_key_jwt`); None takes none."""

    async def read(self, request: Request) -> ClientForm:
        """Return the form of a request, as `parse` and `authenticate` do together."""
        return await self.authenticate(request, await self.parse(request))

    async def parse(self, request: Request) -> Mapping[str, str]:
        """Return the parameters of a request, of which nobody knows yet who sent them.

        Raises:
            InvalidRequest: it is no form, or a parameter is repeated or malformed.
            BodyTooLarge: it is longer than `MAX_BODY`.
        """
        # A parameter sent twice ends here; neither value is used (RFC 6749 section 3.2).
        if media_type(request.scope["headers"]) != "application/x-www-form-urlencoded":
            raise InvalidRequest(
                Reason.CONTENT_TYPE_UNSUPPORTED, "Send the parameters as application/x-www-form-urlencoded."
            )
        return parse_parameters(await read_body(request.receive, limit=MAX_BODY))

    async def authenticate(
        self, request: Request, parameters: Mapping[str, str], *, registered: Registered | None = None
    ) -> ClientForm:
        """Return the form of a request once its client has authenticated.

        Args:
            request: where else the client may say who it is.
            parameters: the request's.
            registered: what has just been looked up of a client, which may be another one; None where nothing was.

        Raises:
            InvalidRequest: the client says in two ways who it is.
            InvalidClient: the client is unknown or failed to authenticate.
            StoreUnavailable: it cannot be known now.
        """
        presented = presented_client(request, parameters)
        if registered is not None and registered.client_id == presented.client_id:
            found = await self.clients.complete_client(registered.client_id, registered.client)
        else:
            found = await self.clients.find_client(presented.client_id)
        if found is not None:
            request.state.client_id = found.client_id
        if presented.assertion is None or self.assertions is None:
            return ClientForm(authenticate_client(found, presented), parameters)
        client = identified_client(found, presented)
        await self.assertions.check(client, presented.assertion)
        return ClientForm(client, parameters)

    @staticmethod
    def authenticate_at_once(
        request: Request, presented: PresentedClient, client_id: str, client: Client | None
    ) -> Client | None:
        """Return the client of a request if it has authenticated by what is registered of it alone.

        None where more has to be looked at: it is another one or not registered, it is known by a document, or it
        presents an assertion.

        Args:
            request: keeps which client it was.
            presented: who the request says it comes from.
            client_id: whose registration was looked up.
            client: what is registered.

        Raises:
            InvalidClient: as `authenticate_client`.
        """
        is_its_own = client is not None and client_id == presented.client_id and not is_document_url(client_id)
        if not is_its_own or presented.assertion is not None:
            return None
        request.state.client_id = client_id
        return authenticate_client(client, presented)
