"""A real Prometheus with the shipped alert rules, for who wants to see them fire.

    with Prometheus({"orders": ["127.0.0.1:8080"]}, scale=60) as prometheus:
        prometheus.firing()  # {("PgsluiceAbsent", "")}

The rules wait for minutes, and look back for as long. Here every duration of the shipped file (`for:`,
`interval:` and those in [brackets]) is divided by `scale`, by which five minutes become five seconds; the
expressions and their thresholds stay as they are.
"""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Mapping, Sequence

from process import Child, TemporaryDirectory, free_port, tail
from wait import wait_until

RULES = Path(__file__).resolve().parents[2] / "helm/pgsluice/files/alerts.yml"
INTERVAL_MS = 500
UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000}
DURATION = re.compile(r"(?P<before>\bfor: |\binterval: |\[)(?P<number>\d+)(?P<unit>[smh])\b")


def scaled(rules: str, scale: int) -> str:
    """The rules with every duration divided."""

    def divide(match: re.Match[str]) -> str:
        milliseconds = int(match["number"]) * UNITS_MS[match["unit"]] // scale
        return f"{match['before']}{milliseconds}ms"

    return DURATION.sub(divide, rules)


class Prometheus:
    """It scrapes targets that are known beforehand, whether they are there yet or not."""

    def __init__(self, jobs: Mapping[str, Sequence[str]], scale: int) -> None:
        """`jobs`: addresses by the job they belong to; each is also its own `pod`."""
        self._temporary = TemporaryDirectory("prometheus")
        self._log = self._temporary.path / "prometheus.log"
        self._port = free_port()
        (self._temporary.path / "alerts.yml").write_text(scaled(RULES.read_text(), scale))
        config = self._temporary.path / "prometheus.json"  # which is YAML, too
        config.write_text(json.dumps(configuration(jobs)))
        self._child = Child(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={self._temporary.path / 'data'}",
                f"--web.listen-address=127.0.0.1:{self._port}",
                "--rules.alert.resend-delay=1s",
            ],
            self._log,
        )

    def __enter__(self) -> "Prometheus":
        wait_until(self._is_ready, 30, lambda: f"Prometheus\n{tail(self._log)}")
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._temporary.close()

    def alerts(self) -> list[dict[str, Any]]:
        """Those that fire, or are about to (`state`)."""
        alerts: list[dict[str, Any]] = self._get("alerts")["alerts"]
        return alerts

    def firing(self) -> set[tuple[str, str]]:
        """Name and job of each alert that fires; one about nobody has no job."""
        return {
            (alert["labels"]["alertname"], alert["labels"].get("job", ""))
            for alert in self.alerts()
            if alert["state"] == "firing"
        }

    def query(self, expression: str) -> list[dict[str, Any]]:
        """An instant query's samples."""
        samples: list[dict[str, Any]] = self._get("query", query=expression)["result"]
        return samples

    def rules(self) -> list[dict[str, Any]]:
        """Every rule as it was loaded, with `health` and `lastError`."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, what: str, **parameters: str) -> Any:
        url = f"http://127.0.0.1:{self._port}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=30) as response:
            return json.load(response)["data"]

    def _is_ready(self) -> bool:
        self._child.check_alive()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/-/ready", timeout=5):
                return True
        except OSError:
            return False


def configuration(jobs: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    return {
        "global": {
            "scrape_interval": f"{INTERVAL_MS}ms",
            "scrape_timeout": f"{INTERVAL_MS}ms",
            "evaluation_interval": f"{INTERVAL_MS}ms",
        },
        "rule_files": ["alerts.yml"],
        "scrape_configs": [
            {
                "job_name": job,
                "static_configs": [
                    {"targets": [address], "labels": {"namespace": "test", "pod": f"{job}-{i}"}}
                    for i, address in enumerate(addresses)
                ],
            }
            for job, addresses in jobs.items()
        ],
    }
