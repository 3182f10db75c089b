"""What the pages look like, from the settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from gatepost.assembly.core import Core
from gatepost.configuration.settings import SettingsError

if TYPE_CHECKING:
    from gatepost.web.pages.branding import Branding
    from gatepost.web.pages.pictures import Picture
    from gatepost.web.pages.rendering import Pages


def pages_for(core: Core, name: str) -> Callable[[], Pages]:
    """Return what builds, at its first call, what renders pages for a server of this name.

    What the operator puts on them is read now, so that the start says what is wrong with it.

    Raises:
        SettingsError: the logo, or something in the folder of the operator's, cannot be used.
    """
    build, settings = cache(partial(_build_pages, core, name)), core.settings.pages
    if settings.logo is not None or settings.folder is not None:
        build()
    return build


def _build_pages(core: Core, name: str) -> Pages:
    """Build what renders pages for a server of this name.

    Raises:
        SettingsError: the logo, or something in the folder of the operator's, cannot be used.
    """
    from gatepost.web.pages.branding import Branding  # noqa: PLC0415 - a server that only answers tools shows no page
    from gatepost.web.pages.rendering import Pages  # noqa: PLC0415 - likewise

    settings, is_secure = core.settings.pages, core.deployment.is_secure
    branding = Branding(
        logo=None if settings.logo is None else _logo(settings.logo),
        accent=settings.accent,
        support=settings.support,
        imprint=settings.imprint,
        privacy=settings.privacy,
    )
    if settings.folder is not None:
        return _with_own(settings.folder, core, name, branding)
    return Pages(server_name=name, secure=is_secure, branding=branding, random_bytes=core.random_bytes)


def _logo(given: str) -> Picture:
    from gatepost.web.pages.pictures import PictureRefused, read_picture  # noqa: PLC0415 - most servers have none

    try:
        return read_picture(given)
    except PictureRefused as refused:
        raise SettingsError(f"OAUTH_LOGO cannot be used: {refused}.") from None


def _with_own(folder: Path, core: Core, name: str, branding: Branding) -> Pages:
    from gatepost.web.pages.own_pages import OwnPagesRefused, read_own_pages  # noqa: PLC0415 - likewise
    from gatepost.web.pages.rendering import Pages  # noqa: PLC0415 - as above

    try:
        return Pages(
            server_name=name,
            secure=core.deployment.is_secure,
            branding=branding,
            own=read_own_pages(folder),
            random_bytes=core.random_bytes,
        )
    except OwnPagesRefused as refused:
        raise SettingsError(f"OAUTH_PAGES_DIR cannot be used. {refused}") from None
