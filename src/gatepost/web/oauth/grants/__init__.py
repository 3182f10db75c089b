"""The grant types of the token endpoint, one file each.

Owns: what each looks up, which rule decides, and its one atomic store operation. Registration, metadata, the API
description and the endpoint's dispatch all follow from `GRANT_TYPES`: a new grant type is a file and a name in it.
Depends on: `stores.contract`, the rules, `web.site`.
"""

from __future__ import annotations

from typing import Final

from gatepost.web.oauth.grants.authorization_code import AUTHORIZATION_CODE
from gatepost.web.oauth.grants.client_credentials import CLIENT_CREDENTIALS
from gatepost.web.oauth.grants.grant_type import GrantType
from gatepost.web.oauth.grants.refresh_token import REFRESH_TOKEN

GRANT_TYPES: Final[tuple[GrantType, ...]] = (AUTHORIZATION_CODE, REFRESH_TOKEN, CLIENT_CREDENTIALS)
