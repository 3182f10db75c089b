"""What the settings begin: nothing where they ask for nothing, and what is served is measured where they do."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from http.client import HTTPConnection
from typing import Any

import pytest
from opentelemetry import metrics, trace

from gatepost.assembly import telemetry
from gatepost.assembly.telemetry import observed_by
from gatepost.configuration.observability_section import host_and_port_of
from gatepost.configuration.settings import SettingsError, load_settings
from gatepost.observability import exporting as exporting_module
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.sql.sqlite import memory_store
from tests.attacks.installed import Installed, installed


@pytest.fixture(autouse=True)
def own_globals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the providers of this process as they are; they can be set once only."""
    monkeypatch.setattr(trace, "set_tracer_provider", lambda _provider: None)
    monkeypatch.setattr(metrics, "set_meter_provider", lambda _provider: None)


class _Beside:
    """A concern with some operations of another."""

    def __init__(self, concern: Any, others: Any) -> None:
        self._concern, self._others = concern, others

    def __getattr__(self, name: str) -> Any:
        return getattr(self._others, name, None) or getattr(self._concern, name)


def text_of(gatepost: Installed) -> str:
    exporting = gatepost.installation.core.observed.exporting
    assert exporting is not None
    return exporting.text("0").decode()


def value_of(text: str, metric: str, **labels: str) -> float:
    """The sum of the samples of a metric that have these labels."""
    samples = re.findall(rf"^{metric}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE)
    wanted = [f'{name}="{value}"' for name, value in labels.items()]
    return sum(float(value) for given, value in samples if all(each in given for each in wanted))


async def test_where_nothing_is_asked_for_nothing_is_measured_or_wrapped() -> None:
    async with installed() as gatepost:
        core = gatepost.installation.core
        assert (core.telemetry, core.observed.exporting) == (None, None)
        assert core.store is gatepost.store
        assert core.audit_trail.telemetry is None


def test_where_nothing_is_asked_for_nothing_of_opentelemetry_is_imported() -> None:
    script = (
        "import sys\nfrom gatepost import Server, create_app\n"
        "from gatepost.configuration.settings import load_settings\n"
        "create_app(Server('x'), settings=load_settings({'MCP_STORAGE_URL': 'memory:'}, env_file=None))\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'prometheus'))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    # FastAPI looks for the interface of OpenTelemetry by itself; neither the SDK nor an exporter is there.
    assert "sdk" not in done.stdout
    assert "exporter" not in done.stdout
    assert "prometheus" not in done.stdout


async def test_what_is_served_is_measured_and_shown_at_a_listener_of_its_own() -> None:
    async with installed(MCP_METRICS_LISTEN="127.0.0.1:0", MCP_REQUIRE_AUTH="true") as gatepost:
        await gatepost.token(grant_type="authorization_code")
        await gatepost.http.get("/healthz")
        await gatepost.http.post("/mcp", json={})
        text = text_of(gatepost)
        place = gatepost.installation.core.observed._own_place
        assert place is not None
        connection = HTTPConnection("127.0.0.1", place.listener.getsockname()[1], timeout=60)
        connection.request("GET", "/metrics")
        shown = connection.getresponse().read().decode()
        connection.close()
    ended = gatepost.installation.core.observed
    endpoint = {"endpoint": "/oauth/token"}
    assert value_of(text, "gatepost_endpoint_duration_seconds_count", **endpoint, method="POST", status="4xx") == 1
    assert value_of(text, "gatepost_refusals_total", **endpoint, reason="parameter_missing") == 1
    assert value_of(text, "gatepost_refusals_total", endpoint="mcp", reason="token_missing") == 1
    assert value_of(text, "gatepost_endpoint_duration_seconds_count", endpoint="/healthz", status="2xx") == 1
    assert value_of(text, "gatepost_store_operation_duration_seconds_count", operation="check", outcome="ok") == 1
    assert value_of(shown, "gatepost_refusals_total", **endpoint) == 1
    assert place.listener.fileno() == -1
    assert ended._own_place is None


async def test_a_store_that_is_down_is_counted() -> None:
    class Down:
        async def register_client(self, *_arguments: object, **_named: object) -> None:
            raise StoreUnavailable("down")

    whole = memory_store()
    store = replace(whole, clients=_Beside(whole.clients, Down()))
    async with installed(store=store, MCP_METRICS_LISTEN="127.0.0.1:0") as gatepost:
        client = {"redirect_uris": ["https://app.example/cb"], "client_name": "App"}
        assert (await gatepost.http.post("/oauth/register", json=client)).status_code == 503
        text = text_of(gatepost)
    assert value_of(text, "gatepost_refusals_total", endpoint="/oauth/register", reason="store_unavailable") == 1
    assert value_of(text, "gatepost_store_operation_duration_seconds_count", outcome="unavailable") >= 1
    assert value_of(text, "gatepost_endpoint_duration_seconds_count", endpoint="/oauth/register", status="5xx") == 1


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"MCP_METRICS_LISTEN": "0.0.0.0:9464"}, "set MCP_METRICS_TOKEN"),
        ({"MCP_METRICS_LISTEN": "metrics.example:9464"}, "set MCP_METRICS_TOKEN"),
        ({"MCP_METRICS_LISTEN": "[::]:9464", "MCP_METRICS_TOKEN": "short"}, "shorter than 24"),
    ],
)
async def test_figures_are_never_public_by_accident(variables: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        async with installed(**variables):
            pass


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:9464", ("127.0.0.1", 9464)), ("[::1]:0", ("::1", 0)), ("localhost:1", ("localhost", 1))],
)
def test_where_figures_are_shown_is_host_and_port(text: str, address: tuple[str, int]) -> None:
    assert host_and_port_of(text) == address
    assert load_settings({"MCP_METRICS_LISTEN": text}, env_file=None).observability.metrics_address == address


@pytest.mark.parametrize(
    "text", ["9464", ":9464", "127.0.0.1", "127.0.0.1:", "::1:9464", "[::1]", "a:99999", "a:-1", "[a]:1"]
)
def test_anything_else_is_no_place_for_figures(text: str) -> None:
    with pytest.raises(SettingsError, match="MCP_METRICS_LISTEN takes an address and a port"):
        load_settings({"MCP_METRICS_LISTEN": text}, env_file=None)


def test_a_protocol_that_is_not_spoken_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(SettingsError, match="OTEL_EXPORTER_OTLP_PROTOCOL takes http/protobuf here"):
        observed_by(load_settings({"MCP_TELEMETRY": "otlp"}, env_file=None))


def test_a_variable_of_opentelemetry_that_it_does_not_take_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    with pytest.raises(SettingsError, match="variable of OpenTelemetry"):
        observed_by(load_settings({"MCP_TELEMETRY": "otlp"}, env_file=None))


def test_where_opentelemetry_is_not_installed_the_start_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gatepost.observability.exporting", None)
    for name, value in (("MCP_TELEMETRY", "otlp"), ("MCP_METRICS_LISTEN", "127.0.0.1:0")):
        with pytest.raises(SettingsError, match=rf'{name} needs OpenTelemetry: pip install "gatepost\[otel\]"'):
            observed_by(load_settings({name: value}, env_file=None))


def test_the_service_has_a_name_that_the_operator_may_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    resource: Any = exporting_module._resource()
    assert resource.attributes["service.name"] == "gatepost"
    assert len(resource.attributes["service.instance.id"]) == 36
    monkeypatch.setenv("OTEL_SERVICE_NAME", "notes")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=one,deployment.environment.name=test")
    resource = exporting_module._resource()
    assert {name: resource.attributes[name] for name in ("service.name", "service.instance.id")} == {
        "service.name": "notes",
        "service.instance.id": "one",
    }


@pytest.mark.parametrize("is_own_server", [True, False])
async def test_an_address_that_is_taken_is_said_and_ends_our_own_server_alone(
    is_own_server: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with installed(MCP_METRICS_LISTEN="127.0.0.1:0") as gatepost:
        place = gatepost.installation.core.observed._own_place
        assert place is not None
        address = f"127.0.0.1:{place.listener.getsockname()[1]}"
        observed = observed_by(load_settings({"MCP_METRICS_LISTEN": address}, env_file=None))
        observed.is_own_server = is_own_server
        if is_own_server:
            with pytest.raises(SettingsError, match="cannot be listened on: Address already in use"):
                observed.open()
        else:
            observed.open()
            assert "This process shows no figures" in caplog.text
        await observed.close()


async def test_the_banner_says_where_figures_are_and_where_they_are_sent() -> None:
    async with installed(MCP_METRICS_LISTEN="127.0.0.1:0", MCP_METRICS_TOKEN="a-scrapers-token") as gatepost:
        observed = gatepost.installation.core.observed
        assert observed.exporting is not None
        assert observed._own_place is not None
        port = observed._own_place.listener.getsockname()[1]
        observed.exporting = replace(
            observed.exporting, collectors={"https://a.example": ["traces"], "http://b.example:4318": ["metrics"]}
        )
        lines = gatepost.installation.banner().splitlines()
    assert lines[-3:] == [
        f"  Metrics  http://127.0.0.1:{port}/metrics, for who sends MCP_METRICS_TOKEN",
        "  Sends    traces to https://a.example, which OpenTelemetry's variables name",
        "  Sends    metrics to http://b.example:4318, which OpenTelemetry's variables name",
    ]


@pytest.mark.parametrize(
    ("variables", "collector"),
    [
        ({}, "http://localhost:4318"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example"}, "https://collector.example"),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://me:hunter2@traces.example:4318/hunter2?key=hunter2",
            },
            "https://traces.example:4318",
        ),
    ],
)
def test_a_collector_is_named_without_what_may_be_a_credential(variables: dict[str, str], collector: str) -> None:
    assert exporting_module.collector_of("traces", variables) == collector


async def test_a_banner_without_figures_says_nothing_of_them() -> None:
    async with installed() as gatepost:
        assert not re.search("Metrics|Sends", gatepost.installation.banner())


def test_a_process_of_one_client_shows_no_figures() -> None:
    settings = load_settings({"MCP_METRICS_LISTEN": "127.0.0.1:0"}, env_file=None)
    assert observed_by(settings, shows_figures=False).telemetry is None
    assert telemetry.Observed(settings, None).telemetry is None
