"""What README.md and docs/ name is there: files, headings, commands, options, settings. Their commands run in e2e."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pages
import pytest
from sink import clean_environment, sink_program

ROOT = pages.ROOT
OUTSIDE = re.compile(r"^(https?|mailto):")
INLINE = re.compile(r"`([^`\n]+)`")


def help_of(*words: str) -> str:
    done = subprocess.run(
        [str(sink_program()), "help", *words], env=clean_environment(), capture_output=True, text=True, timeout=10
    )
    return done.stdout if done.returncode == 0 else ""


@pytest.fixture(scope="module")
def commands() -> dict[str, str]:
    """The help of each, by its name."""
    listed = re.findall(r"^  ([a-z][a-z-]*(?: [a-z]+)?)  +[A-Z]", help_of().split("Commands:")[1], re.MULTILINE)
    return {name: help_of(*name.split()) for name in listed}


def commands_in(page: str) -> list[str]:
    """Whatever is written as a command of ours, in a block or inside of a sentence."""
    shell = [line for block in pages.blocks(page) if block.language == "sh" for line in block.text.splitlines()]
    texts = [text.split("#")[0] for text in (*shell, *INLINE.findall(pages.prose(page)))]
    return [match[1] for text in texts for match in re.finditer(r"\bpgsluice ([a-z][^|)]*)", text)]


def wrong_in(command: str, commands: dict[str, str]) -> list[str]:
    """The command, where there is none of that name; else those of its options that it does not have."""
    words = re.sub(r"'[^']*'|\"[^\"]*\"", "X", command).split()
    if words[0] == "help":
        return []
    found = [name for name in (" ".join(words[:2]), words[0]) if name in commands]
    groups = {name.split()[0] for name in commands}
    if not found:
        return [] if words == [words[0]] and words[0] in groups else [command]
    options = [word.split("=")[0] for word in words if word.startswith("--")]
    return [f"{found[0]} {option}" for option in options if f"{option} " not in commands[found[0]].replace("\n", " ")]


@pytest.mark.parametrize("page", pages.PAGES)
def test_links_lead_somewhere(page: str) -> None:
    lost = []
    for link in pages.links(page):
        if OUTSIDE.match(link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        name = str(target.resolve().relative_to(ROOT))
        if not target.exists() or (anchor and anchor not in pages.anchors(name)):
            lost.append(link)
    assert lost == []


def test_every_page_is_in_the_list_of_readme() -> None:
    linked = set(pages.links("README.md"))
    assert [page for page in pages.PAGES if page.startswith("docs/") and page not in linked] == []


@pytest.mark.parametrize("page", pages.PAGES)
def test_commands_and_their_options_exist(page: str, commands: dict[str, str]) -> None:
    assert [wrong for command in commands_in(page) for wrong in wrong_in(command, commands)] == []


@pytest.mark.parametrize(
    "command",
    ("backfil --from 1", "lag --wach", "dead-letters lists", "backfill status --watch", "offsets reset --force"),
)
def test_that_check_can_fail(command: str, commands: dict[str, str]) -> None:
    assert wrong_in(command, commands)


@pytest.mark.parametrize("page", pages.PAGES)
def test_settings_exist(page: str) -> None:
    known = set(re.findall(r"\bSINK_[A-Z_]+[A-Z]\b", help_of()))
    named = set(re.findall(r"\bSINK_[A-Z_]+[A-Z]\b", pages.read(page)))
    assert {name for name in named if name.removesuffix("_FILE") not in known} == set()


def test_kafkas_properties_exist() -> None:
    """Asked of the program, which asks librdkafka. KAFKA_X_Y stands for any."""
    named = set(re.findall(r"\bKAFKA_[A-Z_]+[A-Z]\b", "\n".join(map(pages.read, pages.PAGES)))) - {"KAFKA_X_Y"}
    properties = {name.removesuffix("_FILE") for name in named} | {"KAFKA_NO_SUCH"}
    env = {**clean_environment(), **dict.fromkeys(properties, "1")}
    done = subprocess.run([str(sink_program()), "config"], env=env, capture_output=True, text=True, timeout=10)
    assert re.findall(r"^(\w+): is not a property", done.stderr, re.MULTILINE) == ["KAFKA_NO_SUCH"]


def test_commands_of_dev_exist() -> None:
    listed = set(re.findall(r"^#: ([a-z]+)", (ROOT / "dev").read_text(), re.MULTILINE))
    for page in pages.PAGES:
        named = set(re.findall(r"\./dev ([a-z]+)", pages.read(page)))
        assert named <= listed, page


def test_files_that_are_named_are_there() -> None:
    for page in pages.PAGES:
        named = re.findall(r"`((?:docs|tests|helm|cmake|sink|include|migrations)/[\w./-]+\.\w+)`", pages.prose(page))
        assert [name for name in named if not (ROOT / Path(name)).exists()] == [], page
