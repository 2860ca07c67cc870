"""Deliberately broken builds: each has a mistake that loses or doubles records, which the checker must find.

A mistake is a few replacements in a copy of the sources. Some are made twice over, because the
comparison of positions in PostgreSQL alone would make them harmless; which is what it is there for.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Mapping

ROOT = Path(__file__).resolve().parent.parent.parent
PLACE = ROOT / "build" / "broken"
COPIED = ("sink", "include", "migrations", "cmake", "CMakeLists.txt", "tests/CMakeLists.txt")


@dataclass(frozen=True)
class Replacement:
    """In a file, a text that is there exactly once becomes another one."""

    file: str
    old: str
    new: str

    def apply(self, source: Path) -> None:
        path = source / self.file
        text = path.read_text()
        path.write_text(self.applied(text))

    def applied(self, text: str) -> str:
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} has {text.count(self.old)} times {self.old!r}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Broken:
    """A mistake, and the faults that bring it to light; none when every run does."""

    name: str
    mistake: str
    replacements: tuple[Replacement, ...]
    kinds: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    records: int = 90_000

    @property
    def faults(self) -> int:
        """So many at most; most are caught by a tenth of them."""
        return 30 if self.kinds else 0


@dataclass
class Outcome:
    """What became of a broken build."""

    build: Broken
    violation: str  # what gave it away; empty when nothing has
    failures: list[str]
    faults: int
    snapshots: int
    took_s: float


ADVANCE = "migrations/0004_leader_epochs.sql"
NO_EPOCH = Replacement(ADVANCE, "       AND o.epoch = m.epoch\n", "")
NO_FROM = Replacement(ADVANCE, "\n       AND o.next_offset = m.from_offset;", ";")
# Our own COMMIT in the middle of a flush has a result like a COPY's, which is not one of its parts.
COMMIT_IS_NO_PART = Replacement(
    "sink/dispatch/flush.c",
    "if (PQresultStatus(result) != PGRES_COMMAND_OK)\n        return; /* advance",
    "if (PQresultStatus(result) != PGRES_COMMAND_OK ||\n"
    '        strcmp(PQcmdStatus((PGresult *)(uintptr_t)result), "COMMIT") == 0)\n'
    "        return; /* advance",
)
START_FROM_KAFKA = (
    Replacement(
        "sink/dispatch/ownership.c",
        "    } else if (result == CLAIM_TAKEN) {\n"
        "        on_position(dispatcher, queue, &claim->position);\n",
        "    } else if (result == CLAIM_TAKEN && queue->initial >= 0) {\n"
        "        on_position(dispatcher, queue, &claim->position);\n"
        "        queue->initial = -1;\n"
        "    } else if (result == CLAIM_TAKEN) {\n"
        "        queue->position = -1;\n"
        "        on_no_row(dispatcher, queue);\n",
    ),
    Replacement(
        "sink/pg/offsets.c",
        "owner = EXCLUDED.owner\");\n"
        "    append_topic_id(sql, claim);\n"
        "    append_skip(sql, claim);\n",
        "owner = EXCLUDED.owner, next_offset = EXCLUDED.next_offset\");\n"
        "    append_topic_id(sql, claim);\n",
    ),
)

TAKEOVERS = ("sink-freeze-long", "sink-freeze-in-flush", "sink-twin", "sink-storm")
LOSSES = ("session-end", "unanswered-postgres", "reset-postgres", "postgres-crash")
ENDS = ("sink-kill", "sink-kill-in-flush", "sink-kill-all")

BROKEN = (
    Broken(
        "no-compare",
        "a flush compares neither the epoch nor the position",
        (NO_EPOCH, NO_FROM),
        TAKEOVERS,
    ),
    Broken(
        "compare-does-not-raise",
        "a flush that is not where it should begin keeps its rows",
        (Replacement(ADVANCE, "RAISE EXCEPTION 'sink %: %", "RAISE NOTICE 'sink %: %"),),
        TAKEOVERS,
    ),
    Broken(
        "position-first",
        "the position is committed before the rows",
        (
            COMMIT_IS_NO_PART,
            Replacement(
                "sink/pg/offsets.c",
                'buffer_append_text(sql, ");");',
                'buffer_append_text(sql, "); COMMIT;");',
            ),
        ),
        ("session-cancel", "error-serialization", *LOSSES),
    ),
    Broken(
        "rows-first",
        "the rows are committed before the position",
        (
            COMMIT_IS_NO_PART,
            Replacement(
                "sink/dispatch/flush.c",
                "    if (flush->settings->exactly_once)\n        add_advance(flush);\n    add_exp",
                "    add_exp",
            ),
            Replacement(
                "sink/dispatch/flush.c",
                "    add_dead_letters(flush);\n    flush->job",
                '    add_dead_letters(flush);\n    buffer_append_text(&flush->sql, "COMMIT;");\n'
                "    add_advance(flush);\n    flush->job",
            ),
        ),
        (*TAKEOVERS, *ENDS, "offsets-lock"),
    ),
    Broken(
        "position-from-kafka",
        "a partition begins where Kafka's committed offset says",
        START_FROM_KAFKA,
        (*ENDS, "group-intruder"),
        {"SINK_START": "committed"},
    ),
    Broken(
        "auto-commit",
        "librdkafka commits what it has handed out, and a partition begins there",
        (
            *START_FROM_KAFKA,
            Replacement(
                "sink/kafka/client.c",
                '{"enable.auto.commit", "false"},       {"enable.auto.offset.store", "false"},',
                '{"enable.auto.commit", "true"}, {"enable.auto.offset.store", "true"},'
                ' {"auto.commit.interval.ms", "500"},',
            ),
        ),
        ENDS,
        {"SINK_START": "committed"},
    ),
    Broken(
        "dead-letters-first",
        "dead letters are committed before the rows",
        (
            COMMIT_IS_NO_PART,
            Replacement(
                "sink/dispatch/flush.c",
                "    if (last && last->absent_mask == mask)",
                "    if (last && !last->dead_letters && last->absent_mask == mask)",
            ),
            Replacement(
                "sink/dispatch/flush.c",
                "    if (flush->settings->exactly_once)\n        add_advance(flush);\n    add_exp",
                "    add_dead_letters(flush);\n"
                '    buffer_append_text(&flush->sql, flush->parts_count ? "; COMMIT;" : "");\n'
                "    add_advance(flush);\n    add_exp",
            ),
            Replacement(
                "sink/dispatch/flush.c",
                "    add_dead_letters(flush);\n    flush->job",
                "    flush->job",
            ),
        ),
        ("session-cancel", "error-serialization", "error-deadlock"),
    ),
    Broken(
        "no-dead-letters",
        "what can not become a row goes nowhere",
        (
            Replacement(
                "sink/dispatch/flush.c",
                "        if (batch->part.dead_count == 0 || batch->dead_letters.len == 0)",
                "        if (batch->part.dead_count < 1000)",
            ),
        ),
        (),
    ),
    Broken(
        "reordered-batches",
        "the batches of a flush are sent last first",
        (
            Replacement(
                "sink/dispatch/flush.c",
                "        add_rows(flush, flush->batches[i]);",
                "        add_rows(flush, flush->batches[flush->batches_count - 1 - i]);",
            ),
        ),
        ("load-burst", "postgres-stop"),
        {"SINK_BATCH_SIZE": "50"},
    ),
    Broken(
        "failure-is-success",
        "a flush whose outcome is unknown counts as committed, and only epochs are compared",
        (
            NO_FROM,
            Replacement(
                "sink/dispatch/outcome.c",
                "    if (error) {\n        struct conn_error failure",
                "    if (error && !error->lost) {\n        struct conn_error failure",
            ),
            Replacement(
                "sink/dispatch/dispatcher.c", "    ownership_check(opaque);", "    (void)opaque;"
            ),
        ),
        (*LOSSES, "slow-flushes"),
    ),
    Broken(
        "sent-again",
        "a flush whose outcome is unknown is sent again, and only epochs are compared",
        (
            NO_FROM,
            Replacement(
                "sink/dispatch/retry.c",
                "return decide(RETRY_CLAIM, 0);",
                "return decide(RETRY_AGAIN, 0);",
            ),
            Replacement(
                "sink/dispatch/dispatcher.c", "    ownership_check(opaque);", "    (void)opaque;"
            ),
        ),
        ("unanswered-postgres", "orphan-postgres", "slow-flushes"),
    ),
    Broken(
        "rewind-ignored",
        "a database that went back in time is gone on with",
        (
            Replacement(
                "sink/dispatch/queue.c",
                "bool behind = next_offset < held_from;",
                "bool behind = next_offset < 0 && held_from < 0;",
            ),
        ),
        ("postgres-lagging-failover", "postgres-crash", "postgres-kill"),
    ),
    Broken(
        "last-record-dropped",
        "the last record of a batch that is closed by its age is lost",
        (
            Replacement(
                "sink/dispatch/intake.c",
                "        close_batch(dispatcher, TAILQ_FIRST(&dispatcher->filling), trigger);",
                "    {\n"
                "        struct batch *oldest = TAILQ_FIRST(&dispatcher->filling);\n"
                "        oldest->count -= oldest->count > 1;\n"
                "        close_batch(dispatcher, oldest, trigger);\n"
                "    }",
            ),
        ),
        (),
    ),
    Broken(
        "last-piece-dropped",
        "the last piece of a COPY with several is not sent",
        (
            Replacement(
                "sink/dispatch/flush.c",
                "    if (flush->piece == part->pieces_count)\n",
                "    if (flush->piece + (part->pieces_count > 1) >= part->pieces_count)\n",
            ),
        ),
        ("load-burst",),
    ),
    Broken(
        "skips-when-read-again",
        "what is read again with headers begins a record too late",
        (
            Replacement(
                "sink/dispatch/intake.c",
                "    int64_t offset = batch->records[batch->first].offset;",
                "    int64_t offset = batch->records[batch->first].offset + 1;",
            ),
        ),
        (),
    ),
    Broken(
        "off-by-one",
        "the position is the last record's offset instead of the next one's",
        (
            Replacement(
                "sink/dispatch/part.c",
                "batch->records[index - 1].offset + 1;",
                "batch->records[index - 1].offset + (index - 1 == batch->first);",
            ),
        ),
        (),
    ),
    Broken(
        "one-position-for-many",
        "of a flush with several batches of a partition, the first one's end is the position",
        (
            Replacement(
                "sink/dispatch/flush.c",
                "        moves[count - 1].to = batch->to;",
                "        if (batch->queue != last)\n            moves[count - 1].to = batch->to;",
            ),
        ),
        ("load-burst", "postgres-stop"),
        {"SINK_BATCH_SIZE": "50"},
    ),
    Broken(
        "changed-table-not-seen",
        "rows that were made for a table as it was are sent to it as it is",
        (
            Replacement(
                "sink/dispatch/flush.c",
                "    if (mapping->table_version[0])",
                "    if (!mapping->table_version[0])",
            ),
        ),
        ("column-retyped",),
    ),
    Broken(
        "aborted-delivered",
        "records of aborted transactions are read",
        (
            Replacement(
                "sink/kafka/client.c",
                '{"check.crcs", "true"},',
                '{"isolation.level", "read_uncommitted"}, {"check.crcs", "true"},',
            ),
        ),
        (),
    ),
)  # fmt: skip


def named(names: str) -> list[Broken]:
    """Those of these names, or all."""
    known = {broken.name: broken for broken in BROKEN}
    wanted = list(known) if names == "all" else names.split(",")
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise SystemExit(f"no such build: {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in wanted]


def build(broken: Broken) -> Path:
    """Its program, in build/broken/NAME."""
    source = PLACE / "source"
    _copy(source)
    for replacement in broken.replacements:
        replacement.apply(source)
    _compile(source)
    program = PLACE / broken.name / "pgsluice"
    program.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(PLACE / "build" / "pgsluice", program)
    return program


def _copy(source: Path) -> None:
    """The tree as it is; files that are alike stay untouched, so that little is compiled anew."""
    wanted: set[Path] = set()
    for name in COPIED:
        top = ROOT / name
        files = [top] if top.is_file() else [path for path in top.rglob("*") if path.is_file()]
        for path in files:
            target = source / path.relative_to(ROOT)
            wanted.add(target)
            if not target.exists() or target.read_bytes() != path.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    for path in list(source.rglob("*")):
        if path.is_file() and path not in wanted:
            path.unlink()


def _compile(source: Path) -> None:
    folder = PLACE / "build"
    library = _run([str(ROOT / "cmake" / "librdkafka.sh"), "release"]).strip()
    if not (folder / "build.ninja").exists():
        _run(["cmake", "-G", "Ninja", "-S", str(source), "-B", str(folder),
              "-DCMAKE_BUILD_TYPE=Debug", f"-DPGSLUICE_LIBRDKAFKA={library}"])  # fmt: skip
    _run(["cmake", "--build", str(folder), "--target", "pgsluice"])


def _run(argv: list[str]) -> str:
    result = subprocess.run(argv, capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"{argv[0]} failed:\n{(result.stdout + result.stderr)[-3000:]}")
    return result.stdout
