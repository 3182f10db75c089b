"""The diagrams of `docs/tutorial`; run as `python -m tools.documentation.tutorial_diagrams` to write them."""

from __future__ import annotations

from typing import Final

from tools.documentation.drawing import Arrow, Box, Says, Then, boxes, sequence
from tools.documentation.staging import ROOT

FOLDER: Final = ROOT / "docs" / "images" / "tutorial"


def steps() -> str:
    """Return the nine steps: a server, its tokens, its people."""
    return boxes(
        {
            "1": Box(0, 0, "1 Health\nit is well"),
            "2": Box(1, 0, "2 Requests\nJSON-RPC"),
            "3": Box(2, 0, "3 Definitions\ntools, prompts"),
            "4": Box(3, 0, "4 Dispatch\ncalls run"),
            "5": Box(0, 1, "5 Keys\nan issuer, JWKS"),
            "6": Box(1, 1, "6 Tokens\na JWT, or 401"),
            "7": Box(2, 1, "7 Metadata\nwho issues them"),
            "8": Box(0, 2, "8 Scopes and roles\nallowed, or 403"),
            "9": Box(1, 2, "9 User context\nwho calls; a login"),
            "end": Box(2, 2, "Six lines\nof your own"),
        },
        [
            Arrow("1", "2"),
            Arrow("2", "3"),
            Arrow("3", "4"),
            Arrow("5", "6"),
            Arrow("6", "7"),
            Arrow("8", "9"),
            Arrow("9", "end"),
        ],
        columns=4,
        row=72,
    )


def tokens() -> str:
    """Return who makes a token, who sends it, and who checks it by which keys."""
    client, server, issuer = "Client", "Resource server, port 8000", "Issuer, port 8001"
    return sequence(
        [client, server, issuer],
        [
            Then("A token, made by a command in step 5"),
            Says(issuer, client, "JWT, signed with the private key"),
            Then("The first call"),
            Says(client, server, "POST /mcp,\nAuthorization: Bearer JWT"),
            Says(server, server, "iss, aud, exp"),
            Says(server, issuer, "GET /.well-known/jwks.json"),
            Says(issuer, server, "public keys", answer=True),
            Says(server, server, "signature"),
            Says(server, client, "result, or 401 with a challenge", answer=True),
            Then("The next calls: the keys are kept"),
            Says(client, server, "POST /mcp,\nAuthorization: Bearer JWT"),
            Says(server, client, "result", answer=True),
        ],
    )


def metadata() -> str:
    """Return how a client that knows one URL finds the issuer."""
    client, server, issuer = "Client", "Resource server, port 8000", "Issuer, port 8001"
    return sequence(
        [client, server, issuer],
        [
            Says(client, server, "POST /mcp, without a token"),
            Says(server, client, "401, WWW-Authenticate:\nresource_metadata", answer=True),
            Says(client, server, "GET /.well-known/\noauth-protected-resource/mcp"),
            Says(server, client, "resource, authorization_servers", answer=True),
            Says(client, issuer, "GET /.well-known/oauth-authorization-server"),
            Says(issuer, client, "issuer, jwks_uri; of a real one: login, tokens, registration", answer=True),
        ],
    )


def permissions() -> str:
    """Return the two questions that a call has to pass."""
    return boxes(
        {
            "call": Box(0, 0, "Call\nof a tool that needs\nmcp:tools"),
            "app": Box(1, 0, "The app\nDoes its token\nhave mcp:tools?", 0.94),
            "person": Box(2, 0, "The person\nDoes one of their roles\npermit mcp:tools?", 0.94),
            "runs": Box(3, 0, "Both do\nthe tool runs"),
            "refused": Box(1.5, 1.15, "403 Forbidden\ninsufficient_scope"),
        },
        [
            Arrow("call", "app"),
            Arrow("app", "person", "yes"),
            Arrow("person", "runs", "yes"),
            Arrow("app", "refused", "no"),
            Arrow("person", "refused", "no"),
        ],
        columns=4,
        width=840,
    )


DIAGRAMS: Final = {"metadata": metadata, "permissions": permissions, "steps": steps, "tokens": tokens}

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, draw in DIAGRAMS.items():
        (FOLDER / f"{name}.svg").write_text(draw(), encoding="utf-8")
