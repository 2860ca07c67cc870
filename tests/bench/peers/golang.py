"""Peers in Go, built from the module proxy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Sequence

from peers.cache import run_tool

STRIPPED = ("-trimpath", "-ldflags=-s -w")


def go(arguments: Sequence[str], cwd: Path, **env: str) -> None:
    """Run the go command with the user's own proxy and flags."""
    run_tool(["go", *arguments], cwd, {**os.environ, **env})
