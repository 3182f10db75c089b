"""A browser that logs in and approves: with cookies and forms, without JavaScript and without a real browser."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2

from gatepost.testing.pages import BrowserPage, PageForm, read_page

if TYPE_CHECKING:
    from mcp.shared.auth import AuthorizationCodeResult

_MOST_REDIRECTS = 10


class UnexpectedPage(Exception):
    """A browser is on another page than it was to come to."""

    def __init__(self, page: BrowserPage, wanted: str) -> None:
        where = page.location or f"{urlsplit(page.url).path} ({page.status}), which says: {page.text[:600]}"
        super().__init__(f"The browser was to come to {wanted}, and came to {where}")
        self.page = page


class Browser:
    """A person's browser, which keeps its cookies; made by `RunningServer.browser`.

        location = await browser.approve(authorization_url)

    For the official client it has both handlers:

        OAuthClientProvider(
            ..., redirect_handler=browser.redirect_handler, callback_handler=browser.callback_handler
        )
    """

    def __init__(self, http: httpx2.AsyncClient, typed: Mapping[str, str]) -> None:
        self.http = http
        """What it sends requests with."""
        self.typed = dict(typed)
        """What the person types into the fields of a login, by their names."""
        self._origin = str(http.base_url).rstrip("/")
        self._asked: str | None = None

    async def open(self, url: str) -> BrowserPage:
        """Open a URL or path of the server and follow its redirects; return the page, or where it leaves the server."""
        return await self._follow(await self.http.get(url))

    async def submit(self, page: BrowserPage, form: PageForm | None = None, **typed: str) -> BrowserPage:
        """Send a form of a page, by default the first, with what is typed into it; return what comes of it.

        Raises:
            UnexpectedPage: the page has no form.
        """
        if form is None and not page.forms:
            raise UnexpectedPage(page, "a page with a form")
        form = form or page.forms[0]
        url = urljoin(page.url, form.action)
        return await self._follow(
            await self.http.post(url, data={**form.fields, **typed}, headers={"Origin": self._origin})
        )

    async def log_in(self, page: BrowserPage) -> BrowserPage:
        """Return the page behind a login page; any other as it is.

        Raises:
            UnexpectedPage: the login fails, or asks for something that is not `typed`.
        """
        while (form := _login_form(page)) is not None:
            missing = [name for name in form.asked if name not in self.typed]
            if missing:
                raise UnexpectedPage(
                    page, f"a login that asks for no {' and '.join(missing)} (typed= says what to type)"
                )
            after = await self.submit(page, form, **{name: self.typed[name] for name in form.asked})
            again = _login_form(after)
            if again is not None and again.asked == form.asked:
                raise UnexpectedPage(after, "the page behind the login")
            page = after
        return page

    async def approve(
        self, authorization_url: str, *, scopes: Collection[str] | None = None, delivers: bool = False
    ) -> str:
        """Log in if that is asked, and approve; return the redirect back to the app, with its code.

        Args:
            authorization_url: of the server's authorization endpoint.
            scopes: what the person leaves ticked; by default all.
            delivers: whether to open the redirect, for an app that listens on this machine.

        Raises:
            UnexpectedPage: it does not come to a consent page, such as for a redirect URI that is not registered.
            ValueError: `scopes` has one that the page does not ask for.
        """
        return await self._decide(authorization_url, "approve", scopes=scopes, delivers=delivers)

    async def deny(self, authorization_url: str, *, delivers: bool = False) -> str:
        """Log in if that is asked, and deny; return the redirect back to the app, with its error. As `approve`."""
        return await self._decide(authorization_url, "deny", scopes=None, delivers=delivers)

    async def consent_page(self, authorization_url: str) -> BrowserPage:
        """Log in if that is asked; return the consent page, or the redirect where nothing has to be asked.

        Raises:
            UnexpectedPage: as for `approve`.
        """
        page = await self.log_in(await self.open(authorization_url))
        is_redirect = page.location is not None and {"code", "error"} & parse_qs(urlsplit(page.location).query).keys()
        if not is_redirect and _decision_form(page) is None:
            raise UnexpectedPage(page, "a consent page")
        return page

    async def redirect_handler(self, authorization_url: str) -> None:
        """Take an authorization URL from the official client."""
        self._asked = authorization_url

    async def callback_handler(self) -> AuthorizationCodeResult:
        """Approve it, and return what comes back."""
        from mcp.shared.auth import AuthorizationCodeResult  # noqa: PLC0415 - it needs the extra `dev`

        if self._asked is None:
            raise RuntimeError("No client has asked yet: give it redirect_handler as well.")
        location = await self.approve(self._asked)
        said = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        return AuthorizationCodeResult(code=said.get("code", ""), state=said.get("state"), iss=said.get("iss"))

    async def _decide(self, url: str, decision: str, *, scopes: Collection[str] | None, delivers: bool) -> str:
        page = await self.consent_page(url)
        form = _decision_form(page)
        if form is not None:
            page = await self.submit(page, _ticked(form, page.scopes, scopes), decision=decision)
        if page.location is None:
            raise UnexpectedPage(page, "the app")
        if delivers:
            async with httpx2.AsyncClient(trust_env=False) as there:
                (await there.get(page.location)).raise_for_status()
        return page.location

    async def _follow(self, answer: httpx2.Response) -> BrowserPage:
        for _ in range(_MOST_REDIRECTS):
            url = str(answer.url)
            if not answer.has_redirect_location:
                return read_page(url, answer.status_code, answer.text)
            location = urljoin(url, answer.headers["location"])
            if not location.startswith(f"{self._origin}/"):
                return BrowserPage(url, answer.status_code, location)
            answer = await self.http.get(location)
        raise RuntimeError(f"More than {_MOST_REDIRECTS} redirects, the last to {answer.headers['location']}.")


def _login_form(page: BrowserPage) -> PageForm | None:
    is_login = urlsplit(page.url).path.endswith("/oauth/login")
    return next((form for form in page.forms if form.asked), None) if is_login else None


def _decision_form(page: BrowserPage) -> PageForm | None:
    return next((form for form in page.forms if ("decision", "approve") in form.buttons), None)


def _ticked(form: PageForm, asked: Collection[str], scopes: Collection[str] | None) -> PageForm:
    """Return the form with these scopes ticked alone."""
    if scopes is None:
        return form
    if unknown := [scope for scope in scopes if scope not in asked]:
        raise ValueError(f"The page does not ask for {', '.join(unknown)}; it asks for {', '.join(asked)}.")
    cleared = {name for scope, name in form.boxes.items() if scope not in scopes}
    return PageForm(form.action, {name: value for name, value in form.fields.items() if name not in cleared})
