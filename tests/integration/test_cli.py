"""The command line of the real binary: help, versions, mistakes, exit codes, and what it must not print."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Mapping

import pytest

BINARY = os.environ["PGSLUICE_BIN"]
SETTINGS = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
TIMEOUT_S = 30

DONE, USAGE, INTERNAL, CONFIG = 0, 64, 70, 78

NEEDED = {
    "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
    "KAFKA_GROUP_ID": "group",
    "SINK_TOPICS": "orders",
}

SENTINEL = "s3ntinel-must-not-appear"

SECRETS = [
    "KAFKA_SASL_PASSWORD",
    "KAFKA_SSL_KEY_PASSWORD",
    "KAFKA_SSL_KEY_PEM",
    "KAFKA_SSL_KEYSTORE_PASSWORD",
    "KAFKA_SASL_OAUTHBEARER_CONFIG",
    "KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET",
    "KAFKA_SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_PASSPHRASE",
    "PGPASSWORD",
]


def pgsluice(
    *words: str, env: Mapping[str, str] | None = None, stdout: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """Run it with exactly this environment."""
    return subprocess.run(
        [BINARY, *words],
        env=dict(env or {}),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def problems(env: Mapping[str, str], command: str = "config") -> dict[str, str]:
    """What is wrong with the settings, by variable."""
    result = pgsluice(command, env=env)
    assert result.returncode == CONFIG, result.stderr
    assert result.stdout == ""
    lines = result.stderr.splitlines()[1:]
    return dict(line.split(": ", 1) for line in lines)


def settings(env: Mapping[str, str]) -> dict[str, str]:
    result = pgsluice("config", env=env)
    assert result.returncode == DONE, result.stderr
    assert result.stderr == ""
    return dict(line.split("=", 1) for line in result.stdout.splitlines())


# Help and versions


@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_help_goes_to_standard_output(word: str) -> None:
    result = pgsluice(word)
    assert (result.returncode, result.stderr) == (DONE, "")
    for part in ("Usage:", "Commands:", "Kafka:", "Examples:", "SINK_TOPICS", "Exit codes:"):
        assert part in result.stdout
    assert all(len(line) <= 100 and line == line.rstrip() for line in result.stdout.splitlines())


def test_help_names_every_setting_and_command() -> None:
    text = pgsluice("--help").stdout
    for name in re.findall(r"^\| `(\S+)` \|", pgsluice("config", "--markdown").stdout, re.M):
        assert re.search(rf"^  {re.escape(name)} ", text, re.M), name
    for command in ("run", "migrate", "config", "dead-letters list", "dead-letters replay"):
        assert re.search(rf"^  {command} ", text, re.M)


@pytest.mark.parametrize(
    "command", ["run", "migrate", "config", "dead-letters", "dead-letters list", "dead-letters replay"]
)
def test_each_command_has_help(command: str) -> None:
    result = pgsluice(*command.split(), "--help")
    assert result.returncode == DONE
    assert result.stdout.startswith(f"Usage: pgsluice {command}")
    assert pgsluice("help", *command.split()).stdout == result.stdout
    assert all(len(line) <= 100 for line in result.stdout.splitlines())


def test_help_works_whatever_the_settings_are() -> None:
    assert pgsluice("run", "--help", env={"SINK_NO_SUCH": "1"}).returncode == DONE


def test_version_names_the_program_and_its_libraries() -> None:
    result = pgsluice("--version")
    assert result.returncode == DONE
    assert re.fullmatch(
        r"pgsluice \d+\.\d+\.\d+\n"
        r"librdkafka 2\.15\.1\S*\n"
        r"libpq \d+\.\d+\n"
        r"libuv \d+\.\d+\.\d+\n",
        result.stdout,
    )


def test_a_result_that_could_not_be_written_is_an_error() -> None:
    with open("/dev/full", "w", encoding="ascii") as full:
        result = pgsluice("--help", stdout=full.fileno())
    assert result.returncode == INTERNAL
    assert "No space left" in result.stderr


# Mistakes on the command line


def test_no_command_shows_how_to_use_it() -> None:
    result = pgsluice()
    assert result.returncode == USAGE
    assert result.stdout == ""
    assert "Usage: pgsluice COMMAND" in result.stderr


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (["rum"], "run"),
        (["migarte"], "migrate"),
        (["confg"], "config"),
        (["hepl"], "help"),
        (["--verison"], "--version"),
        (["--hlep"], "--help"),
        (["config", "--markdwon"], "--markdown"),
        (["run", "--hepl"], "--help"),
        (["help", "rnu"], "run"),
        (["dead-leters"], "dead-letters"),
        (["dead-letters", "lst"], "list"),
        (["dead-letters", "list", "--limt"], "--limit"),
    ],
)
def test_a_mistyped_word_gets_a_suggestion(words: list[str], suggestion: str) -> None:
    result = pgsluice(*words, env=NEEDED)
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert f"Did you mean {suggestion}?" in result.stderr
    assert words[-1] in result.stderr


@pytest.mark.parametrize("words", [["nonsense"], ["run", "now"], ["run", "-x"], ["migrate", "--force"], ["dead-letters"]])
def test_other_words_are_refused_without_one(words: list[str]) -> None:
    result = pgsluice(*words, env=NEEDED)
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert "Did you mean" not in result.stderr
    assert "pgsluice --help" in result.stderr


@pytest.mark.parametrize("more", ["x", "--help", "--markdown", "--markdwon"])
def test_an_option_that_stands_alone_says_so(more: str) -> None:
    result = pgsluice("config", "--markdown", more, env=NEEDED)
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert f"--markdown stands alone: {more}\n" in result.stderr


HOSTILE = "\x1b[2J\x1b]0;title\x07\npgsluice: forged\r\x7f\x9b2J"


@pytest.mark.parametrize(
    "words", [[HOSTILE], ["help", HOSTILE], ["run", HOSTILE], ["run", "-" + HOSTILE], ["config", "--markdown", HOSTILE]]
)
def test_what_was_typed_does_not_speak_to_the_terminal(words: list[str]) -> None:
    result = pgsluice(*words, env=NEEDED)
    assert result.returncode == USAGE
    assert all(letter == "\n" or letter.isprintable() for letter in result.stderr)
    assert "\npgsluice: forged" not in result.stderr


# Mistakes in the settings


@pytest.mark.parametrize("command", ["run", "config"])
def test_wrong_settings_end_every_command_with_78(command: str) -> None:
    found = problems({}, command)
    assert list(found) == ["KAFKA_BOOTSTRAP_SERVERS", "KAFKA_GROUP_ID", "SINK_TOPICS"]


def test_without_kafka_what_is_set_has_to_be_right() -> None:
    assert list(problems({"SINK_MIRGATE": "auto"}, "migrate")) == ["SINK_MIRGATE"]


def test_everything_wrong_is_said_at_once() -> None:
    found = problems(
        {
            "KAFKA_GROUP_ID": "group",
            "KAFKA_BOOTSTRAP_SERVER": "localhost",
            "KAFKA_ENABLE_AUTO_COMMIT": "true",
            "KAFKA_SESSION_TIMEOUT_MS": "soon",
            "SINK_TOPICS": "a,a",
            "SINK_BATCH_SIZE": "0",
            "SINK_BACTH_BYTES": "1MiB",
            "SINK_DELIVERY": "at_most_once",
            "SINK_POOL_MIN": "9",
            "PGPASSWORD_FILE": "/nonexistent/password",
        }
    )
    assert "is required" in found["KAFKA_BOOTSTRAP_SERVERS"]
    assert "did you mean KAFKA_BOOTSTRAP_SERVERS?" in found["KAFKA_BOOTSTRAP_SERVER"]
    assert "is refused" in found["KAFKA_ENABLE_AUTO_COMMIT"]
    assert "1 .. 3600000" in found["KAFKA_SESSION_TIMEOUT_MS"]
    assert "twice" in found["SINK_TOPICS"]
    assert "1 to 1000000" in found["SINK_BATCH_SIZE"]
    assert "did you mean SINK_BATCH_BYTES?" in found["SINK_BACTH_BYTES"]
    assert "exactly_once or at_least_once" in found["SINK_DELIVERY"]
    assert "SINK_POOL_MAX" in found["SINK_POOL_MIN"]
    assert "can not be opened" in found["PGPASSWORD_FILE"]
    assert len(found) == 10


# The settings in effect


def test_config_prints_defaults_and_what_was_set() -> None:
    found = settings({**NEEDED, "SINK_BATCH_BYTES": "1048576", "KAFKA_CLIENT_ID": "me"})
    assert found["SINK_NAME"] == "group"
    assert found["SINK_BATCH_SIZE"] == "10000"
    assert found["SINK_BATCH_BYTES"] == "1MiB"
    assert found["SINK_SYNCHRONOUS_COMMIT"] == "off"
    assert found["KAFKA_CLIENT_ID"] == "me"
    assert found["PGPORT"] == "5432"


def test_a_service_file_of_libpq_counts(tmp_path: Path) -> None:
    file = tmp_path / "pg_service.conf"
    file.write_text(f"[shop]\nhost=db.example\ndbname=shop\npassword={SENTINEL}\n")
    found = settings({**NEEDED, "PGSERVICE": "shop", "PGSERVICEFILE": str(file)})
    assert (found["PGHOST"], found["PGDATABASE"]) == ("db.example", "shop")
    assert found["PGPASSWORD"] == "********"


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_are_masked(secret: str) -> None:
    assert settings({**NEEDED, secret: SENTINEL})[secret] == "********"


def test_no_secret_is_printed_anywhere(tmp_path: Path) -> None:
    """Whether it loads or not, from variables or from files, in a value or where none belongs."""
    file = tmp_path / "secret"
    file.write_text(SENTINEL + "\n")
    values = {name: SENTINEL for name in SECRETS}
    files = {f"{name}_FILE": str(file) for name in SECRETS}
    misplaced = {
        "KAFKA_SASL_PASSWROD": SENTINEL,
        "KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL": f"https://user:{SENTINEL}@idp/token",
        "SINK_PASSWORD": SENTINEL,
        "SINK_BATCH_SIZE": SENTINEL,
        "SINK_LOG_LEVEL_FILE": str(file),
    }
    for env in (values, files, {**values, **files}, misplaced, {**values, **misplaced}):
        result = pgsluice("config", env={**NEEDED, **env})
        assert result.returncode in (DONE, CONFIG)
        assert SENTINEL not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (f"-c search_path=app -c my.secret={SENTINEL} -c a=b", "-c search_path=app -c my.secret=******** -c a=b"),
        (f"-c my.password={SENTINEL}\\ {SENTINEL}", "-c my.password=********"),
        (f"--app.token={SENTINEL}", "--app.token=********"),
        ("-c statement_timeout=5s", "-c statement_timeout=5s"),
    ],
)
def test_a_secret_among_the_options_is_masked(value: str, printed: str) -> None:
    assert settings({**NEEDED, "PGOPTIONS": value})["PGOPTIONS"] == printed


@pytest.mark.parametrize("name", ["KAFKA_CLIENT_RACK", "KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL"])
@pytest.mark.parametrize(
    "value",
    [
        f"https://user:{SENTINEL}@idp/token",
        f"https://idp/token?a=b&client_secret={SENTINEL}",
        f"https://idp/token?api_key={SENTINEL}&a=b",
        f"one:9092,user:{SENTINEL}@two:9092",
        f"SIG={SENTINEL}",
    ],
)
def test_a_secret_in_any_other_value_is_masked(name: str, value: str) -> None:
    found = settings({**NEEDED, name: value})
    assert SENTINEL not in found[name] and "********" in found[name]


def test_the_password_file_is_shown_and_kafkas_settings_are_sorted(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(SENTINEL)
    env = {"KAFKA_SSL_KEY_PASSWORD": "x", "KAFKA_CLIENT_ID": "a", "KAFKA_DEBUG": "all", **NEEDED}
    found = settings({**env, "PGPASSWORD_FILE": str(file)})
    assert found["PGPASSWORD_FILE"] == str(file)
    kafka = [name for name in found if name.startswith("KAFKA_")]
    assert len(kafka) == 5 and kafka == sorted(kafka)


def test_what_is_settled_for_libpq_is_shown() -> None:
    assert settings({**NEEDED, "PGHOST": "a,b"})["PGTARGETSESSIONATTRS"] == "read-write"
    assert settings({**NEEDED, "PGHOST": "a,/run"})["PGSSLMODE"] == "verify-full"
    assert settings({**NEEDED, "PGHOST": "/run"})["PGSSLMODE"] == "prefer"
    assert settings({**NEEDED, "PGHOST": "a", "PGSSLMODE": "require"})["PGSSLMODE"] == "require"


def test_the_mask_does_not_tell_the_length() -> None:
    short = settings({**NEEDED, "KAFKA_SASL_PASSWORD": "a"})["KAFKA_SASL_PASSWORD"]
    long = settings({**NEEDED, "KAFKA_SASL_PASSWORD": "a" * 50})["KAFKA_SASL_PASSWORD"]
    assert short == long


# docs/settings.md


def test_the_table_of_settings_is_the_one_that_is_printed() -> None:
    """To renew it, put the output of `pgsluice config --markdown` between the markers."""
    printed = pgsluice("config", "--markdown")
    assert printed.returncode == DONE
    match = re.search(
        r"<!-- settings -->\n(.*?)\n?<!-- /settings -->", SETTINGS.read_text(encoding="utf-8"), re.S
    )
    assert match, "docs/settings.md has no <!-- settings --> ... <!-- /settings -->"
    assert match[1].strip() == printed.stdout.strip()
