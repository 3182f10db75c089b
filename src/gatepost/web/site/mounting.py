"""Being mounted in another app of Starlette or FastAPI: at which path, and what the app around has to pass on.

Clients look for metadata at the root of the origin, too (RFC 8414 section 3.1, RFC 9728 section 3.1), where a mounted
app is not asked: the app around leads these paths to it by `well_known_routes`. It also runs no lifespan but its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import BaseRoute, Match, Mount, NoMatchFound
from starlette.types import Receive, Scope, Send

from gatepost.late_dataclass import dataclass
from gatepost.web.site.base_path import is_below

if TYPE_CHECKING:
    from starlette.datastructures import URLPath

    from gatepost.web.site.direct_app import DirectApp

_WELL_KNOWN: Final = (
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
)


def well_known_routes(app: DirectApp) -> list[BaseRoute]:
    """Return the routes by which an app around a mounted one leads clients to its metadata.

        gate = create_app(server)
        app = FastAPI(lifespan=gate.lifespan, routes=well_known_routes(gate))
        app.mount("/svc", gate)

    They answer at the root of the origin for the paths of this app alone, and at the root itself: give them to the
    outermost app, ahead of other routes for these paths. Several mounted apps have each their own.

    Args:
        app: what `create_app` returned.
    """
    return [WellKnownRoute(app)]


class WellKnownRoute(BaseRoute):
    """Leads to the metadata of a mounted app."""

    def __init__(self, app: DirectApp) -> None:
        self.app = app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Say whether a request is for a document of this app."""
        path: str = scope["path"]
        if scope["type"] != "http" or "/.well-known/" not in path:
            return Match.NONE, {}
        root = scope.get("root_path", "").rstrip("/")
        path = path[len(root) :] if is_below(path, root) else path
        well_known = next((each for each in _WELL_KNOWN if is_below(path, each)), None)
        if well_known is None:
            return Match.NONE, {}
        base, about = self._base(scope), path.removeprefix(well_known).rstrip("/")
        if base is None or not (about == "" or is_below(about, base)):
            return Match.NONE, {}
        # There it is found by its path from the root of the origin, at the app that is mounted at `base`.
        return Match.FULL, {"endpoint": self.app, "path": path, "root_path": base}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        await self.app(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Raise NoMatchFound: it has no name."""
        raise NoMatchFound(name, path_params)

    def _base(self, scope: Scope) -> str | None:
        """Return the path of the app from the root of the origin; None where it is not mounted here."""
        if self.app.public_base is not None:
            return self.app.public_base
        below = mounted_at(scope.get("app"), self.app)
        return None if below is None else scope.get("root_path", "").rstrip("/") + below


@dataclass(frozen=True, slots=True)
class Mounted:
    """An app inside of another one."""

    app: DirectApp
    around: Any
    """The outermost app."""
    runs_lifespan: bool

    @property
    def base(self) -> str:
        """The path at which it is mounted; empty where that cannot be seen."""
        return mounted_at(self.around, self.app) or ""

    def lacks(self) -> Iterator[str]:
        """Yield what the app around does not pass on, with what to write."""
        name = type(self.around).__name__
        if not self.runs_lifespan:
            yield (
                f"The {name} app in which this app is mounted does not run its lifespan, so it opened at the first "
                f"request and closes only with the event loop. Pass it on: {name}(lifespan=app.lifespan), where app is "
                "what create_app() returned; or, in a lifespan of your own: async with app.lifespan(outer): yield."
            )
        routes = getattr(self.around, "routes", None) or ()
        has_routes = any(isinstance(route, WellKnownRoute) and route.app is self.app for route in routes)
        if self.base and not has_routes:
            yield (
                f"Clients that look for metadata at the root of the origin do not find it; those that follow the "
                f"challenge, and then try {self.base}/.well-known/openid-configuration, do. Add the routes: "
                f"{name}(routes=well_known_routes(app)), from gatepost."
            )


def mounted_at(around: Any, app: object) -> str | None:
    """Return the path at which an app is mounted in another one, however deep; None where it is not seen there.

    Layers are looked through that keep what they are around of as `app`, as middleware does.
    """
    routes = getattr(around, "routes", None)
    for route in routes if isinstance(routes, list) else ():
        if isinstance(route, Mount) and "{" not in route.path:
            inner: Any = route.app
            while inner is not None and inner is not app and not hasattr(inner, "routes"):
                inner = getattr(inner, "app", None)
            below = "" if inner is app else mounted_at(inner, app)
            if below is not None:
                return route.path + below
    return None
