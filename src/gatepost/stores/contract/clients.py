"""Registered clients (RFC 7591, RFC 7592)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gatepost.oauth.limits import RegistrationBudget
from gatepost.oauth.operator_clients import Reconciliation
from gatepost.oauth.records import Client, Grant, IssuedTokens


class ClientFinder(Protocol):
    """Where a client is looked up, wherever it comes from: the store, or `gatepost.outbound` in front of it."""

    async def find_client(self, client_id: str) -> Client | None:
        """Return the client, disabled or not, or None.

        Raises:
            OAuthError: it is known by a metadata document, and that is refused or cannot be had.
        """

    async def complete_client(self, client_id: str, registered: Client | None) -> Client | None:
        """Return what `find_client` does, for whoever has just looked up what is registered under the id."""


class ClientStore(ClientFinder, Protocol):
    """Registered clients (RFC 7591, RFC 7592)."""

    async def register_client(self, client: Client, *, budget: RegistrationBudget | None = None) -> int:
        """Add a client; its id is fresh and random, so there is nothing to collide with.

        With a budget it is counted, at its `created_at`, and the oldest of the counted ones that were never used goes
        where it has to make room, as by `remove_client`. One whose `created_at` is still to come counts as old: the
        clock has stepped back. A counted client that gets a grant, or is disabled, is not counted any more, and never
        goes here.

        Return 0 when the client is added; else nothing is, and it is the seconds after which one could be.

        Repeated: the key of the record is there already, which is an error of the backend, and nothing is written. It
        is made for one call; who does not know what came of that makes another record.
        """

    async def list_clients(self) -> list[Client]:
        """Return all clients, the oldest first."""

    async def update_client(self, client: Client) -> bool:
        """Replace what a client registered (RFC 7592 section 2.2); False when it is gone or disabled.

        Its origin, `created_at`, `disabled_at` and `refresh_reuse` stay as they are. Of two updates at once the later
        one stands.

        Repeated: the same again, and True; an update that somebody else made in between is replaced.
        """

    async def rotate_client_secret(self, client_id: str, secret_fingerprint: bytes) -> bool:
        """Give a client that has a secret another one; the old one is dead. False when there is no such client.

        Repeated: the same again, and the same answer.
        """

    async def set_refresh_reuse(self, client_id: str, seconds: int | None) -> bool:
        """Say for how long spent refresh tokens of one client get the newest; None leaves it to the server's setting.

        Its grants stay as they are. False when there is no such client.

        Repeated: the same again, and the same answer.
        """

    async def disable_client(self, client_id: str, *, now: int, placeholder: Client | None = None) -> bool:
        """Disable a client, revoke its grants, drop its open authorization requests with their codes, forget consents.

        Tokens that it was given for others (RFC 8693) end, too.

        `placeholder` is kept, disabled, when the store has no such client: one that is known by a document. Without it
        the answer is False then. Disabling twice keeps the first time.

        Repeated: True; what came to be meanwhile ends too.
        """

    async def enable_client(self, client_id: str) -> bool:
        """Undo `disable_client`'s mark (not the revocations); False if there is none.

        Of a client that is known by a document nothing is kept any more: it counts as its document says.

        Repeated: True; False for one that is known by a document.
        """

    async def remove_client(self, client_id: str, *, now: int) -> bool:
        """Remove a client with all that `disable_client` ends; False if there is none.

        Repeated: False.
        """

    async def keep_settings_clients(self, wanted: Sequence[Client], *, now: int) -> Reconciliation:
        """Hold the clients that the settings name, and of that origin no others; return what was done.

        All of it or nothing: nothing if an id of `wanted` belongs to a client of another origin (`taken`). One that is
        not wanted any more is removed as by `remove_client`. One that changed keeps its `created_at`, is enabled, loses
        its open authorization requests with their codes and the tokens that it was given for others, which were judged
        by what it was, and those grants and consents that it could not get any more (`oauth.operator_clients`). Doing
        it twice is doing it once.

        Repeated: nothing is done, which the answer says.

        Args:
            wanted: each id once, all of origin `SETTINGS` and enabled.
            now: seconds UTC.
        """

    async def give_client_grant(self, grant: Grant, tokens: IssuedTokens) -> bool:
        """Keep a client's grant to itself with its token (RFC 6749 section 4.4); False if it is gone or disabled.

        Repeated: the key of the record is there already, which is an error of the backend, and nothing is written. It
        is made for one call; who does not know what came of that makes another record.
        """

    async def delete_orphans(self, *, before: int, limit: int) -> int:
        """Delete clients that nobody uses.

        Those that registered themselves at `before` or earlier (seconds UTC), have no grant, ended or not, and no
        authorization request, in a browser, pushed or of a device, that was open after it. So a client that was used
        stays for as long as its last grant is kept, also after somebody has logged out: apps come back with the
        `client_id` they have, and some are stuck with a dead one. What an operator registered or disabled stays.
        """
