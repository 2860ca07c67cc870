"""What of the Helm chart can be told without helm: `./dev chart` renders it, and looks at what comes out."""

from __future__ import annotations

import ctypes.util
import json
import re
import sys
from ctypes import CDLL, POINTER, Structure, c_char_p, c_int
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "pgsluice"
sys.path.insert(0, str(ROOT / "helm"))

sys.path.insert(0, str(ROOT / "tests" / "chart"))

import generate  # noqa: E402
import manifest_rules  # noqa: E402
import rendered_from  # noqa: E402
from controllers import IndexedJob, Replicas, Sampler  # noqa: E402
from pods import Pod, PodCluster, expand  # noqa: E402
from wait import wait_until  # noqa: E402

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
TEMPLATES = {path.name: path.read_text() for path in sorted((CHART / "templates").iterdir())}
OPEN = ("config", "secrets", "files", "global", "behavior", "labels", "annotations", "metadata")


def resolved(schema: Any) -> Any:
    name = schema.get("$ref", "").rpartition("/")[2]
    return SCHEMA["definitions"][name] if name else schema


def closed_paths(schema: Any, path: str = "") -> Iterator[str]:
    """Each value that the schema names, down to where it is open."""
    for key, below in resolved(schema).get("properties", {}).items():
        if key not in OPEN and resolved(below).get("additionalProperties") is False:
            yield from closed_paths(below, f"{path}{key}.")
        yield path + key


def value_paths(values: Any, path: str = "") -> Iterator[str]:
    for key, below in values.items():
        yield path + key
        if isinstance(below, dict) and key not in OPEN:
            yield from value_paths(below, f"{path}{key}.")


def test_what_is_generated_is_up_to_date() -> None:
    assert generate.stale() == [], "python3 helm/generate.py writes them"


def test_each_value_is_in_the_schema_and_told_of() -> None:
    told = {path for path, _ in generate.documented((CHART / "values.yaml").read_text())}
    known = {path for path in closed_paths(SCHEMA)}

    for path in value_paths(VALUES):
        parents = [path.rsplit(".", count)[0] for count in range(path.count(".") + 1)]
        assert any(parent in known for parent in parents), f"values.schema.json does not know {path}"
        below = any(each.startswith(f"{path}.") for each in told)
        assert below or any(parent in told for parent in parents), f"{path} has no comment in values.yaml"


def test_each_value_is_used_and_each_use_is_a_value() -> None:
    text = "\n".join(TEMPLATES.values())
    used = set(re.findall(r"Values\.([A-Za-z.]+[A-Za-z])", text))

    for path in used:
        assert path.split(".")[0] in VALUES, f"the templates use {path}, which values.yaml does not have"
    by_name = {"nodeSelector", "tolerations", "affinity", "priorityClassName", "dnsConfig"}
    for key in VALUES:
        assert key in by_name or any(path.split(".")[0] == key for path in used), f"no template uses {key}"
        if resolved(SCHEMA["properties"][key]).get("additionalProperties") is False:
            for below in VALUES[key]:
                assert re.search(rf"\b{below}\b", text), f"no template uses {key}.{below}"


def test_the_versions_are_the_programs() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = re.search(r"project\(pgsluice VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())

    assert project is not None
    assert chart["appVersion"] == project[1]
    assert chart["version"] == project[1]


class Option(Structure):
    """PQconninfoOption, as far as it goes."""

    _fields_ = [(name, c_char_p) for name in ("keyword", "envvar", "compiled", "val", "label", "dispchar")]
    _fields_ += [("dispsize", c_int)]


def test_every_variable_of_libpq_is_in_the_schema() -> None:
    library = CDLL(ctypes.util.find_library("pq") or "libpq.so.5")
    library.PQconndefaults.restype = POINTER(Option)
    options = library.PQconndefaults()
    known = SCHEMA["definitions"]["config"]["properties"]
    variables = []

    while options[len(variables)].keyword:
        variables.append((options[len(variables)].envvar or b"").decode())
    assert len(variables) > 20
    assert [name for name in variables if name and name not in known] == []


def test_every_setting_of_ours_is_in_the_schema() -> None:
    table = (ROOT / "sink" / "config_options.c").read_text()
    names = set(re.findall(r'^    \{"([A-Z_]+)", GROUP_', table, re.M))

    assert len(names) > 25
    assert names - set(SCHEMA["definitions"]["config"]["properties"]) == set()


def is_shown(refusal: str, patterns: str) -> bool:
    """Whether the words of a message that stand there whatever the values are, or three of them, are expected."""
    constants = re.split(r"\{\{.*?\}\}", refusal)
    runs = [words.split()[at : at + 3] for words in constants for at in range(len(words.split()) - 2)]
    whole = ".+".join(map(re.escape, constants))
    return any(" ".join(run) in patterns for run in runs) or bool(re.search(whole, patterns))


REFUSALS = re.findall(r"^- (.+)$", TEMPLATES["_checks.tpl"], re.M)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_each_refusal_has_a_unit_test(refusal: str) -> None:
    tests = "\n".join(path.read_text() for path in (CHART / "tests").glob("*_test.yaml"))
    patterns = " ".join(re.findall(r'errorPattern: "(.*?)"\}', tests)).replace("\\", "")

    assert is_shown(refusal, patterns), refusal


def rendered(name: str) -> list[Any]:
    path = ROOT / "tests" / "chart" / "rendered" / f"{name}.yaml"
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def find(manifests: list[Any], kind: str, ending: str) -> Any:
    return next(each for each in manifests if each["kind"] == kind and each["metadata"]["name"].endswith(ending))


def test_what_the_tests_run_is_what_the_templates_say() -> None:
    assert rendered_from.DIGEST.read_text() == rendered_from.digest(), "./dev chart golden renders it anew"


@pytest.mark.parametrize("name", ("stream", "backfill"))
def test_what_is_rendered_keeps_the_rules(name: str) -> None:
    assert manifest_rules.broken_rules(rendered(name)) == []


ACTIONS = {64: "FailJob", 65: "FailIndex", 69: "Count", 70: "Count", 75: "Count", 78: "FailJob", 137: "Count"}


@pytest.mark.parametrize("code, action", ACTIONS.items())
def test_what_comes_of_a_backfills_pod(code: int, action: str) -> None:
    """By its exit code, unless it was evicted; a pod that is replaced goes on where the former one was."""
    manifests = rendered("backfill")
    cluster = PodCluster(manifests, {"shop-app": {"username": "u", "password": "p"}}, {}, {})
    job = IndexedJob(cluster, cluster.find("Job", "backfill"))
    pod: Pod = cluster.pod(job.manifest)
    try:
        assert job.action(pod, code) == action
        job.disrupted.add(pod.name)
        assert job.action(pod, code) == "Ignore"
    finally:
        cluster.close()


def test_a_pod_that_can_not_be_ended_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = rendered("stream")
    cluster = PodCluster(manifests, {"shop-app": {"username": "u", "password": "p"}}, {}, {})
    replicas = Replicas(cluster, cluster.find("Deployment", "sink"))
    replicas.pods = [cluster.pod(replicas.manifest)]
    try:
        with pytest.raises(AssertionError, match="was not started"):
            replicas.scale(0)
        assert [(pod.ended, pod.lost) for pod in replicas.former] == [(None, False)]
    finally:
        cluster.close()


def test_figures_that_can_not_be_read_are_noticed() -> None:
    asked = []

    def read() -> tuple[float, ...]:
        asked.append(True)
        raise OSError("nobody answers")

    sampler = Sampler(read, interval_s=0.0)
    wait_until(lambda: asked, 10, "it is read")
    with pytest.raises(OSError, match="nobody answers"):
        sampler.stop()


def test_variables_are_expanded_as_kubernetes_does_it() -> None:
    assert expand("--index $(I) $$(I) $(J) $I", {"I": "3"}) == "--index 3 $(I) $(J) $I"


def test_names_that_are_there_twice_are_noticed() -> None:
    manifests = rendered("stream")
    pod = find(manifests, "Deployment", "pgsluice")["spec"]["template"]["spec"]
    pod["containers"][0]["env"].append({"name": "PGHOST", "value": "else"})
    pod["volumes"].append({"name": "files"})

    assert manifest_rules.broken_rules([*manifests, manifests[0]])[0].endswith("is there twice")
    assert [rule.partition(": ")[2] for rule in manifest_rules.broken_rules(manifests)] == [
        "volumes has files twice",
        "pgsluice's env has PGHOST twice",
    ]


def test_a_hook_that_needs_what_comes_later_is_noticed() -> None:
    manifests = rendered("stream")
    early = find(manifests, "ConfigMap", "-migrate-files")

    early["metadata"]["annotations"][manifest_rules.WEIGHT] = "0"
    assert "made no earlier" in manifest_rules.broken_rules(manifests)[0]
    del early["metadata"]["annotations"]
    assert "made only after it" in manifest_rules.broken_rules(manifests)[0]


class NoRepeats(yaml.SafeLoader):
    """Says so when a mapping has a key twice, of which YAML's reader would take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"{node.start_mark}: a key is there twice"
        return super().construct_mapping(node, deep)


YAML_FILES = [
    path for folder in (CHART, CHART / "ci", CHART / "files", CHART / "tests") for path in sorted(folder.glob("*.y*ml"))
]


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.name)
def test_the_files_are_tidy(path: Path) -> None:
    text = path.read_text()

    assert list(yaml.load_all(text, NoRepeats)), "it is empty"
    assert not re.search(r"[ \t]$", text, re.M), "a line ends with blanks"
    assert "\t" not in text, "it has tabs"
    assert text.endswith("\n") and not text.endswith("\n\n")
