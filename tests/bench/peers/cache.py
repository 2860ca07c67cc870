"""Programs that are fetched and built once per machine and user."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Callable, Mapping, Sequence

from kafka import Unavailable, cache_dir

BUILD_LIMIT_S = 3600
RECIPE = "recipe"


def built(name: str, recipe: bytes, build: Callable[[Path], None]) -> Path:
    """The folder with what `build` makes of an empty folder, made anew when the recipe has changed."""
    home = cache_dir() / "peers" / name
    if _is_complete(home, recipe):
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    with open(home.parent / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_complete(home, recipe):
            _build(home, recipe, build)
    return home


def _is_complete(home: Path, recipe: bytes) -> bool:
    """The recipe is written last, and all is moved in at once."""
    try:
        return (home / RECIPE).read_bytes() == recipe
    except OSError:
        return False


def _build(home: Path, recipe: bytes, build: Callable[[Path], None]) -> None:
    staging = Path(tempfile.mkdtemp(prefix=f"{home.name}.", dir=home.parent))
    try:
        build(staging)
        (staging / RECIPE).write_bytes(recipe)
        staging.chmod(0o755)
        if home.exists():
            shutil.rmtree(home)
        staging.rename(home)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def run_tool(
    argv: Sequence[str | Path], cwd: Path, env: Mapping[str, str] | None = None
) -> None:
    """Run a build tool; what it says last is the reason when it fails."""
    words = [str(word) for word in argv]
    if shutil.which(words[0]) is None:
        raise Unavailable(f"{words[0]}, which builds it, is missing")
    try:
        result = subprocess.run(
            words, cwd=cwd, env=env, capture_output=True, text=True, timeout=BUILD_LIMIT_S
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{words[0]} did not end within {BUILD_LIMIT_S} s") from None
    if result.returncode != 0:
        raise Unavailable(f"{words[0]} failed: {_reason(result.stdout + result.stderr)}")


def _reason(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "[ERROR]" in line]  # Maven's
    return " ".join((errors[:1] or lines[-3:]))[:400]
