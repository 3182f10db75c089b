"""The diagrams of `docs/concepts`; run as `python -m tools.documentation.diagrams` to write them into docs/images."""

from __future__ import annotations

from typing import Final

from tools.documentation.drawing import Arrow, Box, Says, Then, boxes, sequence
from tools.documentation.staging import ROOT

FOLDER: Final = ROOT / "docs" / "images" / "concepts"


def flow() -> str:
    """Return the way from the first 401 to the first call."""
    return sequence(
        ["Person, browser", "Client", "Gatepost"],
        [
            Then("Discovery"),
            Says("Client", "Gatepost", "POST /mcp, without a token"),
            Says("Gatepost", "Client", "401, WWW-Authenticate:\nresource_metadata, scope", answer=True),
            Says("Client", "Gatepost", "metadata of the resource (RFC 9728)\nand of the server (RFC 8414)"),
            Then("Registration"),
            Says("Client", "Gatepost", "POST /oauth/register (RFC 7591),\nor its client_id is a document's URL"),
            Then("Authorization"),
            Says("Client", "Person, browser", "opens /oauth/authorize with\ncode_challenge, resource, scope"),
            Says("Person, browser", "Gatepost", "logs in, reads what is asked for, approves"),
            Says("Gatepost", "Person, browser", "redirect with code and iss (RFC 9207)", answer=True),
            Says("Person, browser", "Client", "code"),
            Then("Tokens"),
            Says("Client", "Gatepost", "POST /oauth/token:\ncode, code_verifier"),
            Says("Gatepost", "Client", "access token, refresh token", answer=True),
            Then("The call"),
            Says("Client", "Gatepost", "POST /mcp, Authorization: Bearer …"),
            Says("Gatepost", "Client", "result", answer=True),
        ],
    )


def eras() -> str:
    """Return what is sent in each era for one call."""
    return sequence(
        ["Client", "Server"],
        [
            Then("Handshake era: revisions up to 2025-11-25"),
            Says("Client", "Server", "initialize: revision, capabilities"),
            Says("Server", "Client", "the agreed revision; Mcp-Session-Id", answer=True),
            Says("Client", "Server", "notifications/initialized, with the session id"),
            Says("Client", "Server", "tools/call, with the session id"),
            Says("Server", "Client", "result", answer=True),
            Says("Client", "Server", "DELETE: the session ends"),
            Then("Modern era: revision 2026-07-28 and later"),
            Says("Client", "Server", "server/discover (may be left out)"),
            Says("Server", "Client", "revisions, capabilities", answer=True),
            Says("Client", "Server", "tools/call, with revision\nand capabilities"),
            Says("Server", "Client", "result", answer=True),
        ],
        width=640,
    )


def rotation() -> str:
    """Return what happens to copies of a refresh token."""
    return sequence(
        ["Process A of a client", "Gatepost", "Process B, a copy of R1"],
        [
            Says("Process A of a client", "Gatepost", "refresh with R1"),
            Says("Gatepost", "Process A of a client", "access token, R2", answer=True),
            Then("Within 120 s, while R2 is unused: the answer was lost"),
            Says("Process A of a client", "Gatepost", "refresh with R1 again"),
            Says("Gatepost", "Process A of a client", "the same R2", answer=True),
            Then("Until a day after the first use of R1 (OAUTH_REFRESH_REUSE)"),
            Says("Process B, a copy of R1", "Gatepost", "refresh with R1"),
            Says("Gatepost", "Process B, a copy of R1", "access token, the newest: R2", answer=True),
            Then("Later: nobody can tell a sleeper from a thief"),
            Says("Process B, a copy of R1", "Gatepost", "refresh with R1"),
            Says("Gatepost", "Process B, a copy of R1", "invalid_grant;\nthe grant is revoked for all", answer=True),
        ],
    )


def grant() -> str:
    """Return what a grant joins and what hangs on it."""
    return boxes(
        {
            "person": Box(0, 0, "Person\nsubject, roles"),
            "client": Box(1, 0, "Client\nclient_id, redirect URIs"),
            "resource": Box(2, 0, "Resource\nURL of an MCP endpoint"),
            "grant": Box(0.5, 1, "Grant\none approval: who, which client, which resource,\nwhich scopes, when", 2),
            "refresh": Box(0, 2, "Refresh token family\none unspent token at a time"),
            "access": Box(1, 2, "Access tokens\none hour each"),
            "upstream": Box(2, 2, "Upstream tokens\nthe person's, for tools", dashed=True),
        },
        [
            Arrow("person", "grant", "approves"),
            Arrow("client", "grant", "asked"),
            Arrow("resource", "grant", "is for"),
            Arrow("grant", "refresh", "revoked together"),
            Arrow("grant", "access", "revoked together"),
            Arrow("grant", "upstream", "are the person's,\nnot the grant's", dashed=True),
        ],
    )


def scopes() -> str:
    """Return what narrows scopes from the request down to a call."""
    return boxes(
        {
            "asked": Box(0, 0, "Client asks\nscope=…, or none:\nthe default set"),
            "known": Box(1, 0, "Known here\nunknown names\nare dropped"),
            "roles": Box(2, 0, "Roles permit\nif any role\nnames scopes"),
            "ticked": Box(3, 0, "Person leaves\nticked on the\nconsent page"),
            "token": Box(3, 1.2, "Token\nscopes granted"),
            "need": Box(1.5, 1.2, "Tool needs\nscopes=[…]: all of them\nany_of(…): one of them", 1.4),
            "yes": Box(0, 1.2, "Enough\nlisted; runs"),
            "no": Box(1.5, 2.4, "Too few\nnot in lists; a call is 403\nthat names the scopes", 1.4),
        },
        [
            Arrow("asked", "known"),
            Arrow("known", "roles"),
            Arrow("roles", "ticked"),
            Arrow("ticked", "token", "granted"),
            Arrow("token", "need"),
            Arrow("need", "yes"),
            Arrow("need", "no"),
        ],
        columns=4,
        row=105,
    )


def audiences() -> str:
    """Return how a token of one endpoint is refused by another."""
    return boxes(
        {
            "server": Box(1, 0, "Authorization server\nhttps://mcp.example.com"),
            "one": Box(0, 1, "Token for /notes/mcp\naudience: its URL"),
            "two": Box(2, 1, "Token for /mail/mcp\naudience: its URL"),
            "notes": Box(0, 2, "Resource\n…/notes/mcp"),
            "mail": Box(2, 2, "Resource\n…/mail/mcp"),
        },
        [
            Arrow("server", "one", "resource=…/notes/mcp"),
            Arrow("server", "two", "resource=…/mail/mcp"),
            Arrow("one", "notes", "accepted"),
            Arrow("two", "mail", "accepted"),
            Arrow("one", "mail", "401 at another resource", dashed=True),
        ],
        row=105,
    )


def storage() -> str:
    """Return in which form each kind of data lies in the store."""
    return boxes(
        {
            "keys": Box(0, 0, "Sealing keys\nMCP_SEALING_KEYS, or\ngatepost.key on a laptop"),
            "process": Box(1, 0, "Process\nmakes and checks\ntokens and codes"),
            "client": Box(2, 0, "Clients and browsers\nhold tokens, codes,\nsession ids"),
            "hashes": Box(
                2, 1.2, "Only hashes\ntokens, codes, client secrets,\nsession ids: SHA-256;\npasswords: argon2id"
            ),
            "sealed": Box(
                0,
                1.2,
                "Sealed (AES-256-GCM)\nsigning keys, upstream tokens,\nsuccessors of refresh tokens,\nsecond steps",
            ),
            "plain": Box(1, 1.2, "Readable\npeople, clients, scopes,\ngrants, audit trail,\nsettings of the store"),
        },
        [
            Arrow("keys", "process"),
            Arrow("process", "client"),
            Arrow("process", "plain"),
            Arrow("process", "hashes"),
            Arrow("process", "sealed"),
        ],
        row=115,
    )


def replicas() -> str:
    """Return what is shared when one process becomes several."""
    return boxes(
        {
            "clients": Box(1, 0, "Clients"),
            "proxy": Box(1, 0.75, "Reverse proxy\nTLS; any replica"),
            "one": Box(0, 1.75, "Replica\nverified tokens: 5 s"),
            "two": Box(1, 1.75, "Replica\nverified tokens: 5 s"),
            "three": Box(2, 1.75, "Replica\nverified tokens: 5 s"),
            "store": Box(0.5, 2.85, "PostgreSQL\nclients, people, grants, tokens, sessions, limits, changes", 2),
        },
        [
            Arrow("clients", "proxy"),
            Arrow("proxy", "one"),
            Arrow("proxy", "two"),
            Arrow("proxy", "three"),
            Arrow("one", "store", "SQL"),
            Arrow("two", "store", "LISTEN, NOTIFY"),
            Arrow("three", "store", "SQL"),
        ],
        row=95,
    )


DIAGRAMS: Final = {
    "audiences": audiences,
    "eras": eras,
    "flow": flow,
    "grant": grant,
    "replicas": replicas,
    "rotation": rotation,
    "scopes": scopes,
    "storage": storage,
}

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, draw in DIAGRAMS.items():
        (FOLDER / f"{name}.svg").write_text(draw(), encoding="utf-8")
