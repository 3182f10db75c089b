"""The headers of every page, page error and page redirect (Content Security Policy Level 3, Fetch, Referrer Policy)."""

from __future__ import annotations

_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_SCRIPT_POLICY = (
    # What a script could write into a page as markup it cannot write at all: ours has no need to.
    "; script-src 'self'; connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_PERMISSIONS_POLICY = (
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), "
    "midi=(), payment=(), usb=()"
)
_PASSKEYS = ("publickey-credentials-create", "publickey-credentials-get")
"""What a script that asks for passkeys needs (Web Authentication Level 3 section 5.9)."""


def page_headers(*, secure: bool, in_flow: bool, asks_for_passkeys: bool = False) -> dict[str, str]:
    """Return the headers of a page.

    Args:
        secure: whether the public URL is https.
        in_flow: whether the page lies between the client's authorization request and its redirect URI, with all the
            redirects on that way. Two headers must be weaker there:

            * `form-action` is absent. Chrome holds the redirects that follow a form's POST against the policy of the
              page with the form, so `form-action 'self'` on login or consent would block the redirect to the client.
            * `Cross-Origin-Opener-Policy` is `unsafe-none`. Web clients open the flow in a pop-up and wait for its last
              page, their own, to call `window.opener`; any stricter value on any response in between, a redirect too,
              cuts that tie for good. What an opener can do to these pages without it is to navigate them away.
        asks_for_passkeys: whether the page runs our one script, a file of ours. No other page runs any.
    """
    allowlist = "(self)" if asks_for_passkeys else "()"
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": _CONTENT_SECURITY_POLICY
        + (_SCRIPT_POLICY if asks_for_passkeys else "")
        + ("" if in_flow else "; form-action 'self'"),
        "Cross-Origin-Opener-Policy": "unsafe-none" if in_flow else "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": ", ".join([_PERMISSIONS_POLICY, *(f"{feature}={allowlist}" for feature in _PASSKEYS)]),
        # Not no-referrer: under it the Fetch standard makes a form's POST carry `Origin: null`, even to its own origin,
        # and `csrf.check_origin` could not tell our pages from foreign ones. Under same-origin our own POSTs carry the
        # true origin, and nothing at all is told to the client's redirect host.
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
    if secure:
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    return headers
