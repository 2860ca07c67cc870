"""What no schema tells of a release's manifests: names twice, and hooks that need what is not there yet."""

from __future__ import annotations

from typing import Any, Iterable, Iterator, Mapping, Sequence

Manifest = Mapping[str, Any]
HOOK, WEIGHT = "helm.sh/hook", "helm.sh/hook-weight"


def name_of(manifest: Manifest) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def pod_spec(manifest: Manifest) -> Mapping[str, Any] | None:
    if manifest["kind"] in ("Deployment", "StatefulSet", "Job"):
        return dict(manifest["spec"]["template"]["spec"])
    return manifest["spec"] if manifest["kind"] == "Pod" else None


def containers(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*spec.get("initContainers", []), *spec["containers"]]


# --- Names twice ---------------------------------------------------------------------------------------------------


def repeated(names: Iterable[str]) -> set[str]:
    found = list(names)
    return {name for name in found if found.count(name) > 1}


def lists(manifest: Manifest) -> Iterator[tuple[str, list[str]]]:
    """Lists of a pod in which a server-side apply takes no name twice."""
    spec = pod_spec(manifest)
    if spec is None:
        return
    yield "containers", [each["name"] for each in containers(spec)]
    yield "volumes", [each["name"] for each in spec.get("volumes", [])]
    for container in containers(spec):
        yield f"{container['name']}'s env", [each["name"] for each in container.get("env", [])]
        yield f"{container['name']}'s mounts", [each["mountPath"] for each in container.get("volumeMounts", [])]


def find_repeats(manifests: Sequence[Manifest]) -> Iterator[str]:
    for name in repeated(map(name_of, manifests)):
        yield f"{name} is there twice"
    for manifest in manifests:
        for what, names in lists(manifest):
            for name in repeated(names):
                yield f"{name_of(manifest)}: {what} has {name} twice"


def find_unmounted(manifests: Sequence[Manifest]) -> Iterator[str]:
    for manifest in manifests:
        spec = pod_spec(manifest) or {"containers": []}
        volumes = {each["name"] for each in spec.get("volumes", [])}
        mounted = {mount["name"] for each in containers(spec) for mount in each.get("volumeMounts", [])}
        for volume in volumes ^ mounted:
            yield f"{name_of(manifest)}: {volume} is mounted and no volume, or the other way round"


# --- Hooks ---------------------------------------------------------------------------------------------------------


def is_early(manifest: Manifest) -> bool:
    return "pre-install" in manifest["metadata"].get("annotations", {}).get(HOOK, "")


def weight(manifest: Manifest) -> int:
    return int(manifest["metadata"]["annotations"].get(WEIGHT, "0"))


def needs(value: Any) -> Iterator[str]:
    """What a pod's spec refers to, as Kind/name."""
    if isinstance(value, list):
        for each in value:
            yield from needs(each)
    elif isinstance(value, dict):
        for key, below in value.items():
            if key in ("configMap", "configMapRef", "configMapKeyRef") and "name" in below:
                yield f"ConfigMap/{below['name']}"
            elif key in ("secret", "secretRef", "secretKeyRef"):
                yield f"Secret/{below.get('name') or below.get('secretName')}"
            elif key == "serviceAccountName":
                yield f"ServiceAccount/{below}"
            else:
                yield from needs(below)


def find_early_needs(manifests: Sequence[Manifest]) -> Iterator[str]:
    """A hook before the install may need what is a hook before it, or what is nothing of this release's."""
    late = {name_of(each) for each in manifests if not is_early(each)}
    early = {name_of(each): weight(each) for each in manifests if is_early(each)}
    for manifest in filter(is_early, manifests):
        for need in set(needs(pod_spec(manifest))):
            if need in early and early[need] >= weight(manifest):
                yield f"{name_of(manifest)} needs {need}, which is made no earlier"
            elif need in late and need not in early:
                yield f"{name_of(manifest)} needs {need}, which is made only after it"


def broken_rules(manifests: Sequence[Manifest]) -> list[str]:
    return [*find_repeats(manifests), *find_unmounted(manifests), *find_early_needs(manifests)]
