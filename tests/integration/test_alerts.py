"""The shipped alert rules: well-formed, of metrics that exist, each with a case in which it fires."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pages

ROOT = Path(__file__).parents[2]
RULES = ROOT / "helm/pgsluice/files/alerts.yml"
CASES = ROOT / "tests/alerts/alerts_test.yml"


def promtool(*words: str | Path) -> None:
    result = subprocess.run(["promtool", *words], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_rules_are_well_formed() -> None:
    promtool("check", "rules", "--lint=all", RULES)


def test_rules_fire_when_they_should() -> None:
    promtool("test", "rules", CASES)


def test_each_alert_leads_to_a_section() -> None:
    """Which then names a metric, a view and a command."""
    books = re.findall(r"- alert: (?:.|\n)*?runbook_url: docs/troubleshooting\.md#([\w-]+)\n", RULES.read_text())
    assert len(books) == len(re.findall(r"- alert: ", RULES.read_text()))
    assert set(books) <= pages.anchors("docs/troubleshooting.md")
    sections = re.split(r"^## ", pages.read("docs/troubleshooting.md"), flags=re.M)[1:]
    looked_at = {
        re.sub(r"[^\w -]", "", section.splitlines()[0].lower()).replace(" ", "-"): re.findall(
            r"^\| (metric|view|command) \|", section, re.M
        )
        for section in sections
    }
    assert all(looked_at[book] == ["metric", "view", "command"] for book in books)


def test_each_alert_has_a_case() -> None:
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text())
    cases = re.findall(r"alertname: (\w+)\n +exp_alerts:\n", CASES.read_text())
    assert len(alerts) == len(set(alerts)) > 0
    assert set(alerts) == set(cases)
