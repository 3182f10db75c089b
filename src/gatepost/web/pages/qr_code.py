"""QR codes as SVG inside a page: with no address of their own, what they hold is nowhere but on the page."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup

_QUIET_ZONE = 4
"""Modules around the code, without which cameras do not find it (ISO/IEC 18004)."""


def qr_code(text: str) -> Markup:
    """Return `text` as a QR code, black on white whatever the colours of the page; segno is imported at first use."""
    from markupsafe import Markup  # noqa: PLC0415 - off the start-up path
    from segno import make_qr  # noqa: PLC0415 - only for people who set an authenticator app up

    drawn = io.BytesIO()
    make_qr(text, error="m").save(
        drawn,
        kind="svg",
        xmldecl=False,
        svgns=False,
        nl=False,
        omitsize=True,
        border=_QUIET_ZONE,
        dark="#000",
        light="#fff",
        svgclass="qr",
        lineclass=None,
    )
    return Markup(drawn.getvalue().decode())  # noqa: S704 - segno's shapes; the text itself does not stand in them
