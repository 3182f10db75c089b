"""A server whose login asks elsewhere (`LOGIN_AT` names the address), or else for a password and a code."""

import os
from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gatepost import Identity, IdentityProvider, Login, LoginField, LoginRoute, LoginStep, run
from tests.end_to_end.sample_server import server


class Elsewhere(IdentityProvider):
    """Believes what comes back."""

    name = "elsewhere"

    @property
    def routes(self) -> list[LoginRoute]:
        """The way back."""
        return [LoginRoute("callback", self.callback)]

    async def challenge(self, request: Request, login: Login) -> Response:
        """Go there."""
        del request
        query = {"state": await login.begin({}), "redirect_uri": login.url("callback")}
        return RedirectResponse(f"{os.environ['LOGIN_AT']}?{urlencode(query)}", 303)

    async def callback(self, request: Request, login: Login) -> Response:
        """Come back."""
        await login.resume(request.query_params.get("state"))
        return await login.finish(Identity(request.query_params["sub"], "Ada from elsewhere"))


class Steps(IdentityProvider):
    """Takes any password, and then one code."""

    name = "steps"
    login_fields = (LoginField("password", "Password", secret=True, autocomplete="current-password"),)

    async def authenticate(self, request: Request, credentials: Mapping[str, str]) -> LoginStep | None:
        """Take the password."""
        del request
        return LoginStep((LoginField("code", "Code", autocomplete="one-time-code"),), {}) if credentials else None

    async def continue_login(
        self,
        request: Request,
        credentials: Mapping[str, str],
        data: Mapping[str, str],
    ) -> Identity | LoginStep:
        """Take the code."""
        del request
        if credentials.get("code") == "123456":
            return Identity("ada", "Ada")
        field = LoginField("code", "Code", autocomplete="one-time-code")
        return LoginStep((field,), data, problem="The code is wrong or too old.")


if __name__ == "__main__":
    run(server, provider=Elsewhere() if "LOGIN_AT" in os.environ else Steps())
