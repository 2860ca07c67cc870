"""compose.yaml and the Dockerfile, as far as can be told without Docker; their schemas are looked at by `./dev image`."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from sink import clean_environment, sink_program

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


def names(entries: list[Any]) -> set[str]:
    return {entry if isinstance(entry, str) else entry["source"] for entry in entries}


def test_what_is_named_is_there(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for service in services.values():
        assert names(service.get("configs", [])) <= compose["configs"].keys()
        assert names(service.get("secrets", [])) <= compose["secrets"].keys()
        assert service.get("depends_on", {}).keys() <= services.keys()
        for name, condition in service.get("depends_on", {}).items():
            assert condition["condition"] != "service_healthy" or "healthcheck" in services[name]
    files = [config["file"] for config in compose["configs"].values() if "file" in config]
    assert files and [name for name in files if not (ROOT / name).is_file()] == []


def test_the_settings_of_the_sink_are_right(compose: dict[str, Any], tmp_path: Path) -> None:
    """But for the file of the secret, which is here another one."""
    (tmp_path / "secret").write_text("secret")
    env = {name: str(value) for name, value in compose["services"]["sink"]["environment"].items()}
    env["PGPASSWORD_FILE"] = str(tmp_path / "secret")
    argv = [str(sink_program()), "config"]
    done = subprocess.run(argv, env={**clean_environment(), **env}, capture_output=True, text=True, timeout=10)
    assert (done.returncode, done.stderr) == (0, "")


def test_prometheus_takes_its_configuration(compose: dict[str, Any], tmp_path: Path) -> None:
    """And reads the sink at the port where it listens."""
    configs = compose["configs"]
    (tmp_path / "prometheus.yml").write_text(configs["prometheus"]["content"])
    (tmp_path / "alerts.yml").write_text((ROOT / configs["alerts"]["file"]).read_text())
    argv = ["promtool", "check", "config", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sink:8080" in configs["prometheus"]["content"]
    assert compose["services"]["sink"]["ports"] == ["127.0.0.1:8080:8080"]


def test_grafana_takes_its_configuration(compose: dict[str, Any]) -> None:
    configs = compose["configs"]
    (source,) = yaml.safe_load(configs["datasource"]["content"])["datasources"]
    assert source["type"] == "prometheus" and source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load(configs["dashboards"]["content"])["providers"]
    (target,) = [c["target"] for c in compose["services"]["grafana"]["configs"] if c["source"] == "dashboard"]
    assert str(Path(target).parent) == provider["options"]["path"]
    json.loads((ROOT / configs["dashboard"]["file"]).read_text())


def test_the_image_starts_what_there_is() -> None:
    text = (ROOT / "Dockerfile").read_text()
    asks = json.loads(re.search(r"^HEALTHCHECK .*CMD (\[.*\])$", text, re.MULTILINE)[1])  # type: ignore[index]
    starts = json.loads(re.search(r"^ENTRYPOINT (\[.*\])$", text, re.MULTILINE)[1])  # type: ignore[index]
    starts += json.loads(re.search(r"^CMD (\[.*\])$", text, re.MULTILINE)[1])  # type: ignore[index]
    for argv in (asks, starts):
        assert argv[0] == "/usr/bin/pgsluice"
        done = subprocess.run([str(sink_program()), argv[1], "--help"], capture_output=True, text=True, timeout=10)
        assert done.returncode == 0 and all(option in done.stdout for option in argv[2:])
