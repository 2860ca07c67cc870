"""The Helm chart, looked at from all sides.

./dev chart            lint, unit tests, schemas of each Kubernetes, Pod Security, what is generated
./dev chart golden     writes what helm renders for the tests that run it
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable, NamedTuple, Sequence

import chart_tools
import manifest_rules
import rendered_from
import yaml
from chart_tools import KUBERNETES, ROOT, Unavailable
from rendered_from import CHART, DIGEST, RENDERED

sys.path.insert(0, str(ROOT / "helm"))

import generate  # noqa: E402

NEWEST = KUBERNETES[-1]
BACKFILL_SINCE = "1.29.0"


class Failed(Exception):
    """A check that did not pass, and why."""


class Tools(NamedTuple):
    programs: Path
    schemas: Path

    def run(self, name: str, *arguments: object) -> str:
        words = [str(self.programs / name), *map(str, arguments)]
        result = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
        if result.returncode != 0:
            raise Failed(f"{name}: {result.stdout}{result.stderr}")
        return result.stdout

    def render(self, values: Path, kubernetes: str = NEWEST) -> str:
        return self.run("helm", "template", "sink", CHART, "-n", "data", "--kube-version", kubernetes, "-f", values)


# --- The checks ----------------------------------------------------------------------------------------------------


def check_lint(tools: Tools) -> str:
    for values in value_files():
        tools.run("helm", "lint", "--strict", CHART, "--kube-version", NEWEST, "-f", values)
    return f"{len(value_files())} files of values"


def check_units(tools: Tools) -> str:
    said = tools.run("helm-unittest", "--strict", CHART)
    found = re.search(r"Tests:\s+(.*)", said)
    return found[1] if found else said


def value_files() -> list[Path]:
    return sorted((CHART / "ci").glob("*-values.yaml"))


def is_refused(values: Path, kubernetes: str) -> bool:
    """A backfill is, where an index of a Job can not fail by itself."""
    return kubernetes < BACKFILL_SINCE and "mode: backfill" in values.read_text()


def render_all(tools: Tools, kubernetes: str, folder: Path) -> list[Path]:
    paths = []
    for values in value_files():
        if is_refused(values, kubernetes):
            check_refusal(tools, values, kubernetes)
            continue
        path = folder / f"{values.stem}.yaml"
        path.write_text(tools.render(values, kubernetes))
        paths.append(path)
    return paths


def check_refusal(tools: Tools, values: Path, kubernetes: str) -> None:
    try:
        tools.render(values, kubernetes)
    except Failed as failed:
        if "needs Kubernetes 1.29 or later" in str(failed):
            return
        raise
    raise Failed(f"{values.name} is not refused by Kubernetes {kubernetes}")


def conform(tools: Tools, kubernetes: str, paths: Sequence[Path]) -> str:
    kind = "{{.ResourceKind}}{{.KindSuffix}}.json"
    return tools.run(
        "kubeconform",
        "-strict",
        "-summary",
        *("-kubernetes-version", kubernetes),
        *("-schema-location", f"{tools.schemas}/v{kubernetes}/{kind}"),
        *("-schema-location", f"{tools.schemas}/operators/{kind}"),
        *paths,
    )


def check_schemas(tools: Tools) -> str:
    for kubernetes in KUBERNETES:
        with tempfile.TemporaryDirectory() as folder:
            said = conform(tools, kubernetes, render_all(tools, kubernetes, Path(folder)))
            print(f"   {kubernetes}: {said.strip()}", flush=True)
    return f"Kubernetes {KUBERNETES[0]} to {KUBERNETES[-1]}"


# Each would be a mistake in a template; the checks have to tell.
BREAKS = {
    "a misspelled field": ("minReadySeconds:", "minReadySecond:"),
    "a word for a number": ("replicas: 3", "replicas: three"),
    "a field in the wrong place": ("strategy:", "updateStrategy:"),
}
UNSAFE = {
    "a container that may gain privileges": ("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true"),
    "a capability kept": ("- ALL", "- CHOWN"),
    "root": ("runAsNonRoot: true", "runAsNonRoot: false"),
    "no seccomp profile": ("type: RuntimeDefault", "type: Unconfined"),
}


def broken(text: str, change: tuple[str, str], folder: Path) -> Path:
    if change[0] not in text:
        raise Failed(f"nothing to break: {change[0]}")
    path = folder / "broken.yaml"
    path.write_text(text.replace(*change))
    return path


def expect_failure(name: str, check: Callable[[], object]) -> None:
    try:
        check()
    except Failed:
        return
    raise Failed(f"{name} is not noticed")


def check_that_it_fails(tools: Tools) -> str:
    """A check must be able to fail: manifests with a mistake each are not let through."""
    text = tools.render(CHART / "ci" / "default-values.yaml")
    with tempfile.TemporaryDirectory() as folder:
        for name, change in BREAKS.items():
            path = broken(text, change, Path(folder))
            expect_failure(name, lambda: conform(tools, NEWEST, [path]))
        for name, change in UNSAFE.items():
            path = broken(text, change, Path(folder))
            expect_failure(name, lambda: tools.run("podsecurity", path))
    return f"{len(BREAKS) + len(UNSAFE)} mistakes are noticed"


def check_security(tools: Tools) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return tools.run("podsecurity", *render_all(tools, NEWEST, Path(folder))).strip()


def check_rules(tools: Tools) -> str:
    """Names that are there twice, and what the migration needs before it is there."""
    broken = []
    with tempfile.TemporaryDirectory() as folder:
        paths = render_all(tools, NEWEST, Path(folder))
        for path in paths:
            manifests = [each for each in yaml.safe_load_all(path.read_text()) if each]
            broken += [f"{path.stem}: {rule}" for rule in manifest_rules.broken_rules(manifests)]
    if broken:
        raise Failed("\n".join(broken))
    return f"{len(paths)} releases"


def check_generated(_: Tools) -> str:
    if generate.stale():
        raise Failed(f"stale: {', '.join(generate.stale())}; python3 helm/generate.py writes them")
    return "values.schema.json and README.md"


def rendered(tools: Tools) -> dict[Path, str]:
    """What the tests run that do without helm, and of what it was made."""
    texts = {
        RENDERED / f"{values.name.removesuffix('-values.yaml')}.yaml": tools.render(values)
        for values in sorted(RENDERED.glob("*-values.yaml"))
    }
    return {**texts, DIGEST: rendered_from.digest()}


def check_rendered(tools: Tools) -> str:
    stale = [path.name for path, text in rendered(tools).items() if not path.exists() or path.read_text() != text]
    if stale:
        raise Failed(f"stale in tests/chart/rendered: {', '.join(stale)}; ./dev chart golden writes them")
    return ", ".join(path.name for path in rendered(tools))


def check_package(tools: Tools) -> str:
    """The chart as it would be published is the chart, without what is only for us."""
    with tempfile.TemporaryDirectory() as folder:
        tools.run("helm", "package", CHART, "-d", folder)
        package = next(Path(folder).glob("*.tgz"))
        shown = tools.run("helm", "template", "sink", package, "-f", CHART / "ci" / "default-values.yaml")
        names = subprocess.run(["tar", "tf", package], capture_output=True, text=True, check=True).stdout
    if "/ci/" in names or "pgsluice/tests/" in names:
        raise Failed(f"the package has what is only for us:\n{names}")
    if "kind: Deployment" not in shown:
        raise Failed("the package renders no Deployment")
    return package.name


CHECKS: dict[str, Callable[[Tools], str]] = {
    "what is generated": check_generated,
    "helm lint --strict": check_lint,
    "unit tests": check_units,
    "schemas": check_schemas,
    "restricted Pod Security": check_security,
    "names and hooks": check_rules,
    "mistakes": check_that_it_fails,
    "what the tests run": check_rendered,
    "package": check_package,
}


def check(tools: Tools) -> int:
    failures = 0
    for name, run in CHECKS.items():
        try:
            print(f"ok     {name}: {run(tools)}", flush=True)
        except Failed as failed:
            failures += 1
            print(f"FAILED {name}: {failed}", flush=True)
    return 1 if failures else 0


def golden(tools: Tools) -> int:
    for path, text in rendered(tools).items():
        path.write_text(text)
        print(path.relative_to(ROOT))
    return 0


def main(words: Sequence[str]) -> int:
    commands = {"check": check, "golden": golden}
    command = commands.get(words[0] if words else "check")
    if command is None or len(words) > 1:
        print(__doc__)
        return 0 if list(words) == ["--help"] else 64
    try:
        programs = chart_tools.fetch("helm and its like (built once, some minutes)", chart_tools.tools)
        schemas = chart_tools.fetch("schemas of Kubernetes (fetched once)", chart_tools.schemas)
    except Unavailable as reason:
        print(f"chart: {reason}", file=sys.stderr)
        return 69
    return command(Tools(programs, schemas))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
