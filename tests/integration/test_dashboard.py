"""The shipped Grafana dashboard: what Grafana's own linter would ask of it, and that it is what its generator writes.

That every query gives data is seen in e2e/test_alerts.py, in a Prometheus.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dashboard import FILE, load, metrics, panels, queries

ROOT = Path(__file__).parents[2]
VARIABLES = ["datasource", "namespace", "job", "pod", "instance", "topic"]
MATCHERS = ('namespace=~"$namespace"', 'job=~"$job"', 'pod=~"$pod"', 'instance=~"$instance"')
COUNTED_TO_AN_END = {"pgsluice_backfill_records_total"}  # whose value itself says how far it is
OVER_TIME = re.compile(r"\b(rate|increase|changes)\((\w+)\{[^}]*\}\[([^\]]+)\]\)")


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    return load()


def test_it_is_what_its_generator_writes() -> None:
    """To renew it: python3 helm/dashboard.py > helm/pgsluice/files/dashboard.json"""
    written = subprocess.run([sys.executable, ROOT / "helm/dashboard.py"], capture_output=True, check=True)
    assert FILE.read_bytes() == written.stdout


def test_variables(dashboard: dict[str, Any]) -> None:
    """The data source is one; the others are read from it anew with each time range, and can all be chosen."""
    datasource, *others = dashboard["templating"]["list"]
    assert [variable["name"] for variable in (datasource, *others)] == VARIABLES
    assert (datasource["type"], datasource["query"]) == ("datasource", "prometheus")
    for variable in others:
        assert variable["datasource"]["uid"] == "${datasource}"
        assert variable["multi"] and variable["includeAll"] and variable["allValue"] in (".+", ".*")
        assert variable["refresh"] == 2
        assert variable["label"]


def test_it_can_not_be_edited_in_place(dashboard: dict[str, Any]) -> None:
    assert dashboard["editable"] is False
    assert dashboard["uid"] and dashboard["title"]


def test_panels(dashboard: dict[str, Any]) -> None:
    """Each has words, a unit and queries; none covers another."""
    cells: set[tuple[int, int]] = set()
    for panel in panels(dashboard):
        title = panel["title"]
        assert title and panel["description"].endswith("."), title
        assert panel["datasource"]["uid"] == "${datasource}", title
        assert panel["fieldConfig"]["defaults"]["unit"], title
        assert panel.get("targets") or panel["type"] == "alertlist", title
        place = panel["gridPos"]
        taken = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken and place["x"] + place["w"] <= 24, title
        cells |= taken
    titles = [panel["title"] for panel in panels(dashboard)]
    assert len(titles) == len(set(titles))
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_queries_are_scoped(dashboard: dict[str, Any]) -> None:
    """Every selector has every matcher: another's pgsluice is none of ours."""
    for title, expression in queries(dashboard):
        selectors = re.findall(r"\{([^}]*)\}", expression)
        assert len(selectors) == len(re.findall(r"\b(?:pgsluice|process)_\w+", expression)) > 0, title
        for selector in selectors:
            assert all(matcher in selector for matcher in MATCHERS), title


def test_counters_are_looked_at_over_time(dashboard: dict[str, Any]) -> None:
    """A rate over what Grafana takes for the interval; an increase also over the time shown."""
    for title, expression in queries(dashboard):
        looked_at = {name for _, name, _ in OVER_TIME.findall(expression)}
        counters = set(re.findall(r"\b\w+_(?:total|bucket)\b(?=\{)", expression))
        assert counters - COUNTED_TO_AN_END <= looked_at, title
        for function, _, window in OVER_TIME.findall(expression):
            allowed = {"$__rate_interval"} if function == "rate" else {"$__rate_interval", "$__range"}
            assert window in allowed, title


def test_the_metrics_that_alerts_look_at_are_shown(dashboard: dict[str, Any]) -> None:
    """Whoever is called by an alert sees its reason."""
    rules = (ROOT / "helm/pgsluice/files/alerts.yml").read_text()
    expressions = re.sub(r"^ *- record: .*|^ *(summary|runbook_url): .*|\S+:pgsluice\S+", "", rules, flags=re.M)
    alerted = metrics(expressions)
    shown = {name for _, expression in queries(dashboard) for name in metrics(expression)}
    assert alerted - shown == set()
