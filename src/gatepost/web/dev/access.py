"""Who may use the page: a browser on this machine that has opened the link of the terminal.

Against pages of others: `Host` has to be a name of this machine (DNS rebinding), `Origin` the page's own. Against other
users of this machine: the link has a secret of this start, in its fragment, which browsers send nowhere; the page sends
it once and gets a cookie and a proof for it. Cookies do not know ports, so that a server of somebody else's on this
machine could be sent ours; the proof lies where only pages of this very origin read, and both are asked for.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.tokens.opaque import base64url
from gatepost.web.site.front_door import is_straight_from_here
from gatepost.web.site.loopback_names import LOOPBACK_HOST
from gatepost.web.site.responses import json_response

PROOF_HEADER: Final = "Gatepost-Dev"
_MISDIRECTED: Final = 421
_FORBIDDEN: Final = 403


class DevAccess:
    """Tells who may use the page.

    Args:
        key: the secret of this start.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._cookie, self.proof = (
            base64url(hmac.digest(key.encode(), label, hashlib.sha256)) for label in (b"dev cookie", b"dev proof")
        )

    def refusal_of_place(self, request: Request) -> Response | None:
        """Return the answer to what does not come from this machine and by a name of it; None for what does."""
        hosts = request.headers.getlist("host")
        if len(hosts) == 1 and LOOPBACK_HOST.fullmatch(hosts[0].encode()) and is_straight_from_here(request.scope):
            return None
        return _refused("The dev page is for a browser on this machine, by a name of it.", _MISDIRECTED)

    def refusal_of_page(self, request: Request) -> Response | None:
        """Return the answer to what no page of this origin has sent; None for what one has."""
        own = [f"http://{request.headers['host']}"]
        origins, sites = request.headers.getlist("origin"), request.headers.getlist("sec-fetch-site")
        # Browsers send no Origin with a GET of the same origin; a GET changes nothing here.
        is_own = origins == own or (not origins and request.method in {"GET", "HEAD"})
        if is_own and all(site == "same-origin" for site in sites):
            return None
        return _refused("Only the dev page itself may ask here.")

    def refusal_of_browser(self, request: Request) -> Response | None:
        """Return the answer to a browser that has not opened the link; None for one that has."""
        cookie = request.cookies.get(self.cookie_name(request), "")
        proof = request.headers.get(PROOF_HEADER, "")
        if _same(cookie, self._cookie) and _same(proof, self.proof):
            return None
        return _refused("Open the link to the dev page that the terminal shows: it has the key of this start.")

    def takes_key(self, key: object) -> bool:
        """Say whether this is the key of the link."""
        return isinstance(key, str) and _same(key, self._key)

    def let_in(self, request: Request, response: Response) -> None:
        """Put the cookie into an answer."""
        name = self.cookie_name(request)
        response.set_cookie(name, self._cookie, path="/dev", httponly=True, samesite="strict")

    @staticmethod
    def cookie_name(request: Request) -> str:
        """Return the name of the cookie: servers on other ports have others."""
        return f"gatepost-dev-{request.headers['host'].rpartition(':')[2]}"


def _same(given: str, expected: str) -> bool:
    # JSON can have half of a surrogate pair in a text, which UTF-8 does not write; no secret of ours has one.
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())


def _refused(description: str, status: int = _FORBIDDEN) -> Response:
    body = {"error": "access_denied", "error_description": description}
    return json_response(body, status, {"Cache-Control": "no-store"})
