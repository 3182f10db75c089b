"""An MCP endpoint, and a plain Starlette application behind the same lock."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute

from gatepost import Protected, Server, get_current_sub

notes = Server("notes", title="Your notes", scopes={"notes:write": "Add notes"})


async def report(request: Request) -> JSONResponse:
    principal = request.scope["gatepost.principal"]
    return JSONResponse(
        {
            "subject": principal.subject,
            "is_current": get_current_sub() == principal.subject,
            "client": principal.client_name,
            "url": str(request.url_for("report")),
            "authorization": request.headers.get("authorization"),
        }
    )


async def never(_: object) -> None:
    raise AssertionError


reports = Starlette(
    routes=[
        Route("/latest", report, methods=["GET", "POST"], name="report"),
        Route("/admin/latest", report, name="admin"),
        WebSocketRoute("/live", never),
    ]
)

endpoints = {
    "/mcp": notes,
    "/reports": Protected(
        reports,
        scopes={"/": ["reports:read"], "/admin": ["reports:admin"]},
        descriptions={"reports:read": "Read reports"},
        title="Your reports",
    ),
}
