"""Somebody at a browser, scripted over plain HTTP: logs in and approves."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx2


class UnexpectedPageError(Exception):
    """A page is not the one that comes now."""


@dataclass
class Form:
    """A form: where it goes, what its controls are called, and what it sends if nobody touches it."""

    action: str
    names: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)


class _FormReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take in a form or a control of the latest one."""
        attributes = dict(attrs)
        name = attributes.get("name")
        if tag == "form":
            self.forms.append(Form(attributes.get("action") or ""))
        elif tag in {"input", "button"} and name and self.forms:
            self.forms[-1].names.add(name)
            if attributes.get("type") == "hidden" or "checked" in attributes:
                self.forms[-1].values[name] = attributes.get("value") or ""


def log_in_and_approve(url: str, *, username: str, password: str) -> str:
    """Open an authorization URL in a fresh browser, log in, approve; return the address of the end, without its query.

    Raises:
        UnexpectedPageError: A page is not the one for this step, or is an error.
        httpx2.HTTPError: A page cannot be had.
    """
    # The suite prints an address just before it listens there. Proxies of the environment are not used.
    transport = httpx2.HTTPTransport(retries=3)
    with httpx2.Client(follow_redirects=True, transport=transport) as http:
        page = _checked(http.get(url))
        page = _submit(http, page, {"username": username, "password": password})
        page = _submit(http, page, {"decision": "approve"})
    return str(page.url.copy_with(query=None))


def _submit(http: httpx2.Client, page: httpx2.Response, answers: dict[str, str]) -> httpx2.Response:
    form = find_form(page.text, set(answers))
    if form is None:
        raise UnexpectedPageError(f"{page.url.path} does not ask for {' and '.join(answers)}")
    origin = str(page.url.copy_with(raw_path=b"/")).rstrip("/")
    target = page.url.join(form.action)
    return _checked(http.post(target, data={**form.values, **answers}, headers={"Origin": origin}))


def _checked(page: httpx2.Response) -> httpx2.Response:
    if page.status_code != httpx2.codes.OK:
        raise UnexpectedPageError(f"{page.url.path} answers {page.status_code}")
    return page


def find_form(page: str, names: set[str]) -> Form | None:
    """Return the page's first form with controls of all these names, or None."""
    reader = _FormReader()
    reader.feed(page)
    return next((form for form in reader.forms if names <= form.names), None)
