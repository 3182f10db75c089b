"""The routes of a page with a form: GET shows it, POST takes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from gatepost.web.pages.rendering import Pages
from gatepost.web.site.api_description import Object, Responses, form

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormPage:
    """What the API description says of such a page; for browsers, and for who puts something in front of them."""

    name: str
    """One word, as in `/oauth/<name>`."""
    shows: str
    """What GET does, as the heading of an operation."""
    takes: str
    """What POST does."""
    parameters: Sequence[Object]
    """Of the URL, for both."""
    fields: Mapping[str, Object]
    """Of the form, beside the token that every form of ours has."""
    shown: Responses
    taken: Responses


def form_page_router(described: FormPage, *, pages: Pages, show: Handler, submit: Handler) -> APIRouter:
    """Return the routes.

    Args:
        described: the page.
        pages: answers with a page whatever `show` and `submit` refuse.
        show: answers GET, and HEAD.
        submit: answers POST.
    """
    path = f"/oauth/{described.name}"
    body = form({"csrf_token": {"type": "string", "description": "From the page."}, **described.fields}, required=[])
    router = APIRouter(tags=["Pages"])
    router.add_api_route(
        path,
        pages.endpoint(show),
        methods=["GET"],
        summary=described.shows,
        operation_id=f"show_{described.name}",
        response_model=None,
        response_class=HTMLResponse,
        responses=described.shown,
        openapi_extra={"parameters": described.parameters},
    )
    router.add_api_route(path, pages.endpoint(show), methods=["HEAD"], include_in_schema=False)
    router.add_api_route(
        path,
        pages.endpoint(submit),
        methods=["POST"],
        summary=described.takes,
        operation_id=f"submit_{described.name}",
        response_model=None,
        response_class=HTMLResponse,
        status_code=303,
        responses=described.taken,
        openapi_extra={"parameters": described.parameters, "requestBody": body},
    )
    return router
