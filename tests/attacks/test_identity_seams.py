"""Where two parts of the identity work meet: what one of them changes holds in the other, too."""

from __future__ import annotations

from gatepost import Identity
from gatepost.identity.provider import LoginUnavailable
from tests.attacks.test_entry_and_roles import PASSWORD, company
from tests.web.pages.pages_world import heading


async def test_a_directory_that_does_not_answer_ends_no_login_and_is_no_fault_of_ours() -> None:
    """`allow=` is asked at each page of somebody who is logged in; that it cannot say is 503 there, as at a refresh."""
    failures: list[Exception] = []

    async def asks_a_directory(_: Identity) -> bool:
        if failures:
            raise failures[0]
        return True

    async with company(allow=asks_a_directory) as (gatepost, person, _):
        page = await person.arrive()
        await person.submit(page, password=PASSWORD)
        failures.append(LoginUnavailable("The directory does not answer."))

        refused = await gatepost.http.get("/oauth/account")

        assert (refused.status_code, heading(refused)) == (503, "You cannot be logged in just now")
        assert "The directory does not answer. Nothing is lost" in refused.text
        assert int(refused.headers["retry-after"]) > 0
        failures.clear()
        assert (await gatepost.http.get("/oauth/account")).status_code == 200
