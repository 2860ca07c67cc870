"""What `cmake --install` puts where, and that the unit, manual page and completions are right.

The package as such, in a bare Debian, is `./dev package`'s.
"""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from pathlib import Path
from typing import Iterator

import pytest
from process import TemporaryDirectory
from sink import clean_environment, sink_program

EXPOSURE = 2.0
FILES = """
bin/pgsluice
lib/systemd/system/pgsluice@.service
share/bash-completion/completions/pgsluice
share/doc/pgsluice/README.md
share/doc/pgsluice/changelog.gz
share/doc/pgsluice/copyright
share/doc/pgsluice/docs/guarantees.md
share/doc/pgsluice/examples/alerts.yml
share/doc/pgsluice/examples/dashboard.json
share/doc/pgsluice/examples/warehouse.env
share/doc/pgsluice/librdkafka.LICENSES.txt
share/man/man1/pgsluice.1.gz
share/zsh/site-functions/_pgsluice
""".split()


def install(prefix: str, destination: Path | None = None) -> None:
    argv = ["cmake", "--install", str(sink_program().parent), "--prefix", prefix]
    env = {**clean_environment(), **({"DESTDIR": str(destination)} if destination else {})}
    subprocess.run(argv, env=env, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def prefix() -> Iterator[Path]:
    directory = TemporaryDirectory("install")
    install(str(directory.path / "opt"))
    yield directory.path / "opt"
    directory.close()


def words(*argv: str) -> str:
    """What the program prints."""
    return subprocess.run(
        [str(sink_program()), *argv], env=clean_environment(), capture_output=True, text=True, timeout=10
    ).stdout


def commands() -> dict[str, set[str]]:
    """The options of each command, as its help has them."""
    listed = re.findall(r"^  ([a-z][a-z-]*(?: [a-z]+)?)  +[A-Z]", words("help").split("Commands:")[1], re.MULTILINE)
    return {name: set(re.findall(r"^  (--[a-z-]+)", words("help", *name.split()), re.MULTILINE)) for name in listed}


def test_below_a_prefix(prefix: Path) -> None:
    assert [name for name in FILES if not (prefix / name).is_file()] == []
    unit = (prefix / "lib/systemd/system/pgsluice@.service").read_text()
    assert f"ExecStart={prefix}/bin/pgsluice run" in unit and "@" not in re.sub(r"pgsluice@|@[a-z-]+|~@", "", unit)


def test_as_a_package_is_made(tmp_path: Path) -> None:
    install("/usr", tmp_path)
    files = [name.replace("site-functions", "vendor-completions") for name in FILES]
    assert [name for name in files if not (tmp_path / "usr" / name).is_file()] == []
    assert (tmp_path / "etc/pgsluice").is_dir()
    assert "EnvironmentFile=/etc/pgsluice/%i.env" in (tmp_path / "usr/lib/systemd/system/pgsluice@.service").read_text()


def test_the_unit_is_right(prefix: Path, tmp_path: Path) -> None:
    unit = tmp_path / "pgsluice@warehouse.service"
    shutil.copy(prefix / "lib/systemd/system/pgsluice@.service", unit)
    argv = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_is_closed(prefix: Path) -> None:
    unit = prefix / "lib/systemd/system/pgsluice@.service"
    argv = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert level, done.stdout + done.stderr
    assert float(level[1]) < EXPOSURE


def test_the_manual_page_has_every_command_option_and_setting(prefix: Path) -> None:
    page = prefix / "share/man/man1/pgsluice.1.gz"
    plain = gzip.decompress(page.read_bytes()).decode().replace("\\-", "-")
    for name, options in commands().items():
        assert f".SS pgsluice {name}" in plain
        assert [option for option in options if option not in plain] == []
    settings = re.findall(r"^\| `(\w+)`", words("config", "--markdown"), re.MULTILINE)
    assert [name for name in settings if f".B {name}\n" not in plain] == []
    lint = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", str(page)], capture_output=True, text=True, timeout=30
    )
    assert [line for line in lint.stdout.splitlines() if "missing date" not in line] == []


def complete(prefix: Path, *line: str) -> set[str]:
    """What bash offers for the last word."""
    script = """
        . "$1/share/bash-completion/completions/pgsluice"
        COMP_WORDS=(pgsluice "${@:2}") COMP_CWORD=$(($# - 1))
        _pgsluice && printf '%s\\n' "${COMPREPLY[@]}"
    """
    argv = ["bash", "-euc", script, "bash", str(prefix), *line]
    return set(subprocess.run(argv, capture_output=True, text=True, check=True, timeout=10).stdout.split())


def test_bash_completes_what_there_is(prefix: Path) -> None:
    known = commands()
    assert complete(prefix, "") == {name.split()[0] for name in known} | {"help", "--help", "--version"}
    assert complete(prefix, "off") == {"offsets"}
    assert complete(prefix, "backfill", "--until") == {"--until-live"}
    assert complete(prefix, "backfill", "--from", "") == set()
    for name, options in known.items():
        seconds = {other.split()[1] for other in known if other.startswith(f"{name} ")}
        assert complete(prefix, *name.split(), "") == options | seconds | {"--help"}, name


def test_zsh_completes_what_there_is(prefix: Path) -> None:
    script = (prefix / "share/zsh/site-functions/_pgsluice").read_text()
    for name, options in commands().items():
        case = re.search(rf"^    '{name}(?:'| '\*)\)\n(.*?)^        ;;", script, re.MULTILINE | re.DOTALL)
        assert case, name
        assert set(re.findall(r"'(--[a-z-]+)\[", case[1])) == options | {"--help"}, name
