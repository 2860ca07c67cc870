"""Every test that tests/README.md names is there, and each line of its tables names one or says why not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

TESTS = Path(__file__).resolve().parent.parent
README = TESTS / "README.md"
GROUPS = ("Delivery and ownership", "Kafka", "PostgreSQL", "Process and host")
NOT_TESTED = "not tested: "
CODE = re.compile(r"`([^`]+)`")
LISTED = re.compile(r"(chaos|broken|fuzz) ((?:`[^`]+`(?:, )?)+)")
FILE_AND_CASES = re.compile(r"`([\w/]+\.(?:py|c))` ((?:`\w+`(?:, )?)+)")


def section(title: str) -> str:
    """What stands between this heading of the third level and the next one."""
    return README.read_text().split(f"### {title}\n")[1].split("\n### ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def references() -> Iterator[tuple[str, str]]:
    """(what happens, one part of what shows that it is right)."""
    for group in GROUPS:
        for happens, _, shown in rows(section(group)):
            tests, marker, why = shown.partition(NOT_TESTED)
            for part in filter(None, tests.rstrip("; ").split("; ")):
                yield happens, part
            if marker:
                yield happens, NOT_TESTED + why


def has_case(file: Path, case: str) -> bool:
    """A function of pytest; or one of cmocka that is also run."""
    text = file.read_text()
    if file.suffix == ".py":
        return re.search(rf"^def {case}\(", text, re.MULTILINE) is not None
    defined = re.search(rf"^static void {case}\(void \*\*\w+\)$", text, re.MULTILINE)
    return defined is not None and re.search(rf"\({case}[,)]", text) is not None


@pytest.fixture(scope="module")
def listed() -> dict[str, set[str]]:
    """What stands behind chaos, broken and fuzz."""
    chaos = TESTS / "chaos"
    argv = [sys.executable, "-B", str(chaos / "chaos.py"), "--list"]
    kinds = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout
    builds = re.findall(r'^    Broken\(\n        "([\w-]+)"', (chaos / "broken.py").read_text(), re.M)
    targets = [path.stem.removeprefix("fuzz_") for path in TESTS.glob("fuzz/fuzz_*.c")]
    return {
        "chaos": {line.split()[0] for line in kinds.splitlines()},
        "broken": set(builds),
        "fuzz": set(targets),
    }


def wrong(part: str, listed: dict[str, set[str]]) -> list[str]:
    """What this part names and is not there; the part itself where it can not be read."""
    if part.startswith(NOT_TESTED):
        return [] if len(part) > len(NOT_TESTED) else [part]
    if match := LISTED.fullmatch(part):
        return [name for name in CODE.findall(match[2]) if name not in listed[match[1]]]
    if not (match := FILE_AND_CASES.fullmatch(part)):
        return [f"can not be read: {part}"]
    file = TESTS / match[1]
    if not file.is_file():
        return [match[1]]
    return [f"{match[1]} {case}" for case in CODE.findall(match[2]) if not has_case(file, case)]


def test_what_is_named_is_there(listed: dict[str, set[str]]) -> None:
    found = {happens: missing for happens, part in references() if (missing := wrong(part, listed))}
    assert found == {}


def test_every_line_names_a_test_or_says_why_not() -> None:
    named = {happens for happens, _ in references()}
    for group in GROUPS:
        lines = rows(section(group))
        assert lines, group
        assert [line for line in lines if len(line) != 3 or line[0] not in named] == []


def test_files_that_the_text_names_are_there() -> None:
    """Below tests/, or in support/ by their names alone; X and MODULE stand for any."""
    text = re.sub(r"^```.*?^```", "", README.read_text(), flags=re.MULTILINE | re.DOTALL)
    names = [name for name in CODE.findall(text) if re.fullmatch(r"[\w/]+\.(py|c|h|sh)", name)]
    files = {name for name in names if not re.search(r"_(X|MODULE)\.", name)}
    assert len(files) > len(GROUPS)
    assert [n for n in sorted(files) if not any((t / n).is_file() for t in (TESTS, TESTS / "support"))] == []


@pytest.mark.parametrize(
    "part",
    (
        "`unit/base/test_gone.c` `a_case`",
        "`unit/base/test_memory.c` `a_case`",
        "`unit/base/test_memory.c` `resize_too_far`",
        "`integration/test_types.py` `test_gone`",
        "chaos `sink-flies`",
        "a text",
        "not tested: ",
    ),
)
def test_this_check_can_fail(part: str, listed: dict[str, set[str]]) -> None:
    assert wrong(part, listed)
