"""The compose files: valid by the specification's schema, and right for Gatepost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gatepost.configuration.deployment import locate_store, resolve_deployment
from gatepost.configuration.settings import load_settings
from tests.deploy.manifests import AFTER_CALLS, DEPLOY, compose, of_the_image, with_secrets
from tools.image.dockerfile import read

NAMES = ["sqlite", "postgresql", "keycloak"]
VARIABLES = {"MCP_NAME": "mcp.example.com", "SSO_NAME": "sso.example.com"}


def project(name: str) -> dict[str, Any]:
    return compose(name, VARIABLES)


def seconds(text: str) -> int:
    assert text.endswith("s")
    return int(text.removesuffix("s"))


@pytest.mark.parametrize("name", NAMES)
def test_a_compose_file_is_valid(name: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run(
        [*command, str(DEPLOY / "compose" / f"{name}.yml")], capture_output=True, text=True, timeout=60, check=False
    )
    assert (checked.returncode, checked.stdout) == (0, "ok -- validation done\n")


@pytest.mark.parametrize("name", NAMES)
def test_the_settings_of_a_compose_file_make_a_public_server_without_a_warning(name: str, tmp_path: Path) -> None:
    environment = with_secrets({**of_the_image(), **project(name)["services"]["gatepost"]["environment"]}, tmp_path)
    settings = load_settings(environment, env_file=None)
    deployment = resolve_deployment(settings, is_single_user=False)
    assert (deployment.public_url, deployment.is_public) == ("https://mcp.example.com", True)
    assert settings.warnings == ()
    assert locate_store(settings).is_lost_at_exit is False


@pytest.mark.parametrize("name", NAMES)
def test_the_proxy_that_is_trusted_is_the_one_that_is_there(name: str) -> None:
    services = project(name)["services"]
    trusted = services["gatepost"]["environment"]["MCP_TRUSTED_PROXIES"]
    assert trusted == services["caddy"]["networks"]["front"]["ipv4_address"]
    assert [service for service in services if "ports" in services[service]] == ["caddy"]


@pytest.mark.parametrize("name", NAMES)
def test_a_container_is_killed_only_after_its_calls_have_ended(name: str) -> None:
    gatepost = project(name)["services"]["gatepost"]
    assert seconds(gatepost["stop_grace_period"]) > int(gatepost["environment"]["MCP_SHUTDOWN_SECONDS"]) + AFTER_CALLS


@pytest.mark.parametrize("name", NAMES)
def test_a_server_in_compose_may_write_nothing_but_its_data(name: str) -> None:
    gatepost = project(name)["services"]["gatepost"]
    assert gatepost["read_only"] is True
    assert gatepost["cap_drop"] == ["ALL"]
    assert gatepost["security_opt"] == ["no-new-privileges:true"]
    assert [volume for volume in gatepost["volumes"] if not volume.endswith(":ro")] in ([], ["data:/data"])


@pytest.mark.parametrize("name", NAMES)
def test_secrets_come_as_files_and_stand_in_no_variable(name: str) -> None:
    whole = project(name)
    for service in whole["services"].values():
        assert set(service.get("secrets", [])) <= set(whole["secrets"])
        environment = service.get("environment", {})
        secret = [key for key in environment if ("PASSWORD" in key or "KEYS" in key) and not key.endswith("_FILE")]
        assert secret == []
        files = [value for key, value in environment.items() if key.endswith("_FILE")]
        assert files == [f"/run/secrets/{Path(value).name}" for value in files]
        assert {Path(value).name for value in files} <= set(service.get("secrets", []))


@pytest.mark.parametrize("name", NAMES)
def test_files_that_are_mounted_are_there(name: str) -> None:
    volumes = [volume for each in project(name)["services"].values() for volume in each.get("volumes", [])]
    paths = [volume.split(":")[0] for volume in volumes if volume.startswith(".")]
    assert paths
    assert [path for path in paths if not (DEPLOY / "compose" / path).is_file()] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_compose_file_waits_for_what_can_tell_that_it_is_ready(name: str) -> None:
    services = project(name)["services"]
    has_check = {key for key, service in services.items() if "test" in service.get("healthcheck", {})}
    has_check |= {"gatepost"} if read((DEPLOY / "docker" / "Dockerfile").read_text())[-1].all("HEALTHCHECK") else set()
    waits = {
        (target, how["condition"])
        for each in services.values()
        for target, how in each.get("depends_on", {}).items()
        if how["condition"] == "service_healthy"
    }
    assert waits
    assert {target for target, _ in waits} <= has_check


def test_three_replicas_start_once_the_store_was_migrated() -> None:
    services = project("postgresql")["services"]
    assert services["gatepost"]["deploy"] == {"replicas": 3}
    assert services["gatepost"]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert services["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert services["migrate"]["command"] == ["store", "migrate"]
    assert services["migrate"]["environment"] == services["gatepost"]["environment"]


def test_nobody_but_the_servers_reaches_the_database() -> None:
    whole = project("postgresql")
    assert whole["networks"]["back"] == {"internal": True}
    assert whole["services"]["database"]["networks"] == ["back"]
    assert sorted(key for key, each in whole["services"].items() if "back" in each["networks"]) == [
        "database",
        "gatepost",
        "migrate",
    ]
