"""The shipped alert rules: well-formed, of metrics that exist, each with a case in which it fires."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
RULES = ROOT / "helm/pgsluice/files/alerts.yml"
CASES = ROOT / "tests/alerts/alerts_test.yml"


def promtool(*words: str | Path) -> None:
    result = subprocess.run(
        ["promtool", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_rules_are_well_formed() -> None:
    promtool("check", "rules", "--lint=all", RULES)


def test_rules_fire_when_they_should() -> None:
    promtool("test", "rules", CASES)


def test_each_alert_has_a_case() -> None:
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text())
    cases = re.findall(r"alertname: (\w+)\n +exp_alerts:\n", CASES.read_text())
    assert len(alerts) == len(set(alerts)) > 0
    assert set(alerts) == set(cases)
