"""The shipped Grafana dashboard, as tests see it: panels, and queries as Grafana would send them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Iterator, NamedTuple

FILE = Path(__file__).resolve().parents[2] / "helm/pgsluice/files/dashboard.json"
GRAFANAS_OWN = {"$__rate_interval": "10s", "$__range": "1m"}


class Query(NamedTuple):
    panel: str
    expression: str


def load() -> dict[str, Any]:
    dashboard: dict[str, Any] = json.loads(FILE.read_text())
    return dashboard


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """But rows: what stands in those that are collapsed, too."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def queries(dashboard: dict[str, Any]) -> Iterator[Query]:
    for panel in panels(dashboard):
        for target in panel.get("targets", []):
            yield Query(panel["title"], target["expr"])


def substitute(dashboard: dict[str, Any], expression: str) -> str:
    """With every variable at All."""
    values = {f"${v['name']}": v["allValue"] for v in dashboard["templating"]["list"] if "allValue" in v}
    for name, value in {**GRAFANAS_OWN, **values}.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def metrics(expression: str) -> set[str]:
    """The families that are named; of a histogram's series, the histogram."""
    names = re.findall(r"\b(?:pgsluice|process)_[a-z_]+", re.sub(r'"[^"]*"', "", expression))
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
