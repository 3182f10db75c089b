"""What OAUTH_WORKLOADS_FILE takes, and what it says of what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost.configuration.settings import SettingsError
from gatepost.configuration.workload_file import read_workload_file
from gatepost.oauth.workloads import WorkloadKeys, WorkloadRule

WHOLE = """
[[workload]]
client = "deploy"
name = "Deployments"
issuer = "https://token.actions.githubusercontent.com"
audience = "https://mcp.example"
scopes = ["notes:write"]
reusable = true
dpop_bound_access_tokens = true
public_key = "platform.pem"
algorithms = ["RS256"]

[workload.claims]
repository = "acme/notes"
ref = ["refs/heads/main", "refs/heads/release"]
"""
NEEDED = 'client = "a"\nissuer = "https://id.example"\nclaims = { sub = "b" }'


def read(folder: Path, text: str) -> tuple[WorkloadRule, ...]:
    file = folder / "workloads.toml"
    file.write_text(text)
    return read_workload_file(file)


def test_an_entry_is_a_rule(tmp_path: Path) -> None:
    assert read(tmp_path, WHOLE) == (
        WorkloadRule(
            client_id="deploy",
            name="Deployments",
            issuer="https://token.actions.githubusercontent.com",
            claims={"repository": ("acme/notes",), "ref": ("refs/heads/main", "refs/heads/release")},
            audience="https://mcp.example",
            scopes=("notes:write",),
            is_reusable=True,
            dpop_bound_access_tokens=True,
            keys=WorkloadKeys(public_key=str(tmp_path / "platform.pem"), algorithms=("RS256",)),
        ),
    )


def test_what_is_left_out_has_a_default(tmp_path: Path) -> None:
    (rule,) = read(tmp_path, f"[[workload]]\n{NEEDED}")
    assert rule == WorkloadRule(client_id="a", name="a", issuer="https://id.example", claims={"sub": ("b",)})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('client = "a b"', "client takes"),
        ('client = "user_1"', "begins as ids of people"),
        ('client = "client_1"', "begins as ids of people"),
        ('issuer = "http://id.example"', "issuer takes an https URL"),
        ("claims = {}", "claims takes a table with at least one claim"),
        ('claims = { sub = "" }', "claims takes"),
        ("claims = { sub = [] }", "claims takes"),
        ("claims = { sub = 1 }", "claims takes"),
        ('scopes = "notes"', "scopes takes a list"),
        ('algorithms = ["HS256"]', "algorithms takes"),
        ('secret = "x"', "has a key that no entry has"),
        ('jwks_uri = "https://id.example/keys"\npublic_key = "a.pem"', "both say where the keys are"),
    ],
)
def test_what_is_wrong_is_named_and_not_quoted(tmp_path: Path, line: str, said: str) -> None:
    name = line.split(" ", maxsplit=1)[0]
    kept = "\n".join(needed for needed in NEEDED.splitlines() if not needed.startswith(f"{name} "))
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, f"[[workload]]\n{line}\n{kept}")
    assert said in str(caught.value)
    assert "workload 1" in str(caught.value)


@pytest.mark.parametrize("missing", ["client", "issuer", "claims"])
def test_what_is_missing_is_named(tmp_path: Path, missing: str) -> None:
    kept = "\n".join(line for line in NEEDED.splitlines() if not line.startswith(missing))
    with pytest.raises(SettingsError, match=f"needs {missing}"):
        read(tmp_path, f"[[workload]]\n{kept}")


def test_a_client_has_one_rule(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="workload 2 has the client of another entry"):
        read(tmp_path, f"[[workload]]\n{NEEDED}\n[[workload]]\n{NEEDED}")


def test_there_is_nothing_else_in_the_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"under a line \[\[workload\]\]"):
        read(tmp_path, f"[workload]\n{NEEDED}")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_workload_file(tmp_path / "gone.toml")
