"""A short run of ./dev chaos: nothing is lost and nothing is there twice while things break."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHAOS = Path(__file__).resolve().parent.parent / "chaos" / "chaos.py"
NO_KAFKA = 75
FAULTS = 40
RECORDS = 500_000
SEED = 415  # strikes first with kinds of which one alone makes a broker start anew, which takes long


@pytest.mark.limit(360)
def test_a_short_run(tmp_path):
    outcome = tmp_path / "outcome.json"
    argv = [sys.executable, "-B", str(CHAOS), "--seed", str(SEED), "--json", str(outcome), "--brisk"]
    argv += ["--faults", str(FAULTS), "--records", str(RECORDS)]
    result = subprocess.run(argv, capture_output=True, text=True)
    print(result.stdout)
    if result.returncode == NO_KAFKA:
        pytest.skip(result.stdout)
    assert result.returncode == 0, result.stderr
    found = json.loads(outcome.read_text())
    assert found["violations"] == [] and found["failures"] == []
    assert found["faults"] >= FAULTS and found["snapshots"] > 0
    assert len(found["kinds"]) >= FAULTS, "each fault is of another kind"
    assert found["records"] >= RECORDS * 0.9, "all but what aborted transactions held"
