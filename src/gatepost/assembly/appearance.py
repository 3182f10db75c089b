"""What the pages look like, from the settings."""

from __future__ import annotations

from gatepost.assembly.core import Core
from gatepost.configuration.settings import SettingsError
from gatepost.web.pages.branding import Branding
from gatepost.web.pages.own_pages import OwnPagesRefused, read_own_pages
from gatepost.web.pages.pictures import PictureRefused, read_picture
from gatepost.web.pages.rendering import Pages


def build_pages(core: Core, name: str) -> Pages:
    """Build what renders pages for a server of this name.

    Raises:
        SettingsError: the logo, or something in the folder of the operator's, cannot be used.
    """
    settings = core.settings.pages
    try:
        branding = Branding(
            logo=None if settings.logo is None else read_picture(settings.logo),
            accent=settings.accent,
            support=settings.support,
            imprint=settings.imprint,
            privacy=settings.privacy,
        )
        return Pages(
            server_name=name,
            secure=core.deployment.is_secure,
            branding=branding,
            own=None if settings.folder is None else read_own_pages(settings.folder),
            random_bytes=core.random_bytes,
        )
    except PictureRefused as refused:
        raise SettingsError(f"OAUTH_LOGO cannot be used: {refused}.") from None
    except OwnPagesRefused as refused:
        raise SettingsError(f"OAUTH_PAGES_DIR cannot be used. {refused}") from None
