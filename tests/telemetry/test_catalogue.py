"""The documentation, the dashboard and the alert rules name metrics and labels that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gatepost.oauth.audit import AuditEvent, Outcome
from gatepost.oauth.reasons import Reason
from gatepost.telemetry.catalogue import METRICS, WORKER_LABEL, Kind, Metric
from tests.telemetry.promql import selectors_of

REPOSITORY = Path(__file__).parents[2]
DASHBOARD = REPOSITORY / "deploy/grafana/gatepost.json"
ALERTS = REPOSITORY / "deploy/prometheus/alerts.yml"
OF_THE_PROCESS = {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"}
"""What prometheus_client says of a process; docs/observability.md names them."""
OF_PROMETHEUS = {"job", "instance"}
"""Labels that a scrape adds."""
VALUES = {
    "event": {event.value for event in AuditEvent},
    "outcome": {outcome.value for outcome in Outcome} | {"unavailable"},
    "reason": {reason.value for reason in Reason},
    "status": {"1xx", "2xx", "3xx", "4xx", "5xx"},
    "state": {"used", "idle", "limit"},
    "cause": {"start", "replacement", "death"},
    "mcp_method_name": {"tools/call"},
}
"""What labels that are compared with a word may be."""


def panels() -> list[dict[str, Any]]:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression of the dashboard and of the alert rules, by what it is of."""
    for panel in panels():
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"].replace("$__rate_interval", "1m")
    text = ALERTS.read_text(encoding="utf-8")
    yield from re.findall(r"- alert: (\w+)\n +expr: \|\n((?: {10}.*\n)+)", text)


def series() -> dict[str, tuple[set[str], str]]:
    """The names that Prometheus sees, each with its labels."""
    found = {name: ({WORKER_LABEL}, "gauge") for name in OF_THE_PROCESS}
    for metric in METRICS:
        labels = {label.replace(".", "_") for label in metric.labels} | {WORKER_LABEL}
        if metric.kind is Kind.HISTOGRAM:
            found[f"{metric.prometheus_name}_bucket"] = (labels | {"le"}, "bucket")
            found[f"{metric.prometheus_name}_sum"] = found[f"{metric.prometheus_name}_count"] = (labels, "counter")
        else:
            found[metric.prometheus_name] = (labels, "gauge" if metric.kind is Kind.GAUGE else "counter")
    return found


EXPRESSIONS = dict(expressions())


def test_the_page_lists_every_metric_with_its_kind_unit_labels_and_description() -> None:
    def row(metric: Metric) -> str:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        return f"| `{metric.name}` | {metric.kind} | `{metric.unit}` | {labels} | {metric.description} |"

    page = (REPOSITORY / "docs/observability.md").read_text(encoding="utf-8")
    table = page.partition("## Figures")[2].partition("\n## ")[0]
    rows = [
        line
        for line in table.splitlines()
        if re.match(r"\| `(?:mcp|gatepost)\.[a-z._]+` \| (?:counter|gauge|histogram|observed)", line)
    ]
    assert rows == [row(metric) for metric in METRICS]


def test_names_and_units_are_of_the_form_that_prometheus_makes_of_them() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"(?:mcp\.server|gatepost)(?:\.[a-z]+)+", metric.name), metric
        assert metric.unit == "s" if metric.kind is Kind.HISTOGRAM else re.fullmatch(r"\{[a-z]+\}", metric.unit), metric
        assert bool(metric.buckets) is (metric.kind is Kind.HISTOGRAM), metric
        assert len(set(metric.labels)) == len(metric.labels), metric
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_the_dashboard_and_the_rules_have_expressions() -> None:
    assert len(panels()) > 25
    assert len(EXPRESSIONS) == sum(len(panel["targets"]) for panel in panels()) + ALERTS.read_text("utf-8").count(
        "- alert:"
    )
    assert all(panel["targets"] for panel in panels())


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_asks_for_metrics_and_labels_that_there_are(name: str) -> None:
    there = series()
    selectors, grouped = selectors_of(EXPRESSIONS[name])
    assert selectors
    known = set[str]()
    for metric, matchers, is_ranged in selectors:
        assert metric in there, f"{metric} is no metric"
        labels, kind = there[metric]
        # A counter or bucket that is not asked for its rate only ever grows; a gauge has none.
        assert is_ranged is (kind != "gauge" or metric == "process_cpu_seconds_total"), metric
        known |= labels | OF_PROMETHEUS
        for label, operator, value in matchers:
            assert label in labels | OF_PROMETHEUS, f"{metric} has no label {label}"
            if label in VALUES and value and operator in {"=", "=~"}:
                assert set(value.split("|")) <= VALUES[label], value
    assert grouped <= known


def test_every_metric_that_is_no_detail_is_on_the_dashboard() -> None:
    shown = {metric for name, text in EXPRESSIONS.items() for metric, _, _ in selectors_of(text)[0]}
    bases = {re.sub(r"_(?:bucket|count|sum)$", "", metric) for metric in shown}
    assert {metric.prometheus_name for metric in METRICS} - bases == set()


def test_panels_stand_beside_each_other_and_have_ids_of_their_own() -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert 0 <= place["x"] <= place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} lies on {taken[x, y]}"
                taken[x, y] = panel["title"]
