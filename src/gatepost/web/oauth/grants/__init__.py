"""The grant types of the token endpoint, one file each.

Owns: what each looks up, which rule decides, and its one atomic store operation. Registration, metadata, the API
description and the endpoint's dispatch all follow from `grant_types_of`: a new grant type is a file and a name in
`GRANT_TYPES`, or in `grant_types_of` where the operator has to switch it on.
Depends on: `stores.contract`, the rules, `web.site`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gatepost.oauth.policy import AuthorizationServer, Devices
from gatepost.web.oauth.grants.authorization_code import AUTHORIZATION_CODE
from gatepost.web.oauth.grants.client_credentials import CLIENT_CREDENTIALS
from gatepost.web.oauth.grants.device_code import DEVICE_CODE
from gatepost.web.oauth.grants.grant_type import GrantType
from gatepost.web.oauth.grants.refresh_token import REFRESH_TOKEN
from gatepost.web.oauth.grants.token_exchange import TOKEN_EXCHANGE

GRANT_TYPES: Final[tuple[GrantType, ...]] = (AUTHORIZATION_CODE, REFRESH_TOKEN, CLIENT_CREDENTIALS)
"""Those of every server."""


def grant_types_of(rules: AuthorizationServer) -> tuple[GrantType, ...]:
    """Return the grant types of a server: those of every one, and those that its operator has switched on."""
    devices = replace(DEVICE_CODE, is_registrable=rules.devices is Devices.EVERYBODY)
    return (
        *GRANT_TYPES,
        *(() if rules.devices is Devices.NONE else (devices,)),
        *((TOKEN_EXCHANGE,) if rules.exchanges_tokens else ()),
    )
