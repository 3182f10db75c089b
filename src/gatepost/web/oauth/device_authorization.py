"""POST /oauth/device_authorization: a device begins a login that a person finishes elsewhere (RFC 8628 section 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.late_dataclass import dataclass
from gatepost.oauth.authorization import scopes_asked_by
from gatepost.oauth.device_authorization import (
    DeviceAuthorization,
    check_may_use_devices,
    new_user_code,
    shown_user_code,
)
from gatepost.oauth.errors import InvalidTarget, ServerError
from gatepost.oauth.policy import AuthorizationServer, Devices
from gatepost.oauth.reasons import Reason
from gatepost.resource.resources import ProtectedResource, find_resource
from gatepost.stores.contract.device_authorizations import DeviceAuthorizationStore
from gatepost.tokens.opaque import RandomBytes, SecretKind, fingerprint, mint
from gatepost.web.oauth.client_form import ClientForm, ClientForms
from gatepost.web.site import api_description as api
from gatepost.web.site.limits import DEVICE_LIMIT
from gatepost.web.site.responses import json_response
from gatepost.web.site.routing import Route

_TRIES: Final = 5
"""User codes that are made before it is a fault: that one is taken happens once in 250,000, if as many are in use as
can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAuthorizationEndpoint:
    """The device authorization endpoint."""

    client_forms: ClientForms
    devices: DeviceAuthorizationStore
    resources: Sequence[ProtectedResource]
    """Those that tokens can be for."""
    authorization_server: AuthorizationServer
    now: Callable[[], int]
    random_bytes: RandomBytes

    def routes(self) -> tuple[Route, ...]:
        return (Route("POST", "/oauth/device_authorization", self.post, _BEGIN, limit=DEVICE_LIMIT),)

    async def post(self, request: Request) -> Response:
        # 1. Who asks, and may it?
        form = await self.client_forms.read(request)
        for_everybody = self.authorization_server.devices is Devices.EVERYBODY
        check_may_use_devices(form.client, for_everybody=for_everybody)

        # 2. For what? As at the authorization endpoint.
        resource = find_resource(self.resources, form.parameters.get("resource"))
        if resource is None:
            raise InvalidTarget(Reason.RESOURCE_UNKNOWN, "resource is not one of this server's; send it exactly.")
        scopes = scopes_asked_by(
            form.client, form.parameters.get("scope"), known=resource.scopes, default=resource.default_scopes
        )

        # 3. Keep the request.
        device_code, kept = await self._begin(form, resource.identifier, scopes)

        # 4. Answer (section 3.2).
        shown, place = shown_user_code(kept.user_code), f"{self.authorization_server.issuer}/oauth/device"
        return json_response(
            {
                "device_code": device_code,
                "user_code": shown,
                "verification_uri": place,
                "verification_uri_complete": f"{place}?user_code={shown}",
                "expires_in": kept.expires_at - kept.created_at,
                "interval": kept.poll_interval,
            }
        )

    async def _begin(self, form: ClientForm, resource: str, scopes: tuple[str, ...]) -> tuple[str, DeviceAuthorization]:
        now = self.now()
        for _ in range(_TRIES):
            device_code = mint(SecretKind.DEVICE_CODE, self.random_bytes)
            request = DeviceAuthorization(
                device_code_fingerprint=fingerprint(device_code),
                user_code=new_user_code(self.random_bytes),
                client_id=form.client.client_id,
                scopes=scopes,
                resource=resource,
                created_at=now,
                expires_at=now + self.authorization_server.lifetimes.device_code,
            )
            if await self.devices.begin_device_authorization(request):
                return device_code, request
        raise ServerError(Reason.INTERNAL_ERROR, "No user code could be made; try again.")


_BEGIN = api.Operation(
    "device_authorization",
    "Begin a login that a person finishes in a browser elsewhere (RFC 8628)",
    request_body=api.form(
        {
            "scope": api.text("less than could be had"),
            "resource": api.text("the MCP endpoint's URL (RFC 8707)"),
            **api.CLIENT_FIELDS,
        },
        required=[],
    ),
    responses={
        200: api.json_answer(
            "Both codes (section 3.2).",
            api.record(
                {
                    "device_code": api.text("for the token endpoint; a secret"),
                    "user_code": api.text("to be shown to the person"),
                    "verification_uri": api.URL,
                    "verification_uri_complete": api.URL,
                    "expires_in": {"type": "integer", "description": "In seconds."},
                    "interval": {"type": "integer", "description": "Seconds to wait between two token requests."},
                },
                required=["device_code", "user_code", "verification_uri", "expires_in"],
            ),
        ),
        **api.CLIENT_FORM_REFUSALS,
    },
)
