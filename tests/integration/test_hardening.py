"""What the release build's linker and compiler were told to harden, as readelf sees it in the program."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

BINARY = os.environ["PGSLUICE_BIN"]


def readelf(*options: str) -> str:
    command = ["readelf", "-W", *options, BINARY]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout


if Path(BINARY).parent.name != "release":
    pytest.skip("only the release build is hardened", allow_module_level=True)


@pytest.fixture(scope="module")
def symbols() -> set[str]:
    """What the program takes from shared libraries, without versions."""
    return set(re.findall(r"\bUND (\w+)", readelf("--dyn-syms")))


def test_it_lies_at_random_addresses() -> None:
    assert "DYN (Position-Independent Executable file)" in readelf("--file-header")
    assert re.search(r"\(FLAGS_1\).*\bPIE\b", readelf("--dynamic"))


def test_addresses_of_functions_are_read_only() -> None:
    """Full RELRO: everything is bound at the start, and the table protected."""
    assert "GNU_RELRO" in readelf("--program-headers")
    assert re.search(r"\(FLAGS_1\).*\bNOW\b", readelf("--dynamic"))


def test_no_memory_is_writable_and_executable() -> None:
    headers = readelf("--program-headers")
    assert re.search(r"GNU_STACK.* RW +0x", headers)
    assert not re.search(r"^ +\w+ .* RWE +0x", headers, re.M)


def test_the_stack_is_guarded_and_buffers_are_checked(symbols: set[str]) -> None:
    assert "__stack_chk_fail" in symbols
    assert {"__memcpy_chk", "__snprintf_chk", "__vsnprintf_chk"} <= symbols


def test_it_finds_no_libraries_in_odd_places() -> None:
    assert not re.search(r"\((RPATH|RUNPATH|TEXTREL)\)", readelf("--dynamic"))
