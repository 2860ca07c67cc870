"""What the files in rendered/ were rendered from, so that a test without helm notices that they are stale."""

from __future__ import annotations

import hashlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHART = HERE.parents[1] / "helm" / "pgsluice"
RENDERED = HERE / "rendered"
DIGEST = RENDERED / "from.sha256"


def sources() -> list[Path]:
    """Not files/: alerts and dashboard are not in what is rendered there."""
    return [
        CHART / "Chart.yaml",
        CHART / "values.yaml",
        *sorted((CHART / "templates").iterdir()),
        *sorted(RENDERED.glob("*-values.yaml")),
    ]


def digest() -> str:
    found = hashlib.sha256()
    for path in sources():
        found.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest() + "\n"
