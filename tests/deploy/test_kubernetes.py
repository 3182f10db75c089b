"""The Kubernetes manifests: valid by Kubernetes' own schemas, consistent, and right for Gatepost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped] # it ships no types
import pytest

from gatepost.configuration.deployment import resolve_deployment
from gatepost.configuration.settings import load_settings
from gatepost.web.site.health import PROBE_PATHS
from tests.deploy.manifests import AFTER_CALLS, DEPLOY, documents, of_the_image, with_secrets
from tools.image.dockerfile import read

FOLDER = DEPLOY / "kubernetes"
FILES = sorted(path.name for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml")
OLDEST = "1.30"
"""The first version in which preStop can sleep."""


def all_of(kind: str) -> list[dict[str, Any]]:
    return [each for file in FILES for each in documents(FOLDER / file) if each["kind"] == kind]


def only(kind: str) -> dict[str, Any]:
    (found,) = all_of(kind)
    return found


def pod() -> dict[str, Any]:
    spec: dict[str, Any] = only("Deployment")["spec"]["template"]["spec"]
    return spec


def container() -> dict[str, Any]:
    (found,) = pod()["containers"]
    return found  # type: ignore[no-any-return] # YAML


def settings() -> dict[str, str]:
    found: dict[str, str] = next(each for each in all_of("ConfigMap") if each["metadata"]["name"] == "gatepost")["data"]
    return found


@pytest.mark.parametrize("version", [OLDEST, "latest"])
@pytest.mark.parametrize("file", FILES)
def test_a_manifest_is_valid_and_has_no_unknown_field(file: str, version: str) -> None:
    desired = kubernetes_validate.latest_version() if version == "latest" else version
    for each in documents(FOLDER / file):
        kubernetes_validate.validate(each, desired, strict=True)


def test_a_field_that_kubernetes_does_not_know_is_noticed() -> None:
    deployment = only("Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, OLDEST, strict=True)


def test_the_settings_in_kubernetes_make_a_public_server_without_a_warning(tmp_path: Path) -> None:
    given = load_settings(with_secrets({**of_the_image(), **settings()}, tmp_path), env_file=None)
    assert resolve_deployment(given, is_single_user=False).public_url == "https://mcp.example.com"
    assert given.warnings == ()


def test_every_object_that_is_named_in_a_manifest_is_there() -> None:
    names = {(each["kind"], each["metadata"]["name"]) for file in FILES for each in documents(FOLDER / file)}
    for each in (*pod()["initContainers"], container()):
        assert {("ConfigMap", source["configMapRef"]["name"]) for source in each["envFrom"]} <= names
    assert ("ConfigMap", pod()["volumes"][1]["configMap"]["name"]) in names
    assert ("ServiceAccount", pod()["serviceAccountName"]) in names
    rule = only("Ingress")["spec"]["rules"][0]
    assert ("Service", rule["http"]["paths"][0]["backend"]["service"]["name"]) in names
    assert rule["host"] == settings()["MCP_PUBLIC_URL"].removeprefix("https://")
    assert only("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == only("Deployment")["metadata"]["name"]


def test_secrets_are_files_of_a_secret_that_no_manifest_holds() -> None:
    assert all_of("Secret") == []
    (secret,) = (volume["secret"]["secretName"] for volume in pod()["volumes"] if "secret" in volume)
    assert secret == "gatepost"
    (place,) = (mount["mountPath"] for mount in container()["volumeMounts"] if mount["name"] == "secrets")
    files = [value for name, value in settings().items() if name.endswith("_FILE")]
    assert files == [f"{place}/database-password", f"{place}/sealing-keys"]


def test_every_selector_finds_the_pods() -> None:
    labels = only("Deployment")["spec"]["template"]["metadata"]["labels"]
    spread = pod()["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"]
    assert labels == {"app.kubernetes.io/name": "gatepost"}
    assert only("Deployment")["spec"]["selector"]["matchLabels"] == labels == spread
    assert only("Service")["spec"]["selector"] == labels
    assert only("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert only("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels


def test_a_pod_is_confined() -> None:
    image = read((DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8"))[-1]
    uid, gid = (int(part) for part in image.one("USER").text.split(":"))
    assert pod()["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": uid,
        "runAsGroup": gid,
        "fsGroup": gid,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod()["automountServiceAccountToken"] is False
    for each in (*pod()["initContainers"], container()):
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_a_pod_is_killed_only_after_its_calls_have_ended() -> None:
    pause = container()["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod()["terminationGracePeriodSeconds"] > pause + int(settings()["MCP_SHUTDOWN_SECONDS"]) + AFTER_CALLS


def test_probes_ask_what_is_answered_to_a_prober_by_address() -> None:
    probes = {name: each["httpGet"] for name, each in container().items() if name.endswith("Probe")}
    assert probes == {
        "startupProbe": {"path": "/healthz", "port": "http"},
        "readinessProbe": {"path": "/health", "port": "http"},
        "livenessProbe": {"path": "/health", "port": "http"},
    }
    assert {probe["path"] for probe in probes.values()} == PROBE_PATHS


def test_the_store_is_migrated_before_a_pod_serves() -> None:
    (migrate,) = pod()["initContainers"]
    assert migrate["args"] == ["store", "migrate"]
    assert (migrate["image"], migrate["envFrom"]) == (container()["image"], container()["envFrom"])


def test_a_rollout_and_a_drain_leave_servers() -> None:
    spec = only("Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert only("PodDisruptionBudget")["spec"]["maxUnavailable"] < spec["replicas"]
    assert only("HorizontalPodAutoscaler")["spec"]["minReplicas"] == spec["replicas"]


def test_ports_have_one_name_everywhere() -> None:
    assert container()["ports"] == [{"name": "http", "containerPort": 8000}]
    assert only("Service")["spec"]["ports"][0]["targetPort"] == "http"
    assert only("NetworkPolicy")["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": "http"}]


def test_the_code_in_the_manifest_is_the_example_beside_it() -> None:
    (code,) = (each["data"]["server.py"] for each in all_of("ConfigMap") if "server.py" in each["data"])
    assert code == (DEPLOY / "server.py").read_text(encoding="utf-8")


def test_the_kustomization_lists_every_manifest_but_the_optional_one() -> None:
    (kustomization,) = documents(FOLDER / "kustomization.yaml")
    assert sorted(kustomization["resources"]) == [file for file in FILES if file != "autoscaler.yaml"]
