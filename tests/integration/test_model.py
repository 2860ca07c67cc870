"""The flush protocol's model, searched by Spin: see tests/model."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

CHECK = Path(__file__).resolve().parents[1] / "model" / "check.sh"
LIMIT_S = 290
SKIPPED = 77


@pytest.mark.limit(LIMIT_S)
def test_the_flush_protocol_is_safe_and_live_and_fails_when_broken() -> None:
    done = subprocess.run([str(CHECK)], capture_output=True, text=True, check=False)
    print(done.stdout)
    if done.returncode == SKIPPED:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
